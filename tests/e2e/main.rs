//! The program as its users have it: real servers, real clients, real sockets. A file is a promise, and
//! opens with it.
//!
//! Tests of this program run beside each other, several a core, for they wait far more than they work. What
//! must have the machine for itself, as it measures memory, stops a worker or swaps the program, is in
//! `e2e_alone`.
//!
//! `cargo test --test e2e sentinel::` runs a folder, and `… a_server_that` whatever has that in its name.
#![allow(
    clippy::unwrap_used,
    reason = "all of this is tests: what fails, fails the test"
)]

#[path = "../support/mod.rs"]
mod support;
mod support_itself;

mod admin {
    mod agreement;
    mod api;
    mod latencies;
    mod metrics;
    mod observing;
    mod prometheus;
    mod slowlog;
    mod stats;
    mod top;
    mod traffic;
}
mod clients {
    mod addresses;
    mod bad_clients;
    mod connections;
    mod half_close;
    mod let_go;
    mod workers;
}
mod commands {
    mod blocking;
    mod clients;
    mod databases;
    mod differential;
    mod listening;
    mod local;
    mod nutcracker;
    mod publish;
    mod resp3;
    mod routing;
    mod same_reply;
    mod scripts;
    mod smuggling;
    mod split;
    mod subscribe;
    mod tools;
    mod transactions;
    mod watch;
    mod whole_pool;
}
mod memcached {
    mod connections;
    mod failures;
    mod large;
    mod older;
    mod one_server;
    mod replies;
}
mod process {
    mod log;
    mod pid_file;
    mod serve;
    mod signals;
}
mod reload {
    mod under_load;
}
mod sentinel {
    mod dead_master;
    mod planned_failover;
    mod replicas;
    mod trust;
    mod view;
}
mod servers {
    mod bad_servers;
    mod greeting;
    mod hold;
    mod loss;
    mod own_errors;
    mod switch_master;
    mod timeouts;
}
