//! `coremux --check`: one question to a running proxy, and an exit code. For keepalived's
//! `vrrp_script` and `MISC_CHECK`, which start it every second or so.

use std::process::ExitCode;
use std::time::Duration;

use crate::process::cli::NAME;
use crate::process::fail;
use crate::process::http;
use crate::process::http::Request;

/// keepalived's intervals are whole seconds: a check must be over when the next one begins.
const WITHIN: Duration = Duration::from_secs(1);

/// `misc_dynamic` takes exit codes from 2 on for a weight.
const WEIGHT_ZERO: u8 = 2;

/// Asks the proxy at `target`: 0 if it is well and 1 if it is not, or 2 and its weight if
/// `dynamic`; 1 also if it does not answer in a second.
pub(super) fn run(target: &str, dynamic: bool) -> ExitCode {
    let (address, path) = split(target);
    let path = match (path, dynamic) {
        (Some(path), _) => path,
        (None, true) => "/weight",
        (None, false) => "/health",
    };
    let request = Request {
        method: "GET",
        path,
        body: "",
    };
    let answer = match http::ask(address, request, WITHIN) {
        Ok(answer) => answer,
        Err(error) => return fail(&format!("{NAME}: {target}: {error}\n")),
    };
    let weight = answer.body.trim().parse::<u8>().ok();
    match (answer.status, dynamic, weight) {
        (200, false, _) => ExitCode::SUCCESS,
        (200, true, Some(weight @ 0..=100)) => ExitCode::from(WEIGHT_ZERO + weight),
        (status, ..) => fail(&format!("{NAME}: {target}: {status} {}", answer.body)),
    }
}

/// `ip:port/ready` is two things; a Unix socket's path is one.
fn split(target: &str) -> (&str, Option<&str>) {
    match target.find('/') {
        None | Some(0) => (target, None),
        Some(slash) => (&target[..slash], Some(&target[slash..])),
    }
}

#[cfg(test)]
mod tests {
    use super::split;

    #[test]
    fn an_address_may_have_a_path_and_a_socket_is_one() {
        assert_eq!(split("127.0.0.1:1"), ("127.0.0.1:1", None));
        assert_eq!(split("[::1]:1/ready/a"), ("[::1]:1", Some("/ready/a")));
        assert_eq!(split("/run/x.sock"), ("/run/x.sock", None));
    }
}
