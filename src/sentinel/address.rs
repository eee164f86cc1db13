//! An address as Sentinels write it: a host and a port, each a text.
//!
//! Never: resolves a name. A host that is no IP address is a name (`announce-hostnames yes`), also
//! `fe80::1%eth0`, which the resolver knows.

use std::net::IpAddr;
use std::net::SocketAddr;
use std::sync::Arc;

use crate::config::HostPort;

/// A name has at most 253 characters (RFC 1035), an IPv6 address with a scope far fewer.
const HOST_BYTES_MAX: usize = 255;

/// The address, if it can be one.
pub(super) fn parse(host: &[u8], port: &[u8]) -> Option<HostPort> {
    let port = number(port)
        .and_then(|port| u16::try_from(port).ok())
        .filter(|port| *port != 0)?;
    let host = std::str::from_utf8(host).ok()?;
    let odd = |c: char| c.is_whitespace() || c.is_control();
    if host.is_empty() || host.len() > HOST_BYTES_MAX || host.contains(odd) {
        return None;
    }
    Some(match host.parse::<IpAddr>() {
        Ok(ip) => HostPort::Ip(SocketAddr::new(ip, port)),
        Err(_) => HostPort::Name {
            host: Arc::from(host),
            port,
        },
    })
}

/// A number of digits only.
pub(super) fn number(text: &[u8]) -> Option<u64> {
    let decimal = !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    let text = std::str::from_utf8(text).ok().filter(|_| decimal)?;
    text.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_an_ip_of_either_kind_or_a_name() {
        let read = |host: &str, port: &str| {
            parse(host.as_bytes(), port.as_bytes()).map(|address| address.to_string())
        };
        for (host, text) in [
            ("10.0.0.1", "10.0.0.1:6379"),
            ("::1", "[::1]:6379"),
            ("2001:db8::17", "[2001:db8::17]:6379"),
            ("redis-1.example", "redis-1.example:6379"),
            ("fe80::1%eth0", "fe80::1%eth0:6379"),
        ] {
            assert_eq!(read(host, "6379").as_deref(), Some(text));
        }
        let long = "a".repeat(256);
        for (host, port) in [
            ("", "6379"),
            ("a b", "6379"),
            ("a\n", "6379"),
            (&long, "6379"),
            ("10.0.0.1", "0"),
            ("10.0.0.1", "65536"),
            ("10.0.0.1", "+1"),
            ("10.0.0.1", ""),
            ("10.0.0.1", "99999999999999999999999"),
        ] {
            assert_eq!(read(host, port), None, "{host:?} {port:?}");
        }
        assert_eq!(parse(b"\xff", b"1"), None);
    }
}
