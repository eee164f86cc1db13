//! What is answered: one table of routes, and the way to the control plane's commands.
//!
//! Owns: paths, methods, status codes. Never: changes anything on a GET; commands are taken by POST
//! at the control socket only, whose file says who may.

use std::cell::Cell;
use std::cell::RefCell;
use std::convert::Infallible;
use std::rc::Rc;

use http_body_util::BodyExt;
use http_body_util::Full;
use http_body_util::Limited;
use hyper::Method;
use hyper::Request;
use hyper::Response;
use hyper::StatusCode;
use hyper::body::Body;
use hyper::body::Bytes;
use hyper::body::Incoming;
use hyper::header;
use hyper::header::HeaderValue;
use percent_encoding::percent_decode_str;
use serde::Serialize;

use crate::base::PoolIdx;
use crate::control::HealthMeans;
use crate::control::StatsSource;
use crate::control::asked::Asked;
use crate::control::asked::Refused;
use crate::control::clock::Clock;
use crate::control::event::Event;
use crate::control::event::Events;
use crate::control::health::Health;

use super::metrics;
use super::page;

/// Where a connection came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::control) enum Endpoint {
    /// `--admin`: everything that can be read.
    Admin,
    /// `--health`: what a load balancer needs.
    Health(HealthMeans),
    /// `--ctl`: everything that can be read, and commands.
    Ctl,
}

impl Endpoint {
    pub(super) fn name(self) -> &'static str {
        match self {
            Endpoint::Admin => "admin",
            Endpoint::Health(_) => "health",
            Endpoint::Ctl => "ctl",
        }
    }
}

/// All that an answer is made from.
pub(in crate::control) struct Api {
    endpoint: Endpoint,
    pub(super) health: Rc<RefCell<Health>>,
    pub(super) stats: Rc<StatsSource>,
    pub(super) clock: Clock,
    events: Events,
    /// What `ctl` knows.
    is_command: fn(&str) -> bool,
}

/// An answer, before it is HTTP.
struct Answer {
    status: StatusCode,
    kind: &'static str,
    body: String,
}

const JSON: &str = "application/json";
const TEXT: &str = "text/plain; charset=utf-8";
const HTML: &str = "text/html; charset=utf-8";
/// The version is part of the format's name.
const PROMETHEUS: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What can be read at one path.
struct Route {
    path: &'static str,
    /// Also at the health port, which strangers may reach.
    public: bool,
    /// For whoever asks for a path that there is not.
    doc: &'static str,
    answer: fn(&Api) -> Answer,
}

const ROUTES: &[Route] = &[
    Route {
        path: "/",
        public: false,
        doc: "a page for people",
        answer: |api| Answer::new(StatusCode::OK, HTML, page::status(api)),
    },
    Route {
        path: "/health",
        public: true,
        doc: "200 while all workers are alive and the process is not draining, else 503",
        answer: Api::health,
    },
    Route {
        path: "/ready",
        public: true,
        doc: "200 while healthy and every pool can serve, else 503; /ready/<pool> for one",
        answer: Api::ready,
    },
    Route {
        path: "/weight",
        public: true,
        doc: "0 to 100: 0 unless ready, else the share of usable servers",
        answer: |api| {
            let weight = api.health.borrow().weight();
            Answer::new(StatusCode::OK, TEXT, format!("{weight}\n"))
        },
    },
    Route {
        path: "/metrics",
        public: false,
        doc: "for Prometheus",
        answer: |api| Answer::new(StatusCode::OK, PROMETHEUS, metrics::exposition(api)),
    },
    Route {
        path: "/stats",
        public: false,
        doc: "twemproxy's statistics",
        answer: |api| Answer::new(StatusCode::OK, JSON, api.stats.line()),
    },
];

/// Commands have a few words.
const COMMAND_BYTES_MAX: usize = 4 << 10;

const COMMANDS_BELOW: &str = "/ctl/";

impl Answer {
    fn new(status: StatusCode, kind: &'static str, body: String) -> Answer {
        Answer { status, kind, body }
    }

    fn json(good: bool, body: &impl Serialize) -> Answer {
        let status = match good {
            true => StatusCode::OK,
            false => StatusCode::SERVICE_UNAVAILABLE,
        };
        match serde_json::to_string(body) {
            Ok(body) => Answer::new(status, JSON, body + "\n"),
            Err(error) => {
                let status = StatusCode::INTERNAL_SERVER_ERROR;
                Answer::new(status, TEXT, format!("{error}\n"))
            }
        }
    }

    fn text(status: StatusCode, text: impl Into<String>) -> Answer {
        Answer::new(status, TEXT, text.into())
    }
}

impl Api {
    pub(in crate::control) fn new(
        endpoint: Endpoint,
        health: &Rc<RefCell<Health>>,
        stats: &Rc<StatsSource>,
        clock: Clock,
        events: &Events,
        is_command: fn(&str) -> bool,
    ) -> Rc<Api> {
        Rc::new(Api {
            endpoint,
            health: Rc::clone(health),
            stats: Rc::clone(stats),
            clock,
            events: events.clone(),
            is_command,
        })
    }

    pub(super) fn endpoint(&self) -> Endpoint {
        self.endpoint
    }

    pub(super) async fn answer(
        &self,
        request: Request<Incoming>,
        commanded: &Cell<bool>,
    ) -> Result<Response<Full<Bytes>>, Infallible> {
        // Said before it comes: nobody has to send it for nothing.
        if request.body().size_hint().lower() > COMMAND_BYTES_MAX as u64 {
            return Ok(respond(too_large(), "GET, HEAD"));
        }
        let path = request.uri().path();
        let command = path
            .strip_prefix(COMMANDS_BELOW)
            .filter(|_| self.endpoint == Endpoint::Ctl)
            .map(str::to_owned);
        let (answer, allow) = match command {
            Some(name) if request.method() == Method::POST => {
                let body = request.into_body();
                (self.command(&name, body, commanded).await, "POST")
            }
            Some(_) => (method_not_allowed(), "POST"),
            None => match (self.read(path), request.method()) {
                (Some(answer), &Method::GET | &Method::HEAD) => (answer, "GET, HEAD"),
                (Some(_), _) => (method_not_allowed(), "GET, HEAD"),
                (None, _) => (self.not_found(), "GET, HEAD"),
            },
        };
        Ok(respond(answer, allow))
    }

    fn read(&self, path: &str) -> Option<Answer> {
        // Whoever only knows the health port's address means what that port means.
        match self.endpoint {
            Endpoint::Health(HealthMeans::Live) if path == "/" => return Some(self.health()),
            Endpoint::Health(HealthMeans::Ready) if path == "/" => return Some(self.ready()),
            _ => {}
        }
        if let Some(pool) = path.strip_prefix("/ready/") {
            return self.pool_ready(pool);
        }
        let route = self.routes().find(|route| route.path == path)?;
        Some((route.answer)(self))
    }

    fn routes(&self) -> impl Iterator<Item = &'static Route> {
        let endpoint = self.endpoint;
        let open = move |route: &&Route| route.public || !matches!(endpoint, Endpoint::Health(_));
        ROUTES.iter().filter(open)
    }

    fn health(&self) -> Answer {
        let health = self.health.borrow();
        Answer::json(health.is_healthy(), &health.report(self.clock.now()))
    }

    fn ready(&self) -> Answer {
        let health = self.health.borrow();
        Answer::json(health.is_ready(), &health.ready_report())
    }

    fn pool_ready(&self, name: &str) -> Option<Answer> {
        let name = percent_decode_str(name).decode_utf8().ok()?;
        let health = self.health.borrow();
        let mut pools = (0u16..).zip(health.pools());
        let (idx, pool) = pools.find(|(_, pool)| *pool.name == *name)?;
        let ready = health.is_healthy() && pool.is_ready();
        Some(Answer::json(ready, &health.pool_report(PoolIdx(idx))))
    }

    fn not_found(&self) -> Answer {
        let mut text = "there is only:\n".to_owned();
        for route in self.routes() {
            text += &format!("{:<10} {}\n", route.path, route.doc);
        }
        Answer::text(StatusCode::NOT_FOUND, text)
    }

    // Arguments are the lines of the body.
    async fn command(&self, name: &str, body: Incoming, commanded: &Cell<bool>) -> Answer {
        if !(self.is_command)(name) {
            let text = format!("there is no command `{name}`\n");
            return Answer::text(StatusCode::NOT_FOUND, text);
        }
        let body = match Limited::new(body, COMMAND_BYTES_MAX).collect().await {
            Ok(body) => body.to_bytes(),
            Err(_) => return too_large(),
        };
        let Ok(words) = std::str::from_utf8(&body) else {
            return Answer::text(StatusCode::BAD_REQUEST, "arguments are UTF-8\n");
        };
        let (asked, outcome) = Asked::new(name, words.lines().map(str::to_owned).collect());
        self.events.tell(Event::Ctl(asked));
        commanded.set(true);
        match outcome.recv().await {
            Some(Ok(text)) => Answer::text(StatusCode::OK, text),
            Some(Err(Refused::Because(text))) => Answer::text(StatusCode::CONFLICT, text),
            Some(Err(Refused::AskAgain)) => {
                let text = "another process takes over: ask again\n";
                Answer::text(StatusCode::SERVICE_UNAVAILABLE, text)
            }
            None => Answer::text(StatusCode::INTERNAL_SERVER_ERROR, "no answer\n"),
        }
    }
}

fn too_large() -> Answer {
    let text = format!("a request has at most {COMMAND_BYTES_MAX} bytes\n");
    Answer::text(StatusCode::PAYLOAD_TOO_LARGE, text)
}

fn method_not_allowed() -> Answer {
    Answer::text(StatusCode::METHOD_NOT_ALLOWED, "not by this method\n")
}

fn respond(answer: Answer, allow: &'static str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(answer.body)));
    *response.status_mut() = answer.status;
    let headers = response.headers_mut();
    let mut put = |name, value| headers.insert(name, HeaderValue::from_static(value));
    put(header::CONTENT_TYPE, answer.kind);
    put(header::CACHE_CONTROL, "no-store");
    put(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    if answer.kind == HTML {
        let policy = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'";
        put(header::CONTENT_SECURITY_POLICY, policy);
    }
    if answer.status == StatusCode::METHOD_NOT_ALLOWED {
        put(header::ALLOW, allow);
    }
    response
}
