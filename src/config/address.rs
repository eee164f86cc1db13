//! `listen:` and the items of `servers:`, and a server's identity.
//!
//! Owns: twemproxy's grammar of addresses (`conf_set_listen` and `conf_add_server` in
//! `src/nc_conf.c`), read from the end so that IPv6 needs no brackets. Never: resolves a name.

use std::net::IpAddr;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::Arc;

use crate::config::endpoint::HostPort;
use crate::config::endpoint::ListenAddress;
use crate::config::endpoint::ServerAddress;
use crate::config::endpoint::ServerConfig;
use crate::config::error::ConfigErrorKind;
use crate::config::scalar;
use crate::config::warning::WarningKind;

/// The longest path that fits, with its NUL, into `sun_path` (unix(7)).
const UNIX_PATH_MAX: usize = 107;

/// A server without a name on memcached's port is placed by its host alone, as libmemcached does
/// (twemproxy: `CONF_DEFAULT_KETAMA_PORT`).
const KETAMA_PORT: u16 = 11211;

/// A value, and what is odd about it.
pub(super) type Odd<T> = (T, Option<WarningKind>);

/// `host:port`, or `/path`, or `/path mode`.
pub(super) fn listen(text: &str) -> Result<Odd<ListenAddress>, ConfigErrorKind> {
    if text.starts_with('/') {
        return listen_unix(text);
    }
    let refused = |why| ConfigErrorKind::NotAListenAddress {
        found: text.to_owned(),
        why,
    };
    let (host, port) = text.rsplit_once(':').ok_or_else(|| refused("no port"))?;
    let port = parse_port(port).ok_or_else(|| refused("the port is not 1 to 65535"))?;
    if host.is_empty() {
        return Err(refused("no host; 0.0.0.0 is every address of this host"));
    }
    // twemproxy resolves while it reads; here what no resolver can know is refused, the rest is
    // resolved when the listener is opened.
    if !could_be_a_host(host) {
        return Err(refused("no such host can be; 0.0.0.0 is every address"));
    }
    let warning = (host == "*").then_some(WarningKind::ListensOnStar);
    Ok((ListenAddress::Tcp(host_port(host, port)), warning))
}

fn listen_unix(text: &str) -> Result<Odd<ListenAddress>, ConfigErrorKind> {
    let (path, mode) = match text.rsplit_once(' ') {
        None => (text, None),
        Some((path, mode)) => (path, Some(mode)),
    };
    if path.len() > UNIX_PATH_MAX {
        return Err(ConfigErrorKind::PathTooLong {
            bytes: path.len(),
            limit: UNIX_PATH_MAX,
        });
    }
    let (mode, warning) = match mode {
        None | Some("") => (None, None),
        Some(text) => parse_mode(text)?,
    };
    let path = PathBuf::from(path);
    Ok((ListenAddress::Unix { path, mode }, warning))
}

/// Octal, read as C's `strtol` reads: up to the first other character, a plus sign allowed. Mode
/// 0, also of a text without a digit, leaves the umask's, as in twemproxy.
fn parse_mode(text: &str) -> Result<Odd<Option<u32>>, ConfigErrorKind> {
    let octal = text.strip_prefix('+').unwrap_or(text);
    let end = octal.find(|c: char| !c.is_digit(8)).unwrap_or(octal.len());
    let (digits, rest) = octal.split_at(end);
    let mode = match digits {
        "" => 0,
        _ => u32::from_str_radix(digits, 8).unwrap_or(u32::MAX),
    };
    if mode > 0o777 || text.starts_with('-') {
        return Err(ConfigErrorKind::NotAMode {
            found: text.to_owned(),
        });
    }
    let odd = digits.is_empty() || !rest.is_empty();
    let warning = odd.then(|| WarningKind::OddMode {
        found: text.to_owned(),
        mode,
    });
    Ok((Some(mode).filter(|mode| *mode != 0), warning))
}

/// `host:port:weight`, or `/path:weight`, either with ` name` at the end.
pub(super) fn server(text: &str) -> Result<Odd<ServerConfig>, ConfigErrorKind> {
    let refused = |why| ConfigErrorKind::NotAServer {
        found: text.to_owned(),
        why,
    };
    let (place, name) = match text.rsplit_once(' ') {
        None => (text, None),
        Some((place, name)) => (place, Some(name)),
    };
    let (address, weight) = place.rsplit_once(':').ok_or_else(|| refused("no weight"))?;
    let weight =
        parse_weight(weight).ok_or_else(|| refused("the weight is not 1 to 2147483647"))?;
    let (address, identity) = if text.starts_with('/') {
        // twemproxy's text includes the colon before the weight.
        let identity = format!("{address}:");
        (ServerAddress::Unix(PathBuf::from(address)), identity)
    } else {
        let (host, port_text) = address.rsplit_once(':').ok_or_else(|| refused("no port"))?;
        let port = parse_port(port_text).ok_or_else(|| refused("the port is not 1 to 65535"))?;
        let identity = match port {
            KETAMA_PORT => host.to_owned(),
            _ => format!("{host}:{port_text}"),
        };
        (ServerAddress::Tcp(host_port(host, port)), identity)
    };
    let warning = odd_server(&address, name);
    let server = ServerConfig {
        name: Arc::from(name.unwrap_or(&identity)),
        named: name.is_some(),
        address,
        weight,
    };
    Ok((server, warning))
}

/// `host:port`, `[ip6]:port`, or as twemproxy's forks write it, like a server. The weight and the
/// name are of no use here.
pub(super) fn sentinel(text: &str) -> Result<HostPort, ConfigErrorKind> {
    let refused = |why| ConfigErrorKind::NotASentinel {
        found: text.to_owned(),
        why,
    };
    let place = text.split_once(' ').map_or(text, |(place, _name)| place);
    // `::1:26379:1` can be read in two ways; in brackets it cannot.
    let colons = match place.rsplit_once(']') {
        Some((_, rest)) => rest.matches(':').count(),
        None => place.matches(':').count(),
    };
    let address = match colons {
        0 => return Err(refused("no port")),
        1 => place,
        2 => {
            let (address, weight) = place.rsplit_once(':').ok_or_else(|| refused("no port"))?;
            parse_weight(weight).ok_or_else(|| refused("the weight is not 1 to 2147483647"))?;
            address
        }
        _ => return Err(refused("an IPv6 address needs brackets here")),
    };
    let (host, port) = address.rsplit_once(':').ok_or_else(|| refused("no port"))?;
    let port = parse_port(port).ok_or_else(|| refused("the port is not 1 to 65535"))?;
    if !could_be_a_host(host) {
        return Err(refused("no such host can be"));
    }
    Ok(host_port(host, port))
}

/// twemproxy takes these; none can work as it is meant.
fn odd_server(address: &ServerAddress, name: Option<&str>) -> Option<WarningKind> {
    match address {
        _ if name == Some("") => Some(WarningKind::EmptyServerName),
        ServerAddress::Unix(path) if path.as_os_str().len() > UNIX_PATH_MAX => {
            Some(WarningKind::ServerPathTooLong {
                limit: UNIX_PATH_MAX,
            })
        }
        ServerAddress::Tcp(HostPort::Name { host, .. }) if !could_be_a_host(host) => {
            Some(WarningKind::ServerHostCannotBe {
                host: host.to_string(),
            })
        }
        ServerAddress::Unix(_) | ServerAddress::Tcp(_) => None,
    }
}

fn host_port(host: &str, port: u16) -> HostPort {
    let inner = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'));
    match inner.unwrap_or(host).parse::<IpAddr>() {
        // `[127.0.0.1]` is not an address anywhere.
        Ok(ip) if inner.is_none() || ip.is_ipv6() => HostPort::Ip(SocketAddr::new(ip, port)),
        Ok(_) | Err(_) => HostPort::Name {
            host: Arc::from(host),
            port,
        },
    }
}

/// Whether a resolver could know `host`: an address, `fe80::1%eth0`, a name, `127.1`, `*`.
fn could_be_a_host(host: &str) -> bool {
    let address = host
        .split_once('%')
        .map_or(host, |(address, _scope)| address);
    if matches!(host_port(address, 1), HostPort::Ip(_)) {
        return true;
    }
    let odd = |c: char| c.is_whitespace() || c.is_control() || ":[]/\\\"'".contains(c);
    !(host.is_empty() || host.contains(odd))
}

fn parse_port(text: &str) -> Option<u16> {
    scalar::digits(text)
        .and_then(|port| u16::try_from(port).ok())
        .filter(|port| *port != 0)
}

fn parse_weight(text: &str) -> Option<NonZeroU32> {
    scalar::at_least_one(text).ok()
}

#[cfg(test)]
mod tests {
    use super::listen;
    use super::sentinel;
    use super::server;
    use crate::config::endpoint::HostPort;
    use crate::config::endpoint::ListenAddress;
    use crate::config::endpoint::ServerAddress;
    use crate::config::warning::WarningKind;
    use std::path::PathBuf;

    /// A server's identity and whether it was named.
    fn identity(text: &str) -> (String, bool) {
        let (server, _) = server(text).unwrap();
        (server.name.to_string(), server.named)
    }

    #[test]
    fn a_server_without_a_name_is_its_text_by_twemproxys_rules() {
        let unnamed = [
            ("127.0.0.1:6379:1", "127.0.0.1:6379"),
            ("127.0.0.1:06379:1", "127.0.0.1:06379"),
            ("cache:11211:1", "cache"),
            ("cache:011211:1", "cache"),
            ("::1:6379:1", "::1:6379"),
            ("[::1]:6379:1", "[::1]:6379"),
            ("/run/redis.sock:1", "/run/redis.sock:"),
            ("/run/a:b:1", "/run/a:b:"),
        ];
        for (text, name) in unnamed {
            assert_eq!(identity(text), (name.to_owned(), false), "{text}");
        }
    }

    #[test]
    fn a_name_is_what_follows_the_last_blank() {
        assert_eq!(identity("a:1:1 0123"), ("0123".to_owned(), true));
        assert_eq!(identity("a:1:1 ~"), ("~".to_owned(), true));
        assert_eq!(identity("a:11211:1 x:y"), ("x:y".to_owned(), true));
        assert_eq!(identity("/run/a b:1 n"), ("n".to_owned(), true));
        assert_eq!(identity("a:1:1 "), (String::new(), true));
        assert!(server("a:1:1 two names").is_err());
        assert!(server("/run/a b:1").is_err());
    }

    #[test]
    fn an_address_is_an_ip_or_a_name_for_the_resolver() {
        let address = |text| match server(text).unwrap().0.address {
            ServerAddress::Tcp(HostPort::Ip(ip)) => ip.to_string(),
            ServerAddress::Tcp(HostPort::Name { host, port }) => format!("name {host} {port}"),
            ServerAddress::Unix(path) => format!("path {}", path.display()),
        };
        assert_eq!(address("127.0.0.1:6379:1"), "127.0.0.1:6379");
        assert_eq!(address("::1:6379:1"), "[::1]:6379");
        assert_eq!(address("[::1]:6379:1"), "[::1]:6379");
        assert_eq!(address("redis.local:6379:1"), "name redis.local 6379");
        assert_eq!(address("[127.0.0.1]:1:1"), "name [127.0.0.1] 1");
        assert_eq!(address("127.1:1:1"), "name 127.1 1");
        assert_eq!(address("/run/redis.sock:3"), "path /run/redis.sock");
    }

    #[test]
    fn a_sentinel_is_an_address_with_or_without_what_the_forks_append() {
        let address = |text| sentinel(text).map(|address| address.to_string()).ok();
        for (text, read) in [
            ("10.0.0.1:26379", "10.0.0.1:26379"),
            ("10.0.0.1:26379:1", "10.0.0.1:26379"),
            ("10.0.0.1:26379:1 sentinel1", "10.0.0.1:26379"),
            ("[::1]:26379", "[::1]:26379"),
            ("[::1]:26379:1 x", "[::1]:26379"),
            ("one.example:26379:1", "one.example:26379"),
        ] {
            assert_eq!(address(text), Some(read.to_owned()), "{text}");
        }
        for text in [
            "10.0.0.1",
            "10.0.0.1:0",
            "10.0.0.1:26379:0",
            ":26379",
            "::1:26379",
            "::1:26379:1",
            "/run/sentinel.sock",
            "[::1]",
            "",
        ] {
            assert_eq!(address(text), None, "{text}");
        }
    }

    #[test]
    fn a_unix_listener_may_carry_octal_permissions() {
        let unix = |text| match listen(text).unwrap() {
            (ListenAddress::Unix { path, mode }, odd) => (path, mode, odd.is_some()),
            (ListenAddress::Tcp(_), _) => panic!("{text} is a path"),
        };
        let path = || PathBuf::from("/run/x");
        assert_eq!(unix("/run/x"), (path(), None, false));
        assert_eq!(unix("/run/x 0666"), (path(), Some(0o666), false));
        assert_eq!(unix("/run/x "), (path(), None, false));
        assert_eq!(unix("/run/a b 600").0, PathBuf::from("/run/a b"));
        // What strtol makes of these is what twemproxy does, and the start-up says so.
        assert_eq!(unix("/run/x rw"), (path(), None, true));
        assert_eq!(unix("/run/x 0o777"), (path(), None, true));
        assert_eq!(unix("/run/x 75z"), (path(), Some(0o75), true));
        for refused in ["/run/x 1777", "/run/x -1", "/run/x 77777777777777777"] {
            assert!(listen(refused).is_err(), "{refused}");
        }
    }

    #[test]
    fn a_path_that_fits_no_socket_is_refused_or_warned_about() {
        let path = |bytes: usize| format!("/{}", "a".repeat(bytes - 1));
        assert!(listen(&path(107)).is_ok());
        assert!(listen(&path(108)).is_err());
        let warning = |bytes| server(&format!("{}:1", path(bytes))).unwrap().1;
        assert_eq!(warning(107), None);
        assert!(matches!(
            warning(108),
            Some(WarningKind::ServerPathTooLong { .. })
        ));
    }

    #[test]
    fn a_host_that_cannot_be_is_refused_to_listen_on_and_warned_about_to_connect_to() {
        for host in ["", "a b", "[::1", "[127.0.0.1]", "1.1.1.1:1"] {
            assert!(listen(&format!("{host}:1")).is_err(), "{host:?}");
            let (_, warning) = server(&format!("{host}:1:1 n")).unwrap();
            assert!(
                matches!(warning, Some(WarningKind::ServerHostCannotBe { .. })),
                "{host:?}"
            );
        }
        for host in [
            "localhost",
            "fe80::1%lo",
            "0",
            "127.1",
            "[::1]",
            "é.example",
        ] {
            assert!(listen(&format!("{host}:1")).is_ok(), "{host:?}");
        }
    }
}
