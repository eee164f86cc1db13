//! `ctl stats POOL SERVER …`: what one server says of itself, which makes no sense of all of them.
//!
//! Owns: the command's words, both ways. Never: asks on a connection that clients use.

use std::fmt::Display;
use std::time::Duration;

use bytes::Bytes;

use crate::base::PoolIdx;
use crate::base::ServerIdx;
use crate::base::Spare;
use crate::config::Table;
use crate::control::asked::Reply;
use crate::control::exchange;
use crate::control::main_loop::Control;
use crate::protocol::Protocol;
use crate::protocol::ReplyAssembly;
use crate::protocol::ReplyKind;
use crate::protocol::Version;
use crate::proxy::spoken;

/// How long a server may take, with the way there.
const WITHIN: Duration = Duration::from_secs(5);

/// `conns` of a memcached with ten thousand clients has 2 MiB.
const ANSWER_BYTES_MAX: usize = 8 << 20;

pub(super) fn act(control: &mut Control, arguments: &[String], reply: Reply) {
    let [pool, server, what] = arguments else {
        return match arguments {
            [] => reply.done(control.stats.line()),
            _ => {
                reply.refused("usage: stats [POOL SERVER items|slabs|settings|conns]\n".to_owned())
            }
        };
    };
    let (place, protocol) = match place(&control.table, pool, server) {
        Ok(found) => found,
        Err(words) => return reply.refused(words),
    };
    let Some((question, expect)) = protocol.detail(what) else {
        return reply.refused(unknown(protocol, what));
    };
    let looked_up = control.servers.names.known(place.0, place.1);
    let known = control.servers.probes.known(place.0, place.1);
    let Some(address) = known.first().or(looked_up.first()).cloned() else {
        return reply.refused(format!("{server}: its address is not known yet\n"));
    };
    let mut answer = Answer::new(protocol.reply_assembly(Version::default(), expect));
    let server = server.clone();
    let task = async move {
        let asking =
            async { Ok(exchange::ask(&address, &question, |piece| answer.hear(piece)).await) };
        match glommio::timer::timeout(WITHIN, asking).await {
            Ok(Ok(Ok(text))) => reply.done(text),
            Ok(Ok(Err(words))) => reply.refused(format!("{server}: {words}\n")),
            Ok(Err(error)) => reply.refused(format!("{server}: {error}\n")),
            Err(_) => reply.refused(format!("{server}: no answer within {WITHIN:?}\n")),
        }
    };
    glommio::spawn_local(task).detach();
}

/// Where a pool has this server, and what it speaks.
fn place(
    table: &Table,
    pool: &str,
    server: &str,
) -> Result<((PoolIdx, ServerIdx), Protocol), String> {
    let mut pools = table.pools();
    let Some((at, found)) = pools.find(|(_, known)| &*known.name == pool) else {
        let names = table.pools().map(|(_, known)| &*known.name);
        return Err(format!(
            "there is no pool `{pool}`; there are: {}\n",
            listed(names)
        ));
    };
    let mut servers = table.servers(at);
    let Some((server, _)) = servers.find(|(_, known)| &*known.name == server) else {
        let names = table.servers(at).map(|(_, known)| &*known.name);
        return Err(format!(
            "pool {pool} has no server `{server}`; it has: {}\n",
            listed(names)
        ));
    };
    Ok(((at, server), spoken(found)))
}

fn listed<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let names: Vec<&str> = names.collect();
    names.join(", ")
}

fn unknown(protocol: Protocol, what: &str) -> String {
    match protocol.details() {
        [] => format!("a server that speaks {protocol} has no such statistics: ask it for INFO\n"),
        details => format!(
            "`{what}` is none of what a server tells; it tells: {}\n",
            details.join(", ")
        ),
    }
}

/// What has come of an answer.
struct Answer {
    assembly: Option<ReplyAssembly>,
    spare: Spare,
}

impl Answer {
    fn new(assembly: ReplyAssembly) -> Answer {
        Answer {
            assembly: Some(assembly),
            spare: Spare::default(),
        }
    }

    /// Its text, once it is whole, or what is wrong with it.
    fn hear(&mut self, piece: &[u8]) -> Option<Result<String, String>> {
        let mut assembly = self.assembly.take()?;
        match assembly.feed(&Bytes::copy_from_slice(piece), 0, &mut self.spare) {
            Err(error) => return Some(Err(in_words(error))),
            Ok(fed) if fed.complete => {
                let is_error = assembly.kind() == ReplyKind::Error;
                let text = lines(&assembly.into_bytes().to_vec());
                return Some(match is_error {
                    true => Err(text.trim_end().to_owned()),
                    false => Ok(text),
                });
            }
            Ok(_) => {}
        }
        if assembly.held_bytes() > ANSWER_BYTES_MAX {
            return Some(Err(format!(
                "its answer is longer than {ANSWER_BYTES_MAX} bytes"
            )));
        }
        self.assembly = Some(assembly);
        None
    }
}

fn in_words(error: impl Display) -> String {
    format!("its answer is none: {error}")
}

/// As the server has said it, but for its end. It may contain what a terminal would obey.
fn lines(answer: &[u8]) -> String {
    let text = String::from_utf8_lossy(answer);
    let lines = text.lines().filter(|line| *line != "END");
    lines
        .map(|line| line.replace(|c: char| c.is_control(), "?") + "\n")
        .collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::config::Config;

    fn table() -> Table {
        let text = "a:\n  listen: 127.0.0.1:1\n  servers:\n  - h:1:1 m1\n  - h:11211:1\n\
            b:\n  listen: 127.0.0.1:2\n  redis: true\n  servers:\n  - h:1:1 r1\n";
        let config = Config::parse(text, "test.yml").expect("a good configuration");
        Table::new(Arc::new(config))
    }

    #[test]
    fn a_server_is_known_by_its_pool_and_its_name() {
        let (place_of_m1, protocol) = place(&table(), "a", "m1").unwrap();
        assert_eq!(protocol, Protocol::Memcached);
        assert_ne!(place(&table(), "a", "h").unwrap().0, place_of_m1);
        let words = place(&table(), "c", "m1").unwrap_err();
        assert_eq!(words, "there is no pool `c`; there are: a, b\n");
        let words = place(&table(), "b", "m1").unwrap_err();
        assert_eq!(words, "pool b has no server `m1`; it has: r1\n");
    }

    #[test]
    fn only_what_changes_nothing_is_asked_for() {
        for what in ["items", "slabs", "settings", "conns"] {
            assert!(Protocol::Memcached.detail(what).is_some());
            assert_eq!(Protocol::Resp.detail(what), None);
        }
        for what in [
            "reset",
            "detail on",
            "cachedump 1 1",
            "",
            "items\r\nflush_all",
        ] {
            assert_eq!(Protocol::Memcached.detail(what), None, "{what:?}");
            assert!(
                unknown(Protocol::Memcached, what).ends_with("items, slabs, settings, conns\n")
            );
        }
        assert!(unknown(Protocol::Resp, "items").contains("INFO"));
    }

    fn heard(pieces: &[&[u8]]) -> Option<Result<String, String>> {
        let (_, expect) = Protocol::Memcached.detail("items").unwrap();
        let assembly = Protocol::Memcached.reply_assembly(Version::default(), expect);
        let mut answer = Answer::new(assembly);
        pieces.iter().find_map(|piece| answer.hear(piece))
    }

    #[test]
    fn an_answer_is_its_lines_as_the_server_says_them_and_nothing_for_a_terminal_to_obey() {
        let whole = b"STAT items:1:number 3\r\nSTAT odd \x1b[2J\r\nEND\r\n";
        let text = "STAT items:1:number 3\nSTAT odd ?[2J\n".to_owned();
        for cut in 0..whole.len() {
            assert_eq!(
                heard(&[&whole[..cut], &whole[cut..]]),
                Some(Ok(text.clone()))
            );
            assert_eq!(heard(&[&whole[..cut]]), None);
        }
        assert_eq!(heard(&[b"END\r\n"]), Some(Ok(String::new())));
        let error = heard(&[b"SERVER_ERROR no\r\n"]);
        assert_eq!(error, Some(Err("SERVER_ERROR no".to_owned())));
        let none = heard(&[b"HTTP/1.1 400 no\r\n"]).unwrap().unwrap_err();
        assert!(none.starts_with("its answer is none: "), "{none}");
        let line = [b"STAT a ".as_slice(), &[b'x'; 8000], b"\r\n"].concat();
        let endless = vec![&line[..]; ANSWER_BYTES_MAX / line.len() + 2];
        assert!(
            heard(&endless)
                .unwrap()
                .unwrap_err()
                .contains("longer than")
        );
    }
}
