//! Whatever a client sends, wherever it is cut: the same commands come out, and each is whole.

use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::any;
use proptest::prelude::prop_assert_eq;
use proptest::proptest;
use proptest::sample::select;

use super::*;
use crate::protocol::command::Args;
use crate::protocol::command::CommandError;
use crate::protocol::memcached::cut_request;
use crate::protocol::memcached::expect;
use crate::protocol::memcached::resolve;
use crate::protocol::memcached::write_refusal;

/// What becomes of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Done {
    /// A server gets this, and the client hears of it or not; its first key is this.
    Sent(Vec<u8>, bool, Vec<u8>),
    /// The client gets this.
    Told(Vec<u8>),
    /// The client is closed.
    Closed,
}

fn done(request: &Request<'_>) -> Done {
    let refused = |error: &CommandError| {
        let mut out = Vec::new();
        write_refusal(error, request, &mut out);
        Done::Told(out)
    };
    match resolve(request) {
        Err(error) => refused(&error),
        Ok(command) => {
            let (mut queue, mut spare) = (ByteQueue::default(), Spare::default());
            request.write_to::<Bytes>(&mut queue, None, &mut spare);
            assert_eq!(queue.len(), request.frame_bytes());
            let keys = command.keys(request).unwrap();
            let key = keys.iter().next().map(|index| request.arg(index).to_vec());
            let is_heard = !expect(command, request).may_not_pass();
            Done::Sent(queue.to_vec(), is_heard, key.unwrap_or_default())
        }
    }
}

/// All that comes of a client's bytes that are received in these pieces.
fn read(bytes: &[u8], cuts: &[usize]) -> Vec<Done> {
    let mut bounds: Vec<usize> = cuts.iter().map(|cut| cut % (bytes.len() + 1)).collect();
    bounds.extend([0, bytes.len()]);
    bounds.sort_unstable();
    let (mut all, mut spare, mut args) = (Vec::new(), Spare::default(), Vec::new());
    let mut assembly: Option<RequestAssembly> = None;
    for pair in bounds.windows(2) {
        let chunk = Bytes::copy_from_slice(&bytes[pair[0]..pair[1]]);
        let mut at = 0;
        while at < chunk.len() {
            if assembly.is_none() {
                if let Some(used) = cut_request(&chunk[at..], &mut args).unwrap() {
                    all.push(done(&Request::whole(&chunk[at..at + used], &args)));
                    at += used;
                    continue;
                }
            }
            let mut going = assembly.take().unwrap_or_default();
            match going.feed(&chunk, at, &mut spare) {
                Err(_) => {
                    all.push(Done::Closed);
                    return all;
                }
                Ok(fed) => {
                    at += fed.used;
                    match fed.complete {
                        true => all.push(done(&going.request())),
                        false => assembly = Some(going),
                    }
                }
            }
        }
        // Another process goes on.
        if let Some(going) = assembly.take() {
            let mut raw = Vec::new();
            going.copy_raw(&mut raw);
            let mut next = RequestAssembly::default();
            let fed = next.feed(&Bytes::from(raw), 0, &mut spare).unwrap();
            assert!(!fed.complete, "a request is done by one process");
            assembly = Some(next);
        }
    }
    all
}

fn told(line: &str) -> Done {
    Done::Told(format!("{line}\r\n").into_bytes())
}

fn sent(frame: &[u8], is_heard: bool, key: &[u8]) -> Done {
    Done::Sent(frame.to_vec(), is_heard, key.to_vec())
}

fn pieces() -> Vec<&'static [u8]> {
    vec![
        b"get a b\r\n",
        b"get a\r\n",
        b"set k 0 0 3\r\n",
        b"abc\r\n",
        b"\r\n",
        b"set k 0 0 1 noreply\r\n",
        b"x\r\n",
        b"flush_all\r\n",
        b"cas k 1 2 3 4 noreply\r\n",
        b"mg a v q\r\n",
        b"ms k 3 T0 q\r\n",
        b"ms YQ== 1 b\r\n",
        b"set k\x01 0 0 11\r\n",
        b"set k 0 0 x\r\n",
        b"  delete  k  0 \r\n",
        b"x",
        b"\n",
        b"quit\r\n",
        b"version\n",
        b"stats",
        b"\x80",
        b"set k 0 0 0\r\n",
        b"incr k 1 noreply\r\n",
        b" ",
        b"\r",
    ]
}

proptest! {
    #[test]
    fn any_cut_of_the_same_bytes_gives_the_same_commands(
        parts in vec(select(pieces()), 0..8),
        cuts in vec(any::<usize>(), 0..6),
    ) {
        let bytes = parts.concat();
        let (whole, cut) = (read(&bytes, &[]), read(&bytes, &cuts));
        // Of a fault whose data is passed over, another process knows no more than that it is one.
        let plain = |all: Vec<Done>| -> Vec<Done> {
            let known = |one| match one {
                Done::Told(line) if line.starts_with(b"CLIENT_ERROR ") => told("CLIENT_ERROR"),
                one => one,
            };
            all.into_iter().map(known).collect()
        };
        prop_assert_eq!(plain(whole), plain(cut));
    }

    #[test]
    fn what_a_server_gets_is_one_canonical_command(
        parts in vec(select(pieces()), 0..8),
        junk in vec(any::<u8>(), 0..12),
        cuts in vec(any::<usize>(), 0..6),
    ) {
        let bytes = [parts.concat(), junk].concat();
        for one in read(&bytes, &cuts) {
            if let Done::Sent(frame, ..) = one {
                let mut args = Vec::new();
                prop_assert_eq!(cut_request(&frame, &mut args).unwrap(), Some(frame.len()).filter(|_| {
                    // A key in base64 is canonical, and found only by an assembly.
                    !frame.starts_with(b"ms YQ== ")
                }));
            }
        }
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in vec(any::<u8>(), 0..200), cuts in vec(any::<usize>(), 0..6)) {
        read(&bytes, &cuts);
    }
}

#[test]
fn noreply_and_quiet_are_kept_from_the_server() {
    let bytes =
        b"set k 0 0 1 noreply\r\nx\r\nmg k q v\r\nms k 1 q\r\ny\r\ndelete k noreply\r\nmn\r\n";
    for cuts in [&[][..], &[3, 21, 30, 50]] {
        let expected = [
            sent(b"set k 0 0 1\r\nx\r\n", false, b"k"),
            sent(b"mg k v\r\n", false, b"k"),
            sent(b"ms k 1\r\ny\r\n", false, b"k"),
            sent(b"delete k\r\n", false, b"k"),
            sent(b"mn\r\n", true, b""),
        ];
        assert_eq!(read(bytes, cuts), expected);
    }
}

#[test]
fn a_key_in_base64_is_found_decoded_and_sent_as_it_is() {
    let expected = [sent(b"mg YQBi b v\r\n", true, b"a\0b")];
    assert_eq!(read(b"mg YQBi b v\r\n", &[]), expected);
    let told_so = told("CLIENT_ERROR error decoding key");
    assert_eq!(
        read(b"ms YQ 1 b\r\nx\r\n", &[])[..],
        *std::slice::from_ref(&told_so)
    );
    assert_eq!(
        read(b"ms YQ 1 b q\r\nx\r\n", &[]),
        [told_so],
        "a quiet one is told of errors"
    );
}

#[test]
fn data_behind_a_fault_is_not_obeyed() {
    let format = told("CLIENT_ERROR bad command line format");
    for line in [
        "set a key 0 0 9",
        "set k 0 9999999999 9",
        "set k\t 0 0 9",
        "set k 0 0 9 loud",
    ] {
        let bytes = format!("{line}\r\nflush_all\r\nget a\r\n");
        for cuts in [&[][..], &[20, 25], &[18, 19, 20, 21, 22, 30]] {
            let expected = [format.clone(), sent(b"get a\r\n", true, b"a")];
            assert_eq!(read(bytes.as_bytes(), cuts), expected, "{line}");
        }
    }
    let quiet = b"set a key 0 0 9 noreply\r\nflush_all\r\nget a\r\n";
    let expected = [Done::Told(Vec::new()), sent(b"get a\r\n", true, b"a")];
    assert_eq!(read(quiet, &[30]), expected);
}

#[test]
fn a_data_block_of_another_length_is_passed_over_up_to_its_line_end() {
    let data = told("CLIENT_ERROR bad data chunk");
    for bytes in [
        &b"set k 0 0 1\r\nxyz\r\nget a\r\n"[..],
        b"set k 0 0 4\r\nabc\r\nget a\r\n",
        b"set k 0 0 0\r\nflush_all\r\nget a\r\n",
        b"ms k 1\r\nxyz\r\nget a\r\n",
    ] {
        for cuts in [&[][..], &[14, 15, 16, 17]] {
            let expected = [data.clone(), sent(b"get a\r\n", true, b"a")];
            assert_eq!(read(bytes, cuts), expected, "{}", bytes.escape_ascii());
        }
    }
}

#[test]
fn too_much_data_is_passed_over_and_not_kept() {
    let mut assembly = RequestAssembly::default();
    let mut spare = Spare::default();
    let line = Bytes::from_static(b"set k 0 0 2000000000\r\n");
    assert!(!assembly.feed(&line, 0, &mut spare).unwrap().complete);
    let block = Bytes::from(vec![b'x'; 1 << 20]);
    for _ in 0..2_000_000_000 >> 20 {
        assert!(!assembly.feed(&block, 0, &mut spare).unwrap().complete);
    }
    assert!(assembly.held_bytes() < 100);
    let rest = vec![b'x'; 2_000_000_000 % (1 << 20)];
    let rest = Bytes::from([rest, b"\r\nget".to_vec()].concat());
    let fed = assembly.feed(&rest, 0, &mut spare).unwrap();
    assert!(fed.complete && fed.used == rest.len() - 3);
    let large = told("SERVER_ERROR object too large for cache");
    assert_eq!(done(&assembly.request()), large);
}

#[test]
fn a_bare_line_feed_ends_only_a_line_without_a_key() {
    assert_eq!(read(b"get zz\nflush_all\r\n", &[]), [Done::Closed]);
    assert_eq!(read(b"set k 0 0 1\nx\r\n", &[5]), [Done::Closed]);
    assert_eq!(read(b"version\nversion\r\n", &[]).len(), 2);
    assert_eq!(read(b"\nnonsense\n", &[]), [told("ERROR"), told("ERROR")]);
}

#[test]
fn other_protocols_are_known() {
    assert_eq!(read(b"\x80\x01\0\x03\0\0\0\0", &[]), [Done::Closed]);
    assert_eq!(read(b"POST / HTTP/1.1\r\nget a\r\n", &[]), [Done::Closed]);
    assert_eq!(read(&[b'x'; 3000], &[100]), [Done::Closed]);
    let keys = format!("get{}\r\n", " key".repeat(2000));
    assert!(matches!(
        read(keys.as_bytes(), &[5000])[..],
        [Done::Sent(..)]
    ));
}

#[test]
fn a_large_value_stays_where_it_was_received() {
    let data = vec![b'v'; 100_000];
    let frame = [b"set k 0 0 100000\r\n".to_vec(), data, b"\r\n".to_vec()].concat();
    let expected = [sent(&frame, true, b"k")];
    for cuts in [&[50_000][..], &[18, 60_000, 100_018, 100_019]] {
        assert_eq!(read(&frame, cuts), expected);
    }
    let bytes = Bytes::from(frame);
    let (mut assembly, mut spare) = (RequestAssembly::default(), Spare::default());
    for piece in [bytes.slice(..60_000), bytes.slice(60_000..)] {
        assembly.feed(&piece, 0, &mut spare).unwrap();
    }
    let mut queue = ByteQueue::default();
    assembly
        .request()
        .write_to::<Bytes>(&mut queue, None, &mut spare);
    let range = bytes.as_ptr_range();
    let shared = queue
        .slices()
        .filter(|slice| range.contains(&slice.as_ptr()));
    assert_eq!(shared.map(<[u8]>::len).sum::<usize>(), 100_000);
}
