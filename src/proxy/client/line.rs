//! A client in one line, as `CLIENT LIST` and `CLIENT INFO` tell it, and whether it is one that is meant.
//!
//! Owns: the form of Redis 7.2 (redis: src/networking.c, catClientInfoString), without what a proxy's
//! client has not: the number of its file, and buffers of a fixed size.

use crate::base::Time;
use crate::messages::ClientKind;
use crate::messages::Which;
use crate::proxy::client::Client;
use crate::proxy::exclusive::lease::Lease;

impl Client {
    /// The line, a line end included.
    pub(in crate::proxy) fn line(&self, database: u32, now: Time) -> Vec<u8> {
        let session = &self.session;
        let queued = self.transaction.as_ref();
        let multi = queued.map_or(-1, |begun| i64::from(begun.commands()));
        let multi_bytes = queued.map_or(0, |begun| begun.bytes());
        let (unread, owed) = (self.input.bytes(), self.replies.owed_bytes());
        let [sub, psub, ssub] = session.subscribed();
        let fixed = std::mem::size_of::<Client>();
        let head = format!(
            "id={} addr={} laddr={} name=",
            session.id(),
            session.address(),
            session.local_address()
        );
        let middle = format!(
            " age={age} idle={idle} flags={flags} db={database} sub={sub} psub={psub} ssub={ssub} multi={multi} qbuf={unread} multi-mem={multi_bytes} obl={sending} oll={waiting} omem={owed} tot-mem={total} events={events} cmd={command} user=default redir=-1 resp={version} lib-name=",
            age = session.age(now).as_secs(),
            idle = now.since(self.input.last_heard()).as_secs(),
            flags = self.flags(),
            sending = self.replies.sending_bytes(),
            waiting = self.replies.in_flight(),
            total = fixed + unread + multi_bytes + owed,
            events = match (self.pauses.is_stopped(), self.replies.sending_bytes()) {
                (false, 0) => "r",
                (false, _) => "rw",
                (true, 0) => "",
                (true, _) => "w",
            },
            command = session.command(),
            version = session.version().number(),
        );
        let mut line = head.into_bytes();
        line.extend_from_slice(session.name());
        line.extend_from_slice(middle.as_bytes());
        line.extend_from_slice(session.library_name());
        line.extend_from_slice(b" lib-ver=");
        line.extend_from_slice(session.library_version());
        line.push(b'\n');
        line
    }

    fn flags(&self) -> String {
        let waits = self.lease.as_deref().is_some_and(Lease::is_waiting);
        let flags = [
            ('P', self.session.listens()),
            ('b', waits),
            ('x', self.transaction.is_some()),
            ('c', !self.life.is_open()),
            ('U', self.session.peer().is_none()),
        ];
        let mut flags: String = flags
            .iter()
            .filter_map(|(flag, holds)| holds.then_some(*flag))
            .collect();
        if flags.is_empty() {
            flags.push('N');
        }
        flags
    }

    /// What Redis would call it.
    fn kind(&self) -> ClientKind {
        match self.session.listens() {
            true => ClientKind::PubSub,
            false => ClientKind::Normal,
        }
    }

    /// Whether it is one of those that are meant.
    pub(in crate::proxy) fn is_meant(&self, which: &Which, now: Time) -> bool {
        let id = self.session.id();
        let at = |wanted: &Option<Vec<u8>>, text: fn(&Client) -> String| {
            let wanted = wanted.as_ref();
            wanted.is_none_or(|wanted| *wanted == text(self).into_bytes())
        };
        !self.life.is_closed()
            && (which.ids.is_empty() || which.ids.contains(&id))
            && which.not != Some(id)
            && which.of_kind.is_none_or(|kind| kind == self.kind())
            && which
                .age_min
                .is_none_or(|least| self.session.age(now) >= least)
            && at(&which.address, |client| client.session.address())
            && at(&which.local_address, |client| {
                client.session.local_address()
            })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::base::PoolIdx;
    use crate::proxy::client::Session;

    fn at(secs: u64) -> Time {
        Time::from_micros(secs * 1_000_000)
    }

    fn client() -> Client {
        let peer = "127.0.0.1:1234".parse().ok();
        let mut session = Session::new(7, peer, at(1));
        session.set_local("127.0.0.2:6379".parse().ok());
        session.set_name(b"me");
        Client::new(PoolIdx(0), session, at(1))
    }

    #[test]
    fn a_line_says_who_a_client_is_and_what_it_does() {
        let line = String::from_utf8(client().line(3, at(5))).unwrap();
        for part in [
            "id=7 addr=127.0.0.1:1234 laddr=127.0.0.2:6379 name=me age=4 idle=4 flags=N db=3 ",
            " multi=-1 ",
            " events=r cmd=NULL user=default ",
            " resp=2 lib-name= lib-ver=\n",
        ] {
            assert!(line.contains(part), "{part}: {line}");
        }
    }

    #[test]
    fn every_condition_leaves_out_whom_it_does_not_hold_for() {
        let any = Which::default();
        let some = |change: fn(&mut Which)| {
            let mut which = Which::default();
            change(&mut which);
            client().is_meant(&which, at(5))
        };
        assert!(client().is_meant(&any, at(5)));
        assert!(some(|which| which.ids = vec![3, 7]) && !some(|which| which.ids = vec![3]));
        assert!(some(|which| which.not = Some(3)) && !some(|which| which.not = Some(7)));
        assert!(some(
            |which| which.address = Some(b"127.0.0.1:1234".to_vec())
        ));
        assert!(!some(
            |which| which.address = Some(b"127.0.0.1:123".to_vec())
        ));
        assert!(some(
            |which| which.local_address = Some(b"127.0.0.2:6379".to_vec())
        ));
        assert!(!some(
            |which| which.local_address = Some(b"127.0.0.1:1234".to_vec())
        ));
        assert!(some(|which| which.of_kind = Some(ClientKind::Normal)));
        assert!(!some(|which| which.of_kind = Some(ClientKind::PubSub)));
        assert!(some(|which| which.age_min = Some(Duration::from_secs(4))));
        assert!(!some(|which| which.age_min = Some(Duration::from_secs(5))));
        let mut closed = client();
        closed.close();
        assert!(!closed.is_meant(&any, at(5)));
    }
}
