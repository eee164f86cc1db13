//! The least that a proxy on `io_uring` can cost: what the others' figures are told as a multiple of.
//!
//! ```text
//! floor answer --serve 7001:36:9                            client ══► floor
//! floor relay  --serve 7001:36:9 --server IP:PORT           clients ══► floor ══► server
//! floor delay  --listen 7001 --server IP:PORT --us 1000     proxy ══► floor (a while) ══► server
//! ```
//!
//! `answer` and `relay` know no protocol. A request and its reply have fixed lengths, so counting
//! bytes is all that they do; the ring, its buffers and its sends are set up as a worker of Coremux
//! sets them up. `relay` has one connection to its server, which all clients share. `delay` is a
//! slower network, where the kernel has none (netem).
//!
//! Owns: sockets and bytes. Never: looks into what it passes on, limits memory, waits for a reader
//! that does not read.
#![allow(
    clippy::disallowed_methods,
    reason = "a measure of real time has the real clock"
)]

mod connections;
mod delay;
mod fixed;
mod ring;

use std::net::SocketAddr;
use std::net::TcpListener;
use std::process::ExitCode;
use std::str::FromStr;
use std::time::Duration;

use clap::Parser;
use socket2::Domain;
use socket2::Socket;
use socket2::Type;

/// What passing bytes on costs at least. Exit code 2: it cannot run.
#[derive(Clone, Debug, Parser)]
#[command(name = "floor", version)]
enum Command {
    /// Answers each request by itself, after as many bytes as a request has
    Answer {
        /// A port of 127.0.0.1, and the lengths of its requests and replies
        #[arg(long, value_name = "PORT:REQUEST:REPLY", required = true)]
        serve: Vec<Serve>,
    },
    /// Passes requests on to a server, over one connection for all clients, and replies back
    Relay {
        /// A port of 127.0.0.1, and the lengths of its requests and replies
        #[arg(long, value_name = "PORT:REQUEST:REPLY", required = true)]
        serve: Vec<Serve>,
        /// Where requests go
        #[arg(long, value_name = "IP:PORT")]
        server: SocketAddr,
        /// 2: one ring for the clients, and one for the server
        #[arg(long, value_name = "N", default_value_t = 1,
            value_parser = clap::value_parser!(u8).range(1..=2))]
        rings: u8,
    },
    /// Passes all bytes on, each way so much later
    Delay {
        /// A port of 127.0.0.1
        #[arg(long, value_name = "PORT")]
        listen: u16,
        /// Where its connections go, one for each
        #[arg(long, value_name = "IP:PORT")]
        server: SocketAddr,
        /// How much later
        #[arg(long, value_name = "MICROSECONDS")]
        us: u64,
    },
}

/// A port, and what its clients send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Serve {
    port: u16,
    request_bytes: usize,
    reply_bytes: usize,
}

impl FromStr for Serve {
    type Err = String;

    fn from_str(text: &str) -> Result<Serve, String> {
        let fields: Vec<&str> = text.split(':').collect();
        let [port, request, reply] = fields[..] else {
            return Err("three numbers, as in 7001:36:9".to_owned());
        };
        let length = |text: &str| match text.parse() {
            Ok(length @ 1..) => Ok(length),
            _ => Err(format!("a length of one byte or more, not {text:?}")),
        };
        Ok(Serve {
            port: port.parse().map_err(|_| format!("no port: {port:?}"))?,
            request_bytes: length(request)?,
            reply_bytes: length(reply)?,
        })
    }
}

fn main() -> ExitCode {
    let ended = match Command::parse() {
        Command::Answer { serve } => fixed::run(&serve, None, 1),
        Command::Relay {
            serve,
            server,
            rings,
        } => fixed::run(&serve, Some(server), rings),
        Command::Delay { listen, server, us } => {
            delay::run(listen, server, Duration::from_micros(us))
        }
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("floor: {error}");
            ExitCode::from(2)
        }
    }
}

/// A socket that listens; what it accepts sends small pieces at once, too.
fn listen(port: u16) -> std::io::Result<TcpListener> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    socket.set_tcp_nodelay(true)?;
    socket.bind(&SocketAddr::from(([127, 0, 0, 1], port)).into())?;
    socket.listen(1024)?;
    Ok(socket.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_has_two_lengths() {
        let serve = Serve {
            port: 7001,
            request_bytes: 36,
            reply_bytes: 9,
        };
        assert_eq!("7001:36:9".parse(), Ok(serve));
        for wrong in ["7001", "7001:36", "7001:0:9", "70010:36:9", "7001:36:9:1"] {
            assert!(wrong.parse::<Serve>().is_err(), "{wrong}");
        }
    }
}
