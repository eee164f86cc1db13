//! An answer before it is HTTP, and what every answer says in its head.
//!
//! Owns: the headers. Never: what is answered.

use std::convert::Infallible;
use std::pin::Pin;

use futures_lite::Stream;
use futures_lite::StreamExt;
use http_body_util::Either;
use http_body_util::Full;
use http_body_util::StreamBody;
use hyper::Response;
use hyper::StatusCode;
use hyper::body::Bytes;
use hyper::body::Frame;
use hyper::header;
use hyper::header::HeaderValue;
use serde::Serialize;

/// Bodies for programs.
pub(super) const JSON: &str = "application/json";
/// Bodies for people at a terminal.
pub(super) const TEXT: &str = "text/plain; charset=utf-8";
/// Bodies for people.
const HTML: &str = "text/html; charset=utf-8";
/// The version is part of the format's name.
pub(super) const PROMETHEUS: &str = "text/plain; version=0.0.4; charset=utf-8";

/// A body that goes on to come.
type Pieces = Pin<Box<dyn Stream<Item = Result<Frame<Bytes>, Infallible>>>>;

/// A body, whole or not.
pub(super) type Body = Either<Full<Bytes>, StreamBody<Pieces>>;

/// What is answered.
pub(super) struct Answer {
    status: StatusCode,
    kind: &'static str,
    body: Body,
    /// What a page may load and run; nothing unless it says so.
    policy: Option<String>,
}

impl Answer {
    pub(super) fn new(status: StatusCode, kind: &'static str, body: String) -> Answer {
        Answer {
            status,
            kind,
            body: Either::Left(Full::new(Bytes::from(body))),
            policy: None,
        }
    }

    /// A page, and its content security policy.
    pub(super) fn page(body: String, policy: impl Into<String>) -> Answer {
        let mut answer = Answer::new(StatusCode::OK, HTML, body);
        answer.policy = Some(policy.into());
        answer
    }

    /// 200 or 503, and a report.
    pub(super) fn judged(good: bool, body: &impl Serialize) -> Answer {
        let mut answer = Answer::json(body);
        if !good && answer.status == StatusCode::OK {
            answer.status = StatusCode::SERVICE_UNAVAILABLE;
        }
        answer
    }

    /// A report.
    pub(super) fn json(body: &impl Serialize) -> Answer {
        match serde_json::to_string(body) {
            Ok(body) => Answer::new(StatusCode::OK, JSON, body + "\n"),
            Err(error) => {
                let status = StatusCode::INTERNAL_SERVER_ERROR;
                Answer::text(status, format!("{error}\n"))
            }
        }
    }

    pub(super) fn text(status: StatusCode, text: impl Into<String>) -> Answer {
        Answer::new(status, TEXT, text.into())
    }

    /// Texts that go on to come.
    pub(super) fn pieces(pieces: impl Stream<Item = String> + 'static) -> Answer {
        let frames = pieces.map(|piece| Ok(Frame::data(Bytes::from(piece))));
        let mut answer = Answer::text(StatusCode::OK, "");
        answer.body = Either::Right(StreamBody::new(Box::pin(frames)));
        answer
    }

    /// The request is wrong, and what would be right.
    pub(super) fn wrong(text: impl Into<String>) -> Answer {
        Answer::text(StatusCode::BAD_REQUEST, text)
    }

    /// As HTTP; `allow` are the methods that would do.
    pub(super) fn respond(self, allow: &'static str) -> Response<Body> {
        let mut response = Response::new(self.body);
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        let mut put = |name, value| headers.insert(name, HeaderValue::from_static(value));
        put(header::CONTENT_TYPE, self.kind);
        put(header::CACHE_CONTROL, "no-store");
        put(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
        put(header::REFERRER_POLICY, "no-referrer");
        // No page of another site reads or frames what is answered here.
        put(
            header::HeaderName::from_static("cross-origin-resource-policy"),
            "same-origin",
        );
        if self.status == StatusCode::METHOD_NOT_ALLOWED {
            put(header::ALLOW, allow);
        }
        let policy = self.policy.and_then(|policy| policy.try_into().ok());
        let nothing = HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'");
        headers.insert(header::CONTENT_SECURITY_POLICY, policy.unwrap_or(nothing));
        response
    }
}
