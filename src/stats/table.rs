//! The table of metrics: one row makes the field, its place in the JSON, its line in `-D`, and its
//! series for Prometheus, whose help is the row's doc comment.
//!
//! Names, order and the texts for people are twemproxy's (`src/nc_stats.h`); what each row counts
//! was observed on nutcracker 0.5.0, and a row says where this program differs. twemproxy's rows
//! are complete: what it does not have is in the tables at the end, which `-D` and the JSON leave
//! out, because whoever reads those expects twemproxy's names and no others.

use super::Counter;

/// How the numbers of several workers make one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only grows; workers' numbers are added.
    Counter,
    /// What is there now; workers' numbers are added.
    Gauge,
    /// Microseconds since the epoch, 0 for never; the latest counts.
    Timestamp,
}

impl Kind {
    /// One more worker's number.
    #[must_use]
    pub fn join(self, sum: u64, value: u64) -> u64 {
        match self {
            Kind::Counter | Kind::Gauge => sum.wrapping_add(value),
            Kind::Timestamp => sum.max(value),
        }
    }
}

/// A row of the table, for whoever prints all of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metric {
    /// The key in the JSON.
    pub name: &'static str,
    /// How workers' numbers make one.
    pub kind: Kind,
    /// twemproxy's text for people, as `-D` prints it; empty where twemproxy has no such row.
    pub text: &'static str,
    /// What Prometheus calls it, in base units.
    pub series: &'static str,
    /// What it counts.
    pub help: &'static str,
}

/// A doc comment as a text: without the blank that it begins with.
const fn help_of(doc: &'static str) -> &'static str {
    match doc.as_bytes() {
        [b' ', ..] => doc.split_at(1).1,
        _ => doc,
    }
}

macro_rules! metrics {
    (
        $(#[$doc:meta])*
        $counters:ident, $rows:ident of $count:literal:
        $( $(#[doc = $row_doc:literal])+ $field:ident $kind:ident $series:literal $text:literal; )+
    ) => {
        $(#[$doc])*
        // Two cache lines (the hardware prefetches pairs): a worker never waits for a line because
        // its neighbour counts.
        #[derive(Debug, Default)]
        #[repr(align(128))]
        pub struct $counters {
            $( $(#[doc = $row_doc])+ pub $field: Counter, )+
        }

        impl $counters {
            /// The numbers, in the order of the rows.
            #[must_use]
            pub fn values(&self) -> [u64; $count] {
                [$( self.$field.value() ),+]
            }
        }

        #[doc = concat!("The rows of [`", stringify!($counters), "`].")]
        pub const $rows: [Metric; $count] = [
            $( Metric {
                name: stringify!($field),
                kind: Kind::$kind,
                text: $text,
                series: $series,
                help: help_of(concat!($($row_doc),+)),
            } ),+
        ];
    };
}

metrics! {
    /// What a worker counts for a pool.
    PoolCounters, POOL_METRICS of 6:

    /// Clients that closed, or said `QUIT`.
    client_eof Counter "coremux_client_eof_total"
        "# eof on client connections";
    /// Clients that were lost to an error: reset, or closed by us after a broken frame.
    /// twemproxy also closes, and counts here, clients whose command it does not know.
    client_err Counter "coremux_client_errors_total"
        "# errors on client connections";
    /// Clients connected now.
    client_connections Gauge "coremux_client_connections"
        "# active client connections";
    /// Times a server was ejected; counted by one worker, the one whose failure made it so.
    server_ejects Counter "coremux_server_ejections_total"
        "# times backend server was ejected";
    /// Requests (each fragment) that were answered by an error of ours instead of a server's
    /// reply: no server left, connection refused or lost, timed out.
    forward_error Counter "coremux_forward_errors_total"
        "# times we encountered a forwarding error";
    /// Fragments made of requests with keys on several servers. twemproxy declares this row and
    /// never counts it.
    fragments Counter "coremux_fragments_total"
        "# fragments created from a multi-vector request";
}

metrics! {
    /// What a worker counts for a pool beside what twemproxy does: what its clients send and take, and
    /// what they are doing. That of what they are doing is looked at once a second, and where a worker
    /// has more than 4,096 clients, at so many of them each second.
    PoolTraffic, TRAFFIC_METRICS of 11:

    /// Bytes that clients have sent.
    client_received_bytes Counter "coremux_client_received_bytes_total" "";
    /// Bytes that clients were sent.
    client_sent_bytes Counter "coremux_client_sent_bytes_total" "";
    /// Clients that were turned away because the pool had as many as it may have.
    clients_refused Counter "coremux_client_connections_refused_total" "";
    /// Times that a client changed over to another connection, around one that was busy with something
    /// large, or apart from those of others because it breaks connections.
    detours Counter "coremux_client_detours_total" "";
    /// Clients that await a reply.
    clients_asking Gauge "coremux_clients_asking" "";
    /// Clients that wait for something to happen (`BLPOP`), or watch keys, on a connection of their own.
    clients_exclusive Gauge "coremux_clients_exclusive" "";
    /// Clients that have begun a transaction and not ended it.
    clients_in_transaction Gauge "coremux_clients_in_transaction" "";
    /// Clients that are not read: their replies have room no more, or their next request has to wait.
    clients_stopped Gauge "coremux_clients_stopped" "";
    /// Clients that have asked for nothing that they have not got.
    clients_idle Gauge "coremux_clients_idle" "";
    /// Memory for replies that clients have not taken.
    client_owed_bytes Gauge "coremux_client_owed_bytes" "";
    /// Memory for what clients have sent and is not done yet: no whole request, or one that has to wait.
    client_unread_bytes Gauge "coremux_client_unread_bytes" "";
}

metrics! {
    /// What a worker counts for a server.
    ServerCounters, SERVER_METRICS of 13:

    /// Connections that the server closed.
    server_eof Counter "coremux_server_eof_total"
        "# eof on server connections";
    /// Connections that failed: refused, reset, unreachable, or a broken reply.
    server_err Counter "coremux_server_errors_total"
        "# errors on server connections";
    /// Requests that the server did not answer in time. twemproxy closes the connection with the
    /// first and fails its neighbours, and so counts one for all of them.
    server_timedout Counter "coremux_server_timeouts_total"
        "# timeouts on server connections";
    /// Connections open or being opened now.
    server_connections Gauge "coremux_server_connections"
        "# active server connections";
    /// When it was last ejected; stays after it was readmitted.
    server_ejected_at Timestamp "coremux_server_ejected_timestamp_seconds"
        "timestamp when server was ejected in usec since epoch";
    /// Requests (each fragment) given to the server's queue, whether it could be reached or not.
    requests Counter "coremux_server_requests_total"
        "# requests";
    /// Their bytes, as sent. (twemproxy counts more than it sends for a split `MSET`.)
    request_bytes Counter "coremux_server_request_bytes_total"
        "total request bytes";
    /// Replies received, also those to clients that have gone.
    responses Counter "coremux_server_replies_total"
        "# responses";
    /// Their bytes, as received.
    response_bytes Counter "coremux_server_reply_bytes_total"
        "total response bytes";
    /// Requests that wait to be sent.
    in_queue Gauge "coremux_server_queued_requests"
        "# requests in incoming queue";
    /// Their bytes.
    in_queue_bytes Gauge "coremux_server_queued_bytes"
        "current request bytes in incoming queue";
    /// Requests sent that wait for their reply.
    out_queue Gauge "coremux_server_awaited_replies"
        "# requests in outgoing queue";
    /// Their bytes.
    out_queue_bytes Gauge "coremux_server_awaited_request_bytes"
        "current request bytes in outgoing queue";
}

metrics! {
    /// What a worker knows of how a server does; written when that changes, not per request, but
    /// for what its replicas do.
    ServerStanding, STANDING_METRICS of 12:

    /// Connections on which requests flow now: connected, and past AUTH and SELECT.
    ready_connections Gauge "coremux_server_ready_connections" "";
    /// When the first failure since the last good reply came; 0 if the last reply was good.
    failing_since Timestamp "coremux_server_failing_since_timestamp_seconds" "";
    /// When it failed last, also if it has answered since; 0 for never.
    failed_at Timestamp "coremux_server_failed_timestamp_seconds" "";
    /// Connections to the server's replicas on which reads flow now.
    replica_connections Gauge "coremux_server_ready_replica_connections" "";
    /// Replies that came from the server's replicas; they are among all its replies.
    replica_replies Counter "coremux_server_replica_replies_total" "";
    /// Connections for another database or protocol version that nobody had used for long, and that
    /// were closed therefore.
    unused_connections Counter "coremux_server_unused_connections_closed_total" "";
    /// Exclusive connections to the server: held by a client that waits there, or free.
    exclusive_connections Gauge "coremux_server_exclusive_connections" "";
    /// Those of them that a client holds.
    exclusive_held Gauge "coremux_server_exclusive_connections_held" "";
    /// Clients that wait for one, because all are held.
    exclusive_waiting Gauge "coremux_server_exclusive_waiting_clients" "";
    /// Clients that have waited for one as long as they may.
    exclusive_refused Counter "coremux_server_exclusive_refused_total" "";
    /// Requests that had been sent, and were sent again: their connection broke, or the server was not
    /// ready for them.
    retried Counter "coremux_server_retried_requests_total" "";
    /// Requests that waited for a connection to the server, where requests are held, and were then sent.
    held Counter "coremux_server_held_requests_total" "";
}

metrics! {
    /// What a worker counts of a pool's clients that listen to channels.
    PubsubCounters, PUBSUB_METRICS of 6:

    /// Clients that listen to a channel or pattern now.
    subscribers Gauge "coremux_pubsub_subscribers" "";
    /// Channels and patterns that they listen to, each client's counted.
    subscriptions Gauge "coremux_pubsub_subscriptions" "";
    /// Messages given to clients, each client's counted.
    messages Counter "coremux_pubsub_messages_total" "";
    /// Clients that were closed because too much waited for them.
    slow_closed Counter "coremux_pubsub_slow_subscribers_closed_total" "";
    /// Clients that were closed because the servers of their channels have changed, and no connection to
    /// another is free.
    homeless_closed Counter "coremux_pubsub_homeless_subscribers_closed_total" "";
    /// Channels and patterns that were asked for again after a server connection was lost: what was
    /// published meanwhile nobody has heard.
    resubscribed Counter "coremux_pubsub_resubscribed_total" "";
}

metrics! {
    /// What a worker says of itself.
    WorkerCounters, WORKER_METRICS of 9:

    /// Passes of the worker's loop. A worker that is asked to pass, and does not, is stuck.
    passes Counter "coremux_worker_passes_total" "";
    /// Clients that were closed because the process came near its limit of memory.
    clients_shed Counter "coremux_worker_clients_shed_total" "";
    /// Large replies that were passed on while they came.
    replies_streamed Counter "coremux_worker_replies_streamed_total" "";
    /// Clients that were closed because the rest of a large reply did not come.
    replies_cut Counter "coremux_worker_replies_cut_total" "";
    /// Transactions that were sent to a server, each of which is one of its requests.
    transactions Counter "coremux_worker_transactions_total" "";
    /// Completions of the ring that passes have reaped: what was received, sent, connected, accepted.
    completions Counter "coremux_worker_completions_total" "";
    /// Passes that waited for several completions, so that requests of many clients travel together.
    gathers Counter "coremux_worker_gathers_total" "";
    /// Those of them whose time was over before so many had come.
    gathers_cut Counter "coremux_worker_gathers_cut_total" "";
    /// Memory for receiving that is kept for the next one.
    spare_block_bytes Gauge "coremux_worker_spare_block_bytes" "";
}

/// The text of `-D`: every pool and server metric with what it is, as nutcracker prints it.
#[must_use]
pub fn describe() -> String {
    let mut out = String::new();
    for (title, rows) in [("pool", &POOL_METRICS[..]), ("server", &SERVER_METRICS[..])] {
        out.push_str(title);
        out.push_str(" stats:\n");
        for row in rows {
            out.push_str(&format!("  {:<18}  \"{}\"\n", row.name, row.text));
        }
        out.push('\n');
    }
    out.pop();
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_stand_in_the_order_of_the_rows() {
        let server = ServerCounters::default();
        server.server_ejected_at.set(7);
        server.out_queue_bytes.add(9);
        let values = server.values();
        let of = |name| {
            SERVER_METRICS
                .iter()
                .position(|m| m.name == name)
                .map(|at| values[at])
        };
        assert_eq!(of("server_ejected_at"), Some(7));
        assert_eq!(of("out_queue_bytes"), Some(9));
        assert_eq!(values.iter().sum::<u64>(), 16);
    }

    #[test]
    fn every_series_is_named_by_the_rules_and_once() {
        let tables = [
            &POOL_METRICS[..],
            &SERVER_METRICS,
            &STANDING_METRICS,
            &TRAFFIC_METRICS,
            &PUBSUB_METRICS,
            &WORKER_METRICS,
        ];
        let mut seen = std::collections::BTreeSet::new();
        for row in tables.into_iter().flatten() {
            let name = row.series;
            assert!(seen.insert(name), "{name} twice");
            assert!(name.starts_with("coremux_"), "{name}");
            assert_eq!(
                name.ends_with("_total"),
                row.kind == Kind::Counter,
                "{name}"
            );
            let timestamp = name.ends_with("_timestamp_seconds");
            assert_eq!(timestamp, row.kind == Kind::Timestamp, "{name}");
            assert!(!row.help.is_empty() && !row.help.contains('\n'), "{name}");
        }
    }

    #[test]
    fn a_timestamp_of_several_workers_is_the_latest_and_the_rest_are_sums() {
        assert_eq!(Kind::Timestamp.join(5, 3), 5);
        assert_eq!(Kind::Timestamp.join(5, 8), 8);
        assert_eq!(Kind::Counter.join(5, 3), 8);
        assert_eq!(Kind::Gauge.join(5, 3), 8);
    }
}
