//! The admin side: HTTP for people, monitors and load balancers, and the socket of `coremux ctl`.
//!
//! Owns: three endpoints (the admin address, the health port, the control socket), how many may be
//! inside and for how long. Never: a worker; what is shown was published by them and sampled before
//! anybody asked, and what is asked for is an event of the control plane's loop.

mod answer;
mod api;
mod history;
mod io;
mod metrics;
mod page;
mod query;
mod status;
mod system;
mod text;

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use glommio::net::TcpStream;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use tracing::warn;

use crate::control::accept::Accepted;
use crate::control::admission::Inside;
use crate::control::admission::PATIENCE;
use crate::control::adopt;

pub(super) use api::Api;
pub(super) use api::Endpoint;
pub(super) use system::worker_busy;
pub(super) use system::worker_cpu;
pub(super) use text::of_status;

use io::Io;

/// What is asked for and by whom fits in far less; hyper takes no smaller number.
const HEAD_BYTES_MAX: usize = 8 << 10;

/// Browsers send two dozen.
const HEADERS_MAX: usize = 64;

/// A command that was sent whole may have to wait for the world: a name, a server's answer.
const COMMAND_PATIENCE: Duration = Duration::from_secs(60);

/// How long a conversation may last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Patience {
    /// A question and its answer.
    Question,
    /// What is done for a command may take its time.
    Command,
    /// For as long as somebody reads, or is not in the way of others.
    Endless,
}

/// Answers whoever comes.
pub(super) async fn serve(mut accepted: Accepted, api: Rc<Api>) {
    let inside = Inside::default();
    let mut accepts = true;
    while let Some(accepted) = accepted.next().await {
        match accepted {
            Ok(socket) => {
                accepts = true;
                inside.admit(converse(adopt::tcp_stream(socket), Rc::clone(&api)));
            }
            Err(error) => {
                if accepts {
                    warn!(door = api.endpoint().name(), %error, "admin side cannot accept");
                }
                accepts = false;
            }
        }
    }
    inside.leave();
}

// One request, so that a connection is over when its answer is: keepalived and `coremux --check`
// want no more, and a Prometheus that connects every quarter of a minute does not notice.
async fn converse(stream: TcpStream, api: Rc<Api>) {
    let patience = Rc::new(Cell::new(Patience::Question));
    let is_command_socket = api.endpoint() == Endpoint::Ctl;
    let service = {
        let patience = Rc::clone(&patience);
        service_fn(move |request| {
            let (api, patience) = (Rc::clone(&api), Rc::clone(&patience));
            async move { api.answer(request, &patience).await }
        })
    };
    let conversation = http1::Builder::new()
        .keep_alive(false)
        // Who goes away from the control socket waits for nothing, and nothing is done for him any more.
        .half_close(!is_command_socket)
        .max_buf_size(HEAD_BYTES_MAX)
        .max_headers(HEADERS_MAX)
        .header_read_timeout(None)
        .serve_connection(Io::new(stream), service);
    // What is wrong with a request has been answered; a peer that has gone needs no line.
    let conversation = async { conversation.await.unwrap_or(()) };
    futures_lite::future::or(conversation, async {
        glommio::timer::sleep(PATIENCE).await;
        if patience.get() != Patience::Question {
            glommio::timer::sleep(COMMAND_PATIENCE).await;
        }
        if patience.get() == Patience::Endless {
            std::future::pending::<()>().await;
        }
    })
    .await;
}
