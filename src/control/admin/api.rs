//! What is answered: one table of routes, and the way to the control plane's commands.
//!
//! Owns: paths, methods, status codes. Never: changes anything on a GET; commands are taken by POST
//! at the control socket, whose file says who may, and from the page where `actions` lets it.

use std::cell::Cell;
use std::convert::Infallible;
use std::rc::Rc;

use futures_lite::stream;
use http_body_util::BodyExt;
use http_body_util::Limited;
use hyper::HeaderMap;
use hyper::Method;
use hyper::Request;
use hyper::Response;
use hyper::StatusCode;
use hyper::body::Body;
use hyper::body::Incoming;
use percent_encoding::percent_decode_str;
use tracing::info;

use crate::base::PoolIdx;
use crate::control::HealthMeans;
use crate::control::actions::ACTIONS;
use crate::control::asked::Asked;
use crate::control::asked::Refused;
use crate::control::asked::Said;
use crate::control::event::Event;
use crate::control::shown::Shown;

use super::Patience;
use super::answer;
use super::answer::Answer;
use super::answer::JSON;
use super::answer::PROMETHEUS;
use super::history;
use super::metrics;
use super::page;
use super::query::Query;
use super::status;

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

/// What is answered at an endpoint.
pub(in crate::control) struct Api {
    endpoint: Endpoint,
    shown: Rc<Shown>,
}

/// What can be read at one path.
struct Route {
    path: &'static str,
    /// Also at the health port, which strangers may reach.
    public: bool,
    /// For whoever asks for a path that there is not.
    doc: &'static str,
    /// What may follow the question mark.
    parameters: &'static [&'static str],
    answer: fn(&Api, Query<'_>, &HeaderMap) -> Result<Answer, String>,
}

const ROUTES: &[Route] = &[
    Route {
        path: "/",
        public: false,
        doc: "a page for people",
        parameters: &[],
        answer: |_, _, _| Ok(page::answer()),
    },
    Route {
        path: "/health",
        public: true,
        doc: "200 while all workers are alive and the process is not draining, else 503",
        parameters: &[],
        answer: |api, _, _| Ok(api.health()),
    },
    Route {
        path: "/ready",
        public: true,
        doc: "200 while healthy and every pool can serve, else 503; /ready/<pool> for one",
        parameters: &[],
        answer: |api, _, _| Ok(api.ready()),
    },
    Route {
        path: "/weight",
        public: true,
        doc: "0 to 100: 0 unless ready, else the share of usable servers",
        parameters: &[],
        answer: |api, _, _| {
            let weight = api.shown.health.borrow().weight();
            Ok(Answer::text(StatusCode::OK, format!("{weight}\n")))
        },
    },
    Route {
        path: "/metrics",
        public: false,
        doc: "for Prometheus",
        parameters: &[],
        answer: |api, _, _| {
            let text = metrics::exposition(&api.shown);
            Ok(Answer::new(StatusCode::OK, PROMETHEUS, text))
        },
    },
    Route {
        path: "/stats",
        public: false,
        doc: "twemproxy's statistics",
        parameters: &[],
        answer: |api, _, _| Ok(Answer::new(StatusCode::OK, JSON, api.shown.stats.line())),
    },
    Route {
        path: "/api/status",
        public: false,
        doc: "all of it as JSON; ?pool=NAME for one pool",
        parameters: &["pool"],
        answer: |api, query, _| {
            let pool = query.text("pool")?;
            Ok(Answer::json(&status::report(&api.shown, pool.as_deref())?))
        },
    },
    Route {
        path: "/api/history",
        public: false,
        doc: "what pools have done in the last 15 minutes; ?since=STEP for what came after",
        parameters: &["since"],
        answer: |api, query, _| {
            let since = query.number("since")?;
            Ok(Answer::json(&history::report(&api.shown, since)))
        },
    },
    Route {
        path: "/api/events",
        public: false,
        doc: "the last events, the newest first; ?since=NUMBER for what came after",
        parameters: &["since"],
        answer: |api, query, _| {
            let events = api.shown.recent.after(query.number("since")?);
            Ok(Answer::json(&events))
        },
    },
    Route {
        path: "/api/slow",
        public: false,
        doc: "the latest slow requests, the newest first; ?pool=NAME for one pool, ?most=NUMBER of them, \
              ?since=NUMBER for what came after",
        parameters: &["pool", "most", "since"],
        answer: |api, query, _| slow(api, query),
    },
    Route {
        path: "/api/actions",
        public: false,
        doc: "what the page may ask for",
        parameters: &[],
        answer: |api, _, headers| Ok(Answer::json(&api.shown.actions.report(headers))),
    },
];

/// Commands have a few words.
const COMMAND_BYTES_MAX: usize = 4 << 10;

const COMMANDS_BELOW: &str = "/ctl/";

const ACTIONS_BELOW: &str = "/api/actions/";

impl Api {
    pub(in crate::control) fn new(endpoint: Endpoint, shown: &Rc<Shown>) -> Rc<Api> {
        let shown = Rc::clone(shown);
        Rc::new(Api { endpoint, shown })
    }

    pub(super) fn endpoint(&self) -> Endpoint {
        self.endpoint
    }

    pub(super) async fn answer(
        &self,
        request: Request<Incoming>,
        patience: &Cell<Patience>,
    ) -> Result<Response<answer::Body>, Infallible> {
        // Said before it comes: nobody has to send it for nothing.
        if request.body().size_hint().lower() > COMMAND_BYTES_MAX as u64 {
            return Ok(too_large().respond("GET, HEAD"));
        }
        let path = request.uri().path();
        let command = path
            .strip_prefix(COMMANDS_BELOW)
            .filter(|_| self.endpoint == Endpoint::Ctl)
            .map(str::to_owned);
        let (answer, allow) = match command {
            Some(name) if request.method() == Method::POST => {
                let body = request.into_body();
                (self.command(&name, body, patience).await, "POST")
            }
            Some(_) => (method_not_allowed(), "POST"),
            None if self.is_action(&request) => (self.action(&request, patience).await, "POST"),
            None => (self.read(&request).await, "GET, HEAD"),
        };
        Ok(answer.respond(allow))
    }

    fn is_action(&self, request: &Request<Incoming>) -> bool {
        let is_below = request.uri().path().starts_with(ACTIONS_BELOW);
        is_below && self.endpoint == Endpoint::Admin
    }

    async fn action(&self, request: &Request<Incoming>, patience: &Cell<Patience>) -> Answer {
        let name = request.uri().path().strip_prefix(ACTIONS_BELOW);
        let name = name.unwrap_or_default();
        if request.method() != Method::POST {
            return method_not_allowed();
        }
        if let Err(text) = self.shown.actions.check(request.headers()) {
            return Answer::text(StatusCode::FORBIDDEN, text);
        }
        if !ACTIONS.contains(&name) {
            let text = format!(
                "there is no action `{name}`; there are: {}\n",
                ACTIONS.join(", ")
            );
            return Answer::text(StatusCode::NOT_FOUND, text);
        }
        info!(action = name, "asked for by the status page");
        self.ask_loop(name, Vec::new(), patience).await
    }

    async fn read(&self, request: &Request<Incoming>) -> Answer {
        let path = request.uri().path();
        let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
        // Whoever only knows the health port's address means what that port means.
        let path = match self.endpoint {
            Endpoint::Health(HealthMeans::Live) if path == "/" => "/health",
            Endpoint::Health(HealthMeans::Ready) if path == "/" => "/ready",
            _ => path,
        };
        if let Some(pool) = path.strip_prefix("/ready/") {
            return match self.pool_ready(pool) {
                Some(answer) if is_read => answer,
                Some(_) => method_not_allowed(),
                None => self.not_found(),
            };
        }
        let Some(route) = self.routes().find(|route| route.path == path) else {
            return self.not_found();
        };
        if !is_read {
            return method_not_allowed();
        }
        if route.path == status::PATH {
            self.shown.work_out_shares().await;
        }
        let query = Query::new(route.path, request.uri().query());
        // A load balancer's check may carry whatever its owner has written there.
        let known = match route.public {
            true => Ok(()),
            false => query.has_only(route.parameters),
        };
        let answer = known.and_then(|()| (route.answer)(self, query, request.headers()));
        answer.unwrap_or_else(Answer::wrong)
    }

    fn routes(&self) -> impl Iterator<Item = &'static Route> {
        let endpoint = self.endpoint;
        let open = move |route: &&Route| route.public || !matches!(endpoint, Endpoint::Health(_));
        ROUTES.iter().filter(open)
    }

    fn health(&self) -> Answer {
        let health = self.shown.health.borrow();
        Answer::judged(health.is_healthy(), &health.report(self.shown.clock.now()))
    }

    fn ready(&self) -> Answer {
        let health = self.shown.health.borrow();
        Answer::judged(health.is_ready(), &health.ready_report())
    }

    fn pool_ready(&self, name: &str) -> Option<Answer> {
        let name = percent_decode_str(name).decode_utf8().ok()?;
        let health = self.shown.health.borrow();
        let mut pools = (0u16..).zip(health.pools());
        let (idx, pool) = pools.find(|(_, pool)| *pool.name == *name)?;
        let ready = health.is_healthy() && pool.is_ready();
        Some(Answer::judged(ready, &health.pool_report(PoolIdx(idx))))
    }

    fn not_found(&self) -> Answer {
        let mut text = "there is only:\n".to_owned();
        for route in self.routes() {
            text += &format!("{:<13} {}\n", route.path, route.doc);
        }
        Answer::text(StatusCode::NOT_FOUND, text)
    }

    // Arguments are the lines of the body.
    async fn command(&self, name: &str, body: Incoming, patience: &Cell<Patience>) -> Answer {
        if !(self.shown.is_command)(name) {
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
        let words = words.lines().map(str::to_owned).collect();
        self.ask_loop(name, words, patience).await
    }

    async fn ask_loop(&self, name: &str, words: Vec<String>, patience: &Cell<Patience>) -> Answer {
        let (asked, outcome) = Asked::new(name, words);
        self.shown.events.tell(Event::Ctl(asked));
        patience.set(Patience::Command);
        match outcome.outcome().await {
            Some(Ok(Said::Text(text))) => Answer::text(StatusCode::OK, text),
            Some(Ok(Said::Pieces(pieces))) => {
                patience.set(Patience::Endless);
                let state = (pieces, outcome.asker());
                Answer::pieces(stream::unfold(state, |(pieces, asker)| async move {
                    let piece = pieces.recv().await?;
                    Some((piece, (pieces, asker)))
                }))
            }
            Some(Err(Refused::Because(text))) => Answer::text(StatusCode::CONFLICT, text),
            Some(Err(Refused::AskAgain)) => {
                let text = "another process takes over: ask again\n";
                Answer::text(StatusCode::SERVICE_UNAVAILABLE, text)
            }
            None => Answer::text(StatusCode::INTERNAL_SERVER_ERROR, "no answer\n"),
        }
    }
}

fn slow(api: &Api, query: Query<'_>) -> Result<Answer, String> {
    let (pool, most) = (query.text("pool")?, query.number("most")?);
    let most = match usize::try_from(most) {
        // Without a number all of them.
        Ok(0) | Err(_) => usize::MAX,
        Ok(most) => most,
    };
    let telemetry = api.shown.telemetry.borrow();
    let slow: Vec<_> = telemetry
        .slow(pool.as_deref(), query.number("since")?)?
        .take(most)
        .collect();
    Ok(Answer::json(&slow))
}

fn too_large() -> Answer {
    let text = format!("a request has at most {COMMAND_BYTES_MAX} bytes\n");
    Answer::text(StatusCode::PAYLOAD_TOO_LARGE, text)
}

fn method_not_allowed() -> Answer {
    Answer::text(StatusCode::METHOD_NOT_ALLOWED, "not by this method\n")
}
