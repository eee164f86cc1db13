//! The connection on which a Sentinel sends its events.
//!
//! Owns: the subscription, and the pings that tell a silent Sentinel from a dead one. Never: acts
//! on an event.

use std::time::Duration;

use crate::base::Time;
use crate::protocol::resp::write_request;
use crate::sentinel::connection::Connection;
use crate::sentinel::event;
use crate::sentinel::event::Kind;
use crate::sentinel::query::wants_no_password;
use crate::sentinel::reply::Value;

/// A Sentinel sends an event only when something happens.
const PING_EVERY: Duration = Duration::from_secs(1);

/// Two pings unanswered.
const HEARD_WITHIN: Duration = Duration::from_secs(3);

/// An unauthenticated client may send ten words per request (Redis: `unauthenticated multibulk
/// length`). Below that the error says that a password is needed, not that the request is too long.
const CHANNELS_AT_ONCE: usize = 8;

/// What a subscription has brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Notification {
    /// From now on events come.
    Subscribed,
    /// Something about a master, by its name.
    Event(String, Kind),
    /// It refuses the subscription: its error text.
    Refused(String),
}

/// The connection for events.
#[derive(Debug)]
pub(super) struct Subscription {
    pub(super) connection: Connection,
    auth_due: bool,
    subscribed: usize,
    next_ping: Time,
}

impl Subscription {
    pub(super) fn new(now: Time) -> Subscription {
        Subscription {
            connection: Connection::new(now),
            auth_due: false,
            subscribed: 0,
            next_ping: now,
        }
    }

    /// Begins; the bytes to send.
    pub(super) fn connected(&mut self, auth: Option<&[u8]>, now: Time) -> Vec<u8> {
        self.connection.connected();
        self.subscribed = 0;
        self.auth_due = auth.is_some();
        let mut bytes = auth.unwrap_or_default().to_vec();
        for channels in event::CHANNELS.chunks(CHANNELS_AT_ONCE) {
            let channels = channels.iter().map(|channel| channel.as_bytes());
            let words: Vec<&[u8]> = std::iter::once(b"SUBSCRIBE".as_slice())
                .chain(channels)
                .collect();
            write_request(&mut bytes, &words);
        }
        self.connection.deadline = Some(now + HEARD_WITHIN);
        self.next_ping = now + PING_EVERY;
        bytes
    }

    /// Whether every channel is subscribed to.
    pub(super) fn is_subscribed(&self) -> bool {
        self.connection.open_link().is_some() && self.subscribed == event::CHANNELS.len()
    }

    /// A ping, when one is due.
    pub(super) fn ping(&mut self, now: Time) -> Option<Vec<u8>> {
        if !self.is_subscribed() || now < self.next_ping {
            return None;
        }
        self.next_ping = now + PING_EVERY;
        let mut bytes = Vec::new();
        write_request(&mut bytes, &[b"PING"]);
        Some(bytes)
    }

    /// When to look at it next.
    pub(super) fn due(&self) -> Option<Time> {
        let ping = self.is_subscribed().then_some(self.next_ping);
        [self.connection.due(), ping].into_iter().flatten().min()
    }

    /// Takes what the Sentinel has sent; an error text when it is nothing that was asked for.
    pub(super) fn received(
        &mut self,
        bytes: &[u8],
        notifications: &mut Vec<Notification>,
        now: Time,
    ) -> Result<(), String> {
        for value in self.connection.received(bytes)? {
            if std::mem::take(&mut self.auth_due) {
                match value {
                    Value::Error(words) if !wants_no_password(&words) => {
                        notifications.push(refused(&words));
                        return Ok(());
                    }
                    _ => continue,
                }
            }
            match value {
                Value::Error(words) => {
                    notifications.push(refused(&words));
                    return Ok(());
                }
                Value::Array(parts) => self.message(&parts, notifications),
                _ => return Err("not a message".to_owned()),
            }
        }
        self.connection.deadline = Some(now + HEARD_WITHIN);
        Ok(())
    }

    fn message(&mut self, parts: &[Value], notifications: &mut Vec<Notification>) {
        let text = |index: usize| parts.get(index).and_then(Value::text).unwrap_or_default();
        match text(0) {
            b"subscribe" if self.subscribed < event::CHANNELS.len() => {
                self.subscribed += 1;
                if self.is_subscribed() {
                    self.connection.is_good();
                    notifications.push(Notification::Subscribed);
                }
            }
            b"message" => {
                if let Some(event) = event::parse(text(1), text(2)) {
                    notifications.push(Notification::Event(event.master.to_owned(), event.kind));
                }
            }
            // A pong, or what a later version may say.
            _ => {}
        }
    }
}

fn refused(words: &[u8]) -> Notification {
    Notification::Refused(String::from_utf8_lossy(words).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sentinel::output::LinkId;

    fn connected() -> (Subscription, Vec<u8>) {
        let mut subscription = Subscription::new(Time::ZERO);
        subscription.connection.connecting(LinkId(1), Time::ZERO);
        let bytes = subscription.connected(Some(b"AUTH "), Time::ZERO);
        (subscription, bytes)
    }

    fn feed(subscription: &mut Subscription, bytes: &[u8]) -> Vec<Notification> {
        let mut notifications = Vec::new();
        subscription
            .received(bytes, &mut notifications, Time::ZERO)
            .unwrap();
        notifications
    }

    fn subscribed() -> Subscription {
        let (mut subscription, _) = connected();
        feed(&mut subscription, b"+OK\r\n");
        for (count, channel) in (1..).zip(event::CHANNELS) {
            let reply = format!(
                "*3\r\n$9\r\nsubscribe\r\n${}\r\n{channel}\r\n:{count}\r\n",
                channel.len()
            );
            let last = count == event::CHANNELS.len();
            let due = last.then_some(Notification::Subscribed);
            assert_eq!(
                feed(&mut subscription, reply.as_bytes()),
                Vec::from_iter(due)
            );
        }
        subscription
    }

    #[test]
    fn it_logs_in_subscribes_and_hears_events() {
        let (_, bytes) = connected();
        assert!(bytes.starts_with(b"AUTH *9\r\n$9\r\nSUBSCRIBE\r\n"));
        let mut subscription = subscribed();
        let message =
            b"*3\r\n$7\r\nmessage\r\n$6\r\n+odown\r\n$25\r\nmaster m1 10.0.0.1 6379 #\r\n";
        let event = Notification::Event("m1".to_owned(), Kind::Down(true));
        assert_eq!(feed(&mut subscription, message), [event]);
        assert_eq!(
            feed(&mut subscription, b"*2\r\n$4\r\npong\r\n$0\r\n\r\n"),
            []
        );
    }

    #[test]
    fn a_silent_sentinel_is_pinged_and_then_given_up() {
        let mut subscription = subscribed();
        assert_eq!(subscription.due(), Some(Time::ZERO + PING_EVERY));
        assert_eq!(subscription.ping(Time::ZERO), None);
        let ping = subscription.ping(Time::ZERO + PING_EVERY);
        assert_eq!(ping.as_deref(), Some(b"*1\r\n$4\r\nPING\r\n".as_slice()));
        assert!(
            subscription
                .connection
                .is_overdue(Time::ZERO + HEARD_WITHIN)
        );
    }

    #[test]
    fn a_refusal_is_told_in_its_own_words() {
        let (mut subscription, _) = connected();
        let words = "WRONGPASS invalid username-password pair".to_owned();
        let notifications = feed(&mut subscription, format!("-{words}\r\n").as_bytes());
        assert_eq!(notifications, [Notification::Refused(words)]);
        let (mut subscription, _) = connected();
        let without = b"-ERR AUTH <password> called without any password configured for the \
            default user. Are you sure your configuration is correct?\r\n";
        assert_eq!(feed(&mut subscription, without), []);
        let mut notifications = Vec::new();
        let garbage = subscription.received(b"+HTTP\r\n", &mut notifications, Time::ZERO);
        assert!(garbage.is_err());
    }
}
