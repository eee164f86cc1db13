//! What comes of which replies.

use bytes::Bytes;

use super::*;

fn queue(pieces: &[&[u8]]) -> ByteQueue {
    let (mut queue, mut spare) = (ByteQueue::default(), Spare::default());
    for piece in pieces {
        queue.push(Bytes::copy_from_slice(piece), &mut spare);
    }
    queue
}

fn joined(how: Gather, order: &[u16], replies: &[(u32, &[u8])]) -> Vec<u8> {
    let mut join = Join::new(how, order.to_vec());
    for (index, reply) in replies {
        join.add(*index, queue(&[reply]));
    }
    let (mut out, mut spare) = (ByteQueue::default(), Spare::default());
    join.finish(&mut out, &mut spare);
    out.to_vec()
}

#[test]
fn elements_may_be_those_of_the_newer_version() {
    let replies: [(u32, &[u8]); 2] = [
        (1, b"*1\r\n_\r\n"),
        (0, b"*2\r\n$1\r\na\r\n%1\r\n+k\r\n_\r\n"),
    ];
    let all = b"*3\r\n$1\r\na\r\n_\r\n%1\r\n+k\r\n_\r\n";
    assert_eq!(joined(Gather::Concat, &[0, 1, 0], &replies), all);
    let replies: [(u32, &[u8]); 2] = [(0, b":1\r\n"), (1, b"!6\r\nERR no\r\n")];
    assert_eq!(joined(Gather::Sum, &[0, 1], &replies), b"!6\r\nERR no\r\n");
}

#[test]
fn elements_come_in_the_order_of_the_keys() {
    let replies: [(u32, &[u8]); 2] = [(1, b"*1\r\n$1\r\nb\r\n"), (0, b"*2\r\n$1\r\na\r\n$-1\r\n")];
    let all = b"*3\r\n$1\r\na\r\n$1\r\nb\r\n$-1\r\n";
    assert_eq!(joined(Gather::Concat, &[0, 1, 0], &replies), all);
}

#[test]
fn numbers_are_summed_and_oks_are_one_ok() {
    assert_eq!(
        joined(Gather::Sum, &[], &[(0, b":2\r\n"), (1, b":40\r\n")]),
        b":42\r\n"
    );
    assert_eq!(
        joined(Gather::AllOk, &[], &[(0, b"+OK\r\n"), (1, b"+OK\r\n")]),
        b"+OK\r\n"
    );
}

#[test]
fn one_failed_part_fails_the_request_with_its_own_words() {
    let replies: [(u32, &[u8]); 2] = [(0, b":2\r\n"), (1, b"-LOADING wait\r\n")];
    assert_eq!(joined(Gather::Sum, &[], &replies), b"-LOADING wait\r\n");
    let replies: [(u32, &[u8]); 2] = [(0, b"*1\r\n$1\r\na\r\n"), (1, b"-OOM no\r\n")];
    assert_eq!(joined(Gather::Concat, &[0, 1], &replies), b"-OOM no\r\n");
}

#[test]
fn a_server_that_gives_too_few_or_too_many_elements_is_an_error() {
    for reply in [
        &b"*1\r\n$1\r\na\r\n"[..],
        b"*3\r\n$1\r\na\r\n$1\r\nb\r\n$1\r\nc\r\n",
    ] {
        let out = joined(Gather::Concat, &[0, 0], &[(0, reply)]);
        assert!(out.starts_with(b"-ERR"), "{}", out.escape_ascii());
    }
}

#[test]
fn a_large_element_is_joined_across_stretches() {
    let body = vec![b'v'; 40_000];
    let head = b"*2\r\n$1\r\na\r\n$40000\r\n";
    let reply = queue(&[head, &body[..20_000], &body[20_000..], b"\r\n"]);
    let mut join = Join::new(Gather::Concat, vec![0, 0]);
    join.add(0, reply);
    let (mut out, mut spare) = (ByteQueue::default(), Spare::default());
    join.finish(&mut out, &mut spare);
    assert_eq!(out.to_vec(), [&head[..], &body, b"\r\n"].concat());
}

#[test]
fn arrays_are_chained_in_the_order_of_the_servers_whatever_they_hold() {
    let replies: [(u32, &[u8]); 3] = [
        (2, b"*1\r\n*1\r\n:7\r\n"),
        (0, b"*2\r\n$1\r\na\r\n$1\r\nb\r\n"),
        (1, b"*0\r\n"),
    ];
    let all = b"*3\r\n$1\r\na\r\n$1\r\nb\r\n*1\r\n:7\r\n";
    assert_eq!(joined(Gather::Chain, &[0, 1, 2], &replies), all);
    let failed: [(u32, &[u8]); 2] = [(0, b"*1\r\n$1\r\na\r\n"), (1, b"-ERR gone\r\n")];
    assert_eq!(joined(Gather::Chain, &[0, 1], &failed), b"-ERR gone\r\n");
}

#[test]
fn a_flag_is_set_where_every_server_has_set_it() {
    let replies: [(u32, &[u8]); 2] = [
        (0, b"*3\r\n:1\r\n:0\r\n:1\r\n"),
        (1, b"*3\r\n:1\r\n:1\r\n:0\r\n"),
    ];
    let all = b"*3\r\n:1\r\n:0\r\n:0\r\n";
    assert_eq!(joined(Gather::Every, &[0, 1], &replies), all);
    let uneven: [(u32, &[u8]); 2] = [(0, b"*1\r\n:1\r\n"), (1, b"*2\r\n:1\r\n:1\r\n")];
    assert!(joined(Gather::Every, &[0, 1], &uneven).starts_with(b"-ERR Server gave"));
}

#[test]
fn of_several_replies_one_is_chosen_by_what_it_says() {
    let numbers: [(u32, &[u8]); 2] = [(0, b":1700000009\r\n"), (1, b":1700000001\r\n")];
    assert_eq!(joined(Gather::Min, &[0, 1], &numbers), b":1700000001\r\n");
    let texts: [(u32, &[u8]); 2] = [(1, b"$1\r\nb\r\n"), (0, b"$1\r\na\r\n")];
    assert_eq!(joined(Gather::First, &[0, 1], &texts), b"$1\r\na\r\n");
    for nil in [&b"$-1\r\n"[..], b"_\r\n", b"*-1\r\n"] {
        let one: [(u32, &[u8]); 3] = [(0, nil), (1, b"$1\r\nk\r\n"), (2, nil)];
        assert_eq!(joined(Gather::Any, &[2, 0, 1], &one), b"$1\r\nk\r\n");
        let none: [(u32, &[u8]); 2] = [(0, nil), (1, nil)];
        assert_eq!(joined(Gather::Any, &[1, 0], &none), nil);
    }
    let several: [(u32, &[u8]); 2] = [(0, b"$1\r\na\r\n"), (1, b"$1\r\nb\r\n")];
    assert_eq!(joined(Gather::Any, &[1, 0], &several), b"$1\r\nb\r\n");
    let longest: [(u32, &[u8]); 2] = [(0, b"*1\r\n$-1\r\n"), (1, b"*1\r\n$3\r\nrun\r\n")];
    assert_eq!(
        joined(Gather::Longest, &[0, 1], &longest),
        b"*1\r\n$3\r\nrun\r\n"
    );
}

#[test]
fn names_come_once_and_their_counts_are_summed() {
    let names: [(u32, &[u8]); 3] = [
        (1, b"*2\r\n$1\r\nb\r\n$1\r\na\r\n"),
        (0, b"*1\r\n$1\r\na\r\n"),
        (2, b"*0\r\n"),
    ];
    let all = b"*2\r\n$1\r\na\r\n$1\r\nb\r\n";
    assert_eq!(joined(Gather::Union, &[], &names), all);
    let counts = |event: &str, [a, b]: [u8; 2]| {
        let event = format!("${}\r\n{event}\r\n", event.len());
        format!("*4\r\n$1\r\na\r\n:{a}\r\n{event}:{b}\r\n").into_bytes()
    };
    let everywhere = "__keyevent@0__:del";
    let summed = |event, first, second| {
        let (first, second) = (counts(event, first), counts(event, second));
        joined(Gather::Counts, &[], &[(0, &first), (1, &second)])
    };
    assert_eq!(summed("b", [2, 1], [1, 0]), counts("b", [3, 1]));
    // Each of its listeners is on both.
    let max = counts(everywhere, [3, 2]);
    assert_eq!(summed(everywhere, [2, 1], [1, 2]), max);
    let twice = b"*4\r\n$1\r\na\r\n:1\r\n$1\r\na\r\n:1\r\n";
    let sums = b"*4\r\n$1\r\na\r\n:2\r\n$1\r\na\r\n:2\r\n";
    assert_eq!(joined(Gather::Counts, &[], &[(0, twice), (1, twice)]), sums);
    assert_eq!(joined(Gather::Counts, &[], &[(0, b"*0\r\n")]), b"*0\r\n");
    for odd in [
        &b"*1\r\n$1\r\na\r\n"[..],
        b"*2\r\n:1\r\n:1\r\n",
        b"*-1\r\n:1\r\n",
    ] {
        let told = joined(Gather::Counts, &[], &[(0, odd)]);
        assert!(
            told.starts_with(b"-ERR Server gave"),
            "{}",
            told.escape_ascii()
        );
    }
    let numbers: [(u32, &[u8]); 2] = [(0, b":2\r\n"), (1, b":7\r\n")];
    assert_eq!(joined(Gather::Max, &[], &numbers), b":7\r\n");
}

#[test]
fn one_server_has_stopped_what_ran_and_the_others_had_nothing_to_stop() {
    let idle = b"-NOTBUSY No scripts in execution right now.\r\n";
    let unkillable = b"-UNKILLABLE Sorry the script already executed write commands\r\n";
    for (replies, whole) in [
        ([&idle[..], b"+OK\r\n"], &b"+OK\r\n"[..]),
        ([b"+OK\r\n", idle], b"+OK\r\n"),
        ([idle, idle], idle),
        ([idle, unkillable], unkillable),
        ([unkillable, b"+OK\r\n"], unkillable),
        ([unkillable, idle], unkillable),
    ] {
        let replies = [(0, replies[0]), (1, replies[1])];
        assert_eq!(joined(Gather::OneOk, &[0, 1], &replies), whole);
    }
}

#[test]
fn a_page_that_is_none_is_an_error() {
    let page = Page {
        of_server: 0,
        mark: 5,
        next: None,
    };
    for reply in [
        &b"*1\r\n$1\r\n0\r\n"[..],
        b"*0\r\n",
        b"*-1\r\n",
        b"*2\r\n*0\r\n*0\r\n",
        b"*2\r\n$3\r\n1\r\n\r\n*0\r\n",
        b"*2\r\n$2\r\n-1\r\n*0\r\n",
        b":7\r\n",
        b"+OK\r\n",
    ] {
        let mut join = Join::page(page);
        join.add(0, queue(&[reply]));
        let (mut out, mut spare) = (ByteQueue::default(), Spare::default());
        join.finish(&mut out, &mut spare);
        let told = out.to_vec();
        assert!(
            told.starts_with(b"-ERR Server gave"),
            "{}",
            told.escape_ascii()
        );
    }
}
