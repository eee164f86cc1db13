//! Other protocols, known by how they begin: who speaks one would wait for ever for the end of a
//! line, or have its lines taken for commands.
//!
//! Owns: what no request begins with. Never: refuses what Redis would execute.

use std::fmt;

/// A protocol that is not RESP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Foreign {
    /// A handshake record (RFC 8446, 5.1).
    Tls,
    /// memcached: protocol_binary.h, the magic of requests.
    MemcachedBinary,
    /// A browser that was made to talk to us: Redis, too, hangs up at `POST` and `Host:` (redis:
    /// src/networking.c, securityWarningCommand), before the lines behind them are obeyed.
    Http,
    /// The preface of RFC 9113, 3.4.
    Http2,
    /// What load balancers put before a connection (haproxy: doc/proxy-protocol.txt).
    ProxyProtocol,
}

impl fmt::Display for Foreign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Foreign::Tls => "TLS",
            Foreign::MemcachedBinary => "memcached's binary protocol",
            Foreign::Http => "HTTP",
            Foreign::Http2 => "HTTP/2",
            Foreign::ProxyProtocol => "the PROXY protocol",
        })
    }
}

/// HTTP's methods that servers know, `GET` among them: with three words it is no command.
const METHODS: [&[u8]; 9] = [
    b"GET", b"HEAD", b"POST", b"PUT", b"DELETE", b"OPTIONS", b"PATCH", b"CONNECT", b"TRACE",
];

impl Foreign {
    /// By the first byte of a line, which is enough where no line ever ends.
    pub(in crate::protocol) fn by_first_byte(byte: u8) -> Option<Foreign> {
        match byte {
            0x16 => Some(Foreign::Tls),
            0x80 => Some(Foreign::MemcachedBinary),
            // Its second version; its two empty lines before this have asked nothing.
            0 => Some(Foreign::ProxyProtocol),
            _ => None,
        }
    }

    /// By the words of a line.
    pub(in crate::protocol) fn by_words(words: &[Vec<u8>]) -> Option<Foreign> {
        let words: Vec<&[u8]> = words.iter().map(Vec::as_slice).collect();
        match words.as_slice() {
            [b"PRI", b"*", b"HTTP/2.0"] => Some(Foreign::Http2),
            [method, _, version] if METHODS.contains(method) && version.starts_with(b"HTTP/") => {
                Some(Foreign::Http)
            }
            [b"PROXY", b"TCP4" | b"TCP6" | b"UNKNOWN", ..] => Some(Foreign::ProxyProtocol),
            [first, ..]
                if first.eq_ignore_ascii_case(b"post") || first.eq_ignore_ascii_case(b"host:") =>
            {
                Some(Foreign::Http)
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(line: &str) -> Option<Foreign> {
        let words = line.split(' ').map(|word| word.as_bytes().to_vec());
        Foreign::by_words(&words.collect::<Vec<_>>())
    }

    #[test]
    fn other_protocols_are_known_by_their_words() {
        assert_eq!(of("GET / HTTP/1.1"), Some(Foreign::Http));
        assert_eq!(of("OPTIONS * HTTP/1.0"), Some(Foreign::Http));
        assert_eq!(of("post /"), Some(Foreign::Http));
        assert_eq!(of("Host: a"), Some(Foreign::Http));
        assert_eq!(of("PRI * HTTP/2.0"), Some(Foreign::Http2));
        let proxied = "PROXY TCP4 10.0.0.1 10.0.0.2 1 2";
        assert_eq!(of(proxied), Some(Foreign::ProxyProtocol));
        assert_eq!(of("PROXY UNKNOWN"), Some(Foreign::ProxyProtocol));
    }

    #[test]
    fn what_redis_would_execute_is_none_of_them() {
        for line in [
            "SET key HTTP/1.1",
            "GET HTTP/1.1",
            "get / http/1.1",
            "DEL a HTTP/1.1 b",
            "PRI",
            "PROXY",
            "",
        ] {
            assert_eq!(of(line), None, "{line}");
        }
        for byte in b"*$ \r\n\t\"'Aa~+-:" {
            assert_eq!(Foreign::by_first_byte(*byte), None);
        }
    }
}
