//! What Sentinels publish: `+switch-master` and its like, taken apart.
//!
//! Owns: the channels that are subscribed to, and their payloads' grammar (redis: `sentinelEvent` in
//! src/sentinel.c). Never: believes an event; it only makes the watcher look.

use crate::config::HostPort;
use crate::sentinel::address;

/// What is subscribed to.
pub(super) const CHANNELS: [&str; 11] = [
    "+switch-master",
    "+elected-leader",
    "-failover-abort-not-elected",
    "-failover-abort-no-good-slave",
    "-failover-abort-slave-timeout",
    "+promoted-slave",
    "+selected-slave",
    "+sdown",
    "+odown",
    "-odown",
    "+reboot",
];

/// One message about a master that Sentinels watch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Event<'a> {
    /// The master's name.
    pub(super) master: &'a str,
    /// What has happened.
    pub(super) kind: Kind,
}

/// What has happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A Sentinel takes another server for the master now.
    Switched,
    /// The Sentinel leads a failover of the master at `from`, and will select a replica.
    Leads { from: HostPort },
    /// A replica is about to be made the master, or has just been: it left `from`.
    Promotion { from: HostPort, replica: HostPort },
    /// The Sentinel has given up a failover: no replica was promoted.
    CalledOff,
    /// Enough Sentinels agree that the master is down, or do so no longer.
    Down(bool),
    /// Something is wrong with the master, or was: it is worth a look.
    Trouble,
}

/// The event, if it is about a master and well formed.
pub(super) fn parse<'a>(channel: &[u8], payload: &'a [u8]) -> Option<Event<'a>> {
    let words: Vec<&str> = std::str::from_utf8(payload).ok()?.split(' ').collect();
    if channel == b"+switch-master" {
        let [master, _, _, _, _] = words[..] else {
            return None;
        };
        let kind = Kind::Switched;
        return Some(Event { master, kind });
    }
    let at = |host: &str, port: &str| address::parse(host.as_bytes(), port.as_bytes());
    // Behind the address there may be more, such as a quorum.
    let (master, kind) = match (channel, &words[..]) {
        (
            b"+promoted-slave" | b"+selected-slave",
            [
                "slave",
                _,
                host,
                port,
                "@",
                master,
                from_host,
                from_port,
                ..,
            ],
        ) => {
            let kind = Kind::Promotion {
                from: at(from_host, from_port)?,
                replica: at(host, port)?,
            };
            (*master, kind)
        }
        (b"+elected-leader", ["master", master, host, port, ..]) => {
            let from = at(host, port)?;
            (*master, Kind::Leads { from })
        }
        (
            b"-failover-abort-not-elected"
            | b"-failover-abort-no-good-slave"
            | b"-failover-abort-slave-timeout",
            ["master", master, _, _, ..],
        ) => (*master, Kind::CalledOff),
        (b"+odown", ["master", master, _, _, ..]) => (*master, Kind::Down(true)),
        (b"-odown", ["master", master, _, _, ..]) => (*master, Kind::Down(false)),
        (b"+sdown" | b"+reboot", ["master", master, _, _, ..]) => (*master, Kind::Trouble),
        // A replica or another Sentinel is down: that moves no master.
        _ => return None,
    };
    Some(Event { master, kind })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(channel: &str, payload: &str) -> Option<(String, Kind)> {
        let event = parse(channel.as_bytes(), payload.as_bytes())?;
        Some((event.master.to_owned(), event.kind))
    }

    fn ip(text: &str) -> HostPort {
        HostPort::Ip(text.parse().unwrap())
    }

    #[test]
    fn every_event_that_is_listened_to_is_understood() {
        let name = |kind| Some(("m1".to_owned(), kind));
        assert_eq!(
            kind("+switch-master", "m1 10.0.0.1 6379 10.0.0.2 6380"),
            name(Kind::Switched)
        );
        let promotion = Kind::Promotion {
            from: ip("10.0.0.1:6379"),
            replica: ip("10.0.0.2:6380"),
        };
        let details = "slave 10.0.0.2:6380 10.0.0.2 6380 @ m1 10.0.0.1 6379";
        assert_eq!(kind("+promoted-slave", details), name(promotion.clone()));
        assert_eq!(kind("+selected-slave", details), name(promotion));
        let master = "master m1 10.0.0.1 6379";
        assert_eq!(kind("+sdown", master), name(Kind::Trouble));
        assert_eq!(kind("+reboot", master), name(Kind::Trouble));
        assert_eq!(
            kind("+odown", &format!("{master} #quorum 3/2")),
            name(Kind::Down(true))
        );
        assert_eq!(kind("-odown", master), name(Kind::Down(false)));
        let from = ip("10.0.0.1:6379");
        assert_eq!(kind("+elected-leader", master), name(Kind::Leads { from }));
        for why in ["not-elected", "no-good-slave", "slave-timeout"] {
            let channel = format!("-failover-abort-{why}");
            assert_eq!(kind(&channel, master), name(Kind::CalledOff));
        }
    }

    #[test]
    fn addresses_of_ipv6_and_names_are_read() {
        let details = "slave [::2]:6380 ::2 6380 @ m1 one.example 6379";
        let promotion = Kind::Promotion {
            from: HostPort::Name {
                host: "one.example".into(),
                port: 6379,
            },
            replica: ip("[::2]:6380"),
        };
        assert_eq!(
            kind("+selected-slave", details),
            Some(("m1".to_owned(), promotion))
        );
    }

    #[test]
    fn what_is_about_no_master_or_is_malformed_is_nothing() {
        for (channel, payload) in [
            (
                "+sdown",
                "slave 10.0.0.2:6380 10.0.0.2 6380 @ m1 10.0.0.1 6379",
            ),
            ("+sdown", "sentinel abc 10.0.0.2 26379 @ m1 10.0.0.1 6379"),
            ("+switch-master", "m1 10.0.0.1 6379"),
            ("+switch-master", "m1 10.0.0.1 6379 10.0.0.2 6380 more"),
            ("+selected-slave", "slave x 10.0.0.2 six @ m1 10.0.0.1 6379"),
            ("+selected-slave", "slave x 10.0.0.2 6380"),
            ("+elected-leader", "master m1 10.0.0.1 six"),
            ("+elected-leader", "slave x 10.0.0.2 1 @ m1 10.0.0.1 2"),
            ("-failover-abort-not-elected", "master m1"),
            ("+odown", ""),
            ("+odown", "master"),
            ("something", "master m1 10.0.0.1 6379"),
        ] {
            assert_eq!(kind(channel, payload), None, "{channel} {payload}");
        }
        assert_eq!(parse(b"+odown", b"master \xff 1 2"), None);
    }

    #[test]
    fn every_channel_has_its_event() {
        for channel in CHANNELS {
            let read = [
                "m1 10.0.0.1 1 10.0.0.2 2",
                "slave x 10.0.0.2 2 @ m1 10.0.0.1 1",
                "master m1 10.0.0.1 1",
            ];
            assert!(
                read.iter().any(|payload| kind(channel, payload).is_some()),
                "{channel}"
            );
        }
    }
}
