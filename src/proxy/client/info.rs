//! Who a client says it is, for `CLIENT INFO` and its like.

use std::net::SocketAddr;
use std::time::Duration;

use crate::base::Time;

/// What is known of a client and needed rarely.
#[derive(Clone, Debug)]
pub(in crate::proxy) struct ClientInfo {
    /// Unique in this process.
    pub(in crate::proxy) id: u64,
    /// `None` on a unix socket.
    pub(in crate::proxy) peer: Option<SocketAddr>,
    pub(in crate::proxy) accepted: Time,
    /// How long other processes have served it.
    pub(in crate::proxy) age_before: Duration,
    pub(in crate::proxy) name: Vec<u8>,
    pub(in crate::proxy) library_name: Vec<u8>,
    pub(in crate::proxy) library_version: Vec<u8>,
    /// The last command, from the table.
    pub(in crate::proxy) command: &'static str,
    /// How it ends is in the statistics.
    pub(in crate::proxy) end_counted: bool,
}

impl ClientInfo {
    /// How long it has been connected.
    pub(in crate::proxy) fn age(&self, now: Time) -> Duration {
        self.age_before + now.since(self.accepted)
    }

    /// The line of `CLIENT INFO`, in the form of Redis 7.
    pub(in crate::proxy) fn line(&self, database: u32, now: Time) -> Vec<u8> {
        let peer = self
            .peer
            .map_or_else(|| "/unix:0".to_owned(), |peer| peer.to_string());
        let age = self.age(now).as_secs();
        let mut line = format!("id={} addr={peer} name=", self.id).into_bytes();
        line.extend_from_slice(&self.name);
        let middle = format!(
            " age={age} idle=0 flags=N db={database} sub=0 psub=0 ssub=0 multi=-1 cmd={} user=default resp=2 lib-name=",
            self.command
        );
        line.extend_from_slice(middle.as_bytes());
        line.extend_from_slice(&self.library_name);
        line.extend_from_slice(b" lib-ver=");
        line.extend_from_slice(&self.library_version);
        line.push(b'\n');
        line
    }
}
