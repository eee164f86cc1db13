//! No byte of a protocol stands outside `protocol/`.

use super::expect_none;
use super::files::rust_below;

/// What a value of RESP begins with.
const MARKS: &str = "+-:$*_,#(!=%~>";

/// Whether a line of code holds a piece of a frame: a line end, a mark as a byte, or a literal that
/// begins with a mark as a frame does.
fn holds_a_frame(line: &str) -> bool {
    let is_mark = |c: Option<char>| c.is_some_and(|c| MARKS.contains(c));
    let behind = |at: usize, head: &str| {
        let mut rest = line[at + head.len()..].chars();
        (rest.next(), rest.next())
    };
    let any = |head: &str, is: &dyn Fn(Option<char>, Option<char>) -> bool| {
        let mut found = line.match_indices(head).map(|(at, _)| behind(at, head));
        found.any(|(first, second)| is(first, second))
    };
    line.contains("\\r")
        || any("b'", &|first, second| {
            is_mark(first) && second == Some('\'')
        })
        || any("b\"", &|first, _| is_mark(first))
        || any("\"", &|first, second| {
            let goes_on = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '{';
            is_mark(first) && second.is_some_and(goes_on)
        })
}

#[test]
fn the_data_plane_knows_no_byte_of_a_protocol() {
    let mut found = Vec::new();
    for file in rust_below("src/proxy") {
        for (number, line) in file.code_without_tests() {
            if holds_a_frame(line) {
                found.push(file.place(number, line.trim()));
            }
        }
    }
    expect_none("frames are written and read in src/protocol", &found);
}

/// What Redis's own commands say is written in Redis's protocol.
const OF_REDIS: &str = "src/proxy/client/local.rs";
const BELOW_IT: &str = "src/proxy/client/local/";

#[test]
fn the_data_plane_names_no_protocol_but_where_one_is_answered() {
    let mut found = Vec::new();
    for file in rust_below("src/proxy") {
        for (number, line) in file.code_without_tests() {
            let is_of_redis = file.path == OF_REDIS || file.path.starts_with(BELOW_IT);
            if line.contains("protocol::resp") && !is_of_redis {
                found.push(file.place(number, line.trim()));
            }
        }
    }
    expect_none(
        "it names what stands beside Protocol in src/protocol",
        &found,
    );
    let answers = rust_below(OF_REDIS.trim_end_matches("/local.rs"));
    let names = |line: &str| line.contains("protocol::resp");
    let of_redis = answers.iter().find(|file| file.path == OF_REDIS).unwrap();
    assert!(
        of_redis.code().any(|(_, line)| names(line)),
        "nothing is let pass any more"
    );
}

#[test]
fn a_piece_of_a_frame_is_seen() {
    for line in [
        r#"out.extend_from_slice(b"+OK\r\n");"#,
        r#"let is_role = answer.starts_with(b"*");"#,
        r#"const NOT_YET: &[u8] = b"-LOADING ";"#,
        "if mark == b'-' {",
        "client.assembly.is_none() && buf[0] == b'*'",
        r#"format!("-{text}")"#,
        r#"format!("*{args}")"#,
        r#"let text = "$3";"#,
        r#"lines.join("\r\n")"#,
    ] {
        assert!(holds_a_frame(line), "{line}");
    }
    for line in [
        r#"write!(out, "{a}-{b}")"#,
        r#"reply.error("ERR syntax error");"#,
        r#"line.extend_from_slice(b" lib-ver=");"#,
        "let sum = a - b * c;",
        "line.push(b'\\n');",
    ] {
        assert!(!holds_a_frame(line), "{line}");
    }
}
