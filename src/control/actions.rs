//! What the page may ask for where `--admin-actions` allows it, and that it is the page who asks.
//!
//! Owns: the actions, the token, what a request must have. Never: what an action does, which is
//! `ctl`'s.
//!
//! A page of another site can make a browser send requests here. It cannot read an answer, and so
//! not the token; it cannot set a header of ours without being refused first; and its `Origin` is
//! its own. A name that it has made lead to this host is none of the names by which the page is
//! known. Whoever reaches the port by other programs is not kept out: that is the address's work.

use std::fmt::Write;
use std::net::IpAddr;

use hyper::HeaderMap;
use hyper::header;
use serde::Serialize;

use crate::control::AdminActions;

/// What may be asked for: rows of `ctl`, without arguments.
pub(super) const ACTIONS: [&str; 3] = ["drain", "undrain", "reload"];

/// Carries the token. No form and no link can set it.
const TOKEN: &str = "x-coremux-token";

/// The guard of a process.
#[derive(Debug)]
pub(super) struct Actions {
    allowed: Option<AdminActions>,
    token: String,
}

/// The body of `/api/actions`.
#[derive(Debug, Serialize)]
pub(super) struct Report<'a> {
    enabled: bool,
    actions: &'static [&'static str],
    token: Option<&'a str>,
}

impl Actions {
    /// Nothing is allowed unless somebody said so.
    pub(super) fn new(allowed: Option<AdminActions>) -> Actions {
        let token = random_word();
        Actions { allowed, token }
    }

    /// What the page shows, and the token, for whoever came by a name of ours.
    pub(super) fn report(&self, headers: &HeaderMap) -> Report<'_> {
        let enabled = self.allowed.as_ref();
        let enabled = enabled.is_some_and(|allowed| host(headers, allowed).is_ok());
        Report {
            enabled,
            actions: if enabled { &ACTIONS } else { &[] },
            token: enabled.then_some(&*self.token),
        }
    }

    /// Whether a request for an action comes from the page.
    ///
    /// # Errors
    ///
    /// A line that says what it lacks.
    pub(super) fn check(&self, headers: &HeaderMap) -> Result<(), String> {
        let Some(allowed) = &self.allowed else {
            let text =
                "actions are off: start the proxy with --admin-actions, or use `coremux ctl`\n";
            return Err(text.to_owned());
        };
        let host = host(headers, allowed)?;
        let site = text(headers, "sec-fetch-site");
        if site.is_some_and(|site| site != "same-origin") {
            return Err("this is for the status page itself, not for another site\n".to_owned());
        }
        let origin = text(headers, header::ORIGIN.as_str()).unwrap_or_default();
        let (_, from) = origin.split_once("://").unwrap_or_default();
        if !from.eq_ignore_ascii_case(host) {
            return Err(format!("`Origin` must be the page's own, http://{host}\n"));
        }
        match text(headers, TOKEN) {
            Some(token) if is_same(token, &self.token) => Ok(()),
            _ => Err(format!("`{TOKEN}` must be the token of /api/actions\n")),
        }
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// The `Host` of a request, if it is an address, or a name of ours: any other name may have been made
/// to lead here by somebody else.
fn host<'a>(headers: &'a HeaderMap, allowed: &AdminActions) -> Result<&'a str, String> {
    let host = text(headers, header::HOST.as_str()).unwrap_or_default();
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let bare = name.strip_prefix('[').and_then(|n| n.strip_suffix(']'));
    let is_address = bare.unwrap_or(name).parse::<IpAddr>().is_ok();
    let is_ours = |ours: &String| name.eq_ignore_ascii_case(ours);
    match is_address || allowed.names.iter().any(is_ours) {
        true => Ok(host),
        false => Err(format!(
            "`Host` must be an IP address or one of: {}\n",
            allowed.names.join(", ")
        )),
    }
}

// Takes as long whatever is wrong.
fn is_same(one: &str, other: &str) -> bool {
    let pairs = one.bytes().zip(other.bytes());
    one.len() == other.len() && pairs.fold(0, |differs, (a, b)| differs | (a ^ b)) == 0
}

/// 128 bits that nobody guesses, in hexadecimal.
pub(super) fn random_word() -> String {
    let mut bytes = [0; 16];
    // With so few bytes it fails only on a kernel from before io_uring.
    let filled = rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty());
    assert_eq!(filled, Ok(bytes.len()), "the kernel has random bytes");
    bytes.iter().fold(String::new(), |mut word, byte| {
        write!(word, "{byte:02x}").expect("a String takes all that is written");
        word
    })
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderName;
    use hyper::header::HeaderValue;

    use super::*;

    fn actions() -> Actions {
        let names = ["localhost", "proxy-1"].map(str::to_owned).to_vec();
        Actions::new(Some(AdminActions { names }))
    }

    fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
        let lines = lines.iter().map(|(name, value)| {
            let value = HeaderValue::from_str(value).unwrap();
            (HeaderName::from_static(name), value)
        });
        lines.collect()
    }

    #[test]
    fn the_page_itself_is_let_through_by_every_name_of_ours() {
        let actions = actions();
        for host in [
            "127.0.0.1:8080",
            "[::1]:8080",
            "localhost:1",
            "Proxy-1",
            "10.0.0.1",
        ] {
            for site in [&[("sec-fetch-site", "same-origin")][..], &[]] {
                let origin = format!("http://{host}");
                let own = [("host", host), ("origin", &origin), (TOKEN, &actions.token)];
                let headers = headers(&[&own[..], site].concat());
                assert_eq!(actions.check(&headers), Ok(()), "{host}");
                let report = actions.report(&headers);
                assert_eq!(report.token, Some(&*actions.token));
            }
        }
    }

    #[test]
    fn whoever_lacks_one_thing_is_told_and_refused() {
        let actions = actions();
        let good = [
            ("host", "127.0.0.1:8080"),
            ("origin", "http://127.0.0.1:8080"),
            ("sec-fetch-site", "same-origin"),
            (TOKEN, &actions.token),
        ];
        let wrong = |name: &str, value: Option<&str>| {
            let lines = good.iter().filter(|(known, _)| *known != name);
            let mut all: Vec<(&'static str, &str)> = lines.copied().collect();
            let name = good.iter().find(|(known, _)| *known == name).unwrap().0;
            all.extend(value.map(|value| (name, value)));
            actions.check(&headers(&all)).unwrap_err()
        };
        for value in [
            None,
            Some("evil.example:8080"),
            Some(""),
            Some("127.0.0.1.evil.example"),
        ] {
            assert!(wrong("host", value).starts_with("`Host` must be"));
        }
        for value in [
            None,
            Some("null"),
            Some("http://evil.example"),
            Some("http://127.0.0.1:8081"),
            Some("http://127.0.0.1:8080.evil.example"),
            Some("127.0.0.1:8080"),
        ] {
            assert!(
                wrong("origin", value).starts_with("`Origin` must be"),
                "{value:?}"
            );
        }
        for value in ["cross-site", "same-site", "none", ""] {
            assert!(wrong("sec-fetch-site", Some(value)).contains("not for another site"));
        }
        let longer = format!("{}0", actions.token);
        for value in [None, Some(""), Some(&*longer), Some(&longer[1..])] {
            assert!(wrong(TOKEN, value).contains("must be the token"));
        }
    }

    #[test]
    fn nothing_is_allowed_unless_somebody_said_so_and_no_other_name_gets_the_token() {
        let off = Actions::new(None);
        let own = headers(&[("host", "127.0.0.1:8080")]);
        assert!(off.check(&own).unwrap_err().contains("--admin-actions"));
        assert!(!off.report(&own).enabled && off.report(&own).token.is_none());
        let rebound = headers(&[("host", "evil.example:8080")]);
        assert!(actions().report(&rebound).token.is_none());
        assert!(actions().report(&HeaderMap::new()).token.is_none());
    }

    #[test]
    fn no_two_words_are_alike() {
        let (one, other) = (random_word(), random_word());
        assert!(one != other && one.len() == 32);
        assert!(one.bytes().all(|byte| byte.is_ascii_hexdigit()));
    }
}
