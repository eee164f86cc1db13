//! Scripts that a server does not know, told by hand: asked again with their source where that overtakes
//! nothing, once, and never if they may have been run.

use coremux::base::PoolIdx;
use coremux::base::WorkerIdx;
use coremux::messages::ScriptFact;
use coremux::messages::ScriptNews;
use coremux::proxy::ConnId;
use coremux::proxy::Output;

use super::by_hand::Bench;
use super::frame::write_request;

/// Of `return 1`.
const SHA1: &str = "e0e1f9fabfc9d4800c877a703b823ac0578ff8db";
const NO_SCRIPT: &[u8] = b"-NOSCRIPT No matching script. Please use EVAL.\r\n";

fn called() -> Vec<u8> {
    write_request(&["EVALSHA", SHA1, "1", "k", "a"])
}

fn text(bytes: &[u8]) -> String {
    bytes.escape_ascii().to_string()
}

/// A connection on which a client has loaded the script.
fn loaded(bench: &mut Bench) -> (ConnId, ConnId) {
    let client = bench.client();
    bench.receives(client, &write_request(&["SCRIPT", "LOAD", "return 1"]));
    let server = bench.connected();
    bench.sent(server);
    bench.receives(server, format!("$40\r\n{SHA1}\r\n").as_bytes());
    bench.sent(client);
    (client, server)
}

fn asks(bench: &mut Bench, client: ConnId, server: ConnId, request: &[u8]) {
    bench.receives(client, request);
    assert_eq!(text(&bench.sends(server)), text(request));
    bench.sent(server);
}

#[test]
fn a_script_that_its_server_has_forgotten_is_asked_again_with_its_source_once() {
    let mut bench = Bench::new("");
    let (client, server) = loaded(&mut bench);
    let other = bench.client();
    asks(&mut bench, client, server, &called());
    let get = write_request(&["GET", "k"]);
    asks(&mut bench, other, server, &get);
    bench.receives(server, NO_SCRIPT);
    assert_eq!(text(&bench.sends(client)), "", "it is not told");
    // What its client asks meanwhile stays behind it.
    bench.receives(client, &get);
    bench.receives(server, b"$1\r\n1\r\n");
    assert_eq!(bench.sends(other), b"$1\r\n1\r\n");
    let again = write_request(&["EVAL", "return 1", "1", "k", "a"]);
    assert_eq!(text(&bench.sends(server)), text(&again));
    bench.sent(server);
    assert_eq!(text(&bench.sends(server)), text(&get));
    bench.sent(server);
    // Whatever its server says of that is what the client hears.
    bench.receives(server, NO_SCRIPT);
    assert_eq!(text(&bench.sends(client)), text(NO_SCRIPT));
    bench.sent(client);
    bench.receives(server, b"$1\r\n2\r\n");
    assert_eq!(bench.sends(client), b"$1\r\n2\r\n");
}

#[test]
fn the_error_is_told_where_a_later_request_would_be_overtaken() {
    let mut bench = Bench::new("");
    let (client, server) = loaded(&mut bench);
    asks(&mut bench, client, server, &called());
    asks(&mut bench, client, server, &write_request(&["GET", "k"]));
    bench.receives(server, NO_SCRIPT);
    assert_eq!(text(&bench.sends(client)), text(NO_SCRIPT));
}

#[test]
fn the_error_is_told_of_a_script_that_nobody_has_shown_or_that_was_flushed() {
    let mut bench = Bench::new("");
    let (client, server) = loaded(&mut bench);
    let unknown = write_request(&["EVALSHA", &SHA1.replace('e', "f"), "0"]);
    asks(&mut bench, client, server, &unknown);
    bench.receives(server, NO_SCRIPT);
    assert_eq!(text(&bench.sends(client)), text(NO_SCRIPT));
    bench.sent(client);
    asks(
        &mut bench,
        client,
        server,
        &write_request(&["SCRIPT", "FLUSH"]),
    );
    bench.receives(server, b"+OK\r\n");
    bench.sent(client);
    asks(&mut bench, client, server, &called());
    bench.receives(server, NO_SCRIPT);
    assert_eq!(text(&bench.sends(client)), text(NO_SCRIPT));
}

#[test]
fn every_worker_knows_what_a_client_of_one_has_loaded() {
    let mut bench = Bench::of_workers("", 2);
    loaded(&mut bench);
    let mut told = bench.outputs.iter().filter_map(|output| match output {
        Output::Script(news) => Some(news.clone()),
        _ => None,
    });
    let news = told.next().expect("the others are told");
    assert_eq!((news.teller, told.next()), (WorkerIdx(0), None));
    let mut bench = Bench::new("");
    bench.proxy.hear_script(&news);
    let client = bench.client();
    bench.receives(client, &called());
    let server = bench.connected();
    bench.sent(server);
    bench.receives(server, NO_SCRIPT);
    let again = write_request(&["EVAL", "return 1", "1", "k", "a"]);
    assert_eq!(text(&bench.sends(server)), text(&again));
    bench.sent(server);
    bench.receives(server, b":1\r\n");
    assert_eq!(bench.sends(client), b":1\r\n");
    bench.sent(client);
    bench.proxy.hear_script(&ScriptNews {
        teller: WorkerIdx(1),
        pool: PoolIdx(0),
        what: ScriptFact::Flushed,
    });
    asks(&mut bench, client, server, &called());
    bench.receives(server, NO_SCRIPT);
    assert_eq!(text(&bench.sends(client)), text(NO_SCRIPT));
}
