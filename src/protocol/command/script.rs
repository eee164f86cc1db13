//! Scripts in requests: where a request has one's source, and by which name it calls one.
//!
//! Owns: reading that, and writing the request that brings the source for one that has not found its script.

use super::Args;

/// What a request says of scripts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScriptWord {
    /// The argument at this index is a script's source, which is run at once.
    Runs(usize),
    /// The argument at this index is a script's source, which is to be known from now on.
    Loads(usize),
    /// All scripts are to be forgotten.
    Flushes,
}

/// What a request says of scripts, if it says anything.
pub fn script_word<A: Args + ?Sized>(args: &A) -> Option<ScriptWord> {
    let is = |index: usize, word: &str| {
        index < args.len() && args.arg(index).eq_ignore_ascii_case(word.as_bytes())
    };
    match args.len() {
        2.. if is(0, "EVAL") || is(0, "EVAL_RO") => Some(ScriptWord::Runs(1)),
        3 if is(0, "SCRIPT") && is(1, "LOAD") => Some(ScriptWord::Loads(2)),
        2.. if is(0, "SCRIPT") && is(1, "FLUSH") => Some(ScriptWord::Flushes),
        _ => None,
    }
}

/// The SHA-1 by which a request calls a script.
pub fn script_called<A: Args + ?Sized>(args: &A) -> Option<[u8; 20]> {
    with_source(args)?;
    let digits = (args.len() > 1).then(|| args.arg(1))?;
    if digits.len() != 40 {
        return None;
    }
    let mut sha1 = [0; 20];
    for (byte, pair) in sha1.iter_mut().zip(digits.chunks_exact(2)) {
        let value = |digit: u8| char::from(digit).to_digit(16);
        *byte = u8::try_from(value(pair[0])? << 4 | value(pair[1])?).ok()?;
    }
    Some(sha1)
}

/// The words of a request that calls a script, with its source instead; `None` of any other.
pub fn words_with_source<A: Args + ?Sized>(args: &A, source: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut words = vec![with_source(args)?.as_bytes().to_vec(), source.to_vec()];
    words.extend((2..args.len()).map(|index| args.arg(index).to_vec()));
    Some(words)
}

/// The command that runs a source as this one runs what it calls.
fn with_source<A: Args + ?Sized>(args: &A) -> Option<&'static str> {
    let name = (!args.is_empty()).then(|| args.arg(0))?;
    let both = [("EVALSHA", "EVAL"), ("EVALSHA_RO", "EVAL_RO")];
    let found = both
        .iter()
        .find(|(by_name, _)| name.eq_ignore_ascii_case(by_name.as_bytes()));
    found.map(|(_, by_source)| *by_source)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<&str> {
        line.split(' ').collect()
    }

    #[test]
    fn a_request_that_calls_a_script_is_written_with_its_source() {
        let sha1 = "0123456789abcdefABCDEF000000000000000001";
        for (called, written) in [("evalsha", "EVAL"), ("EvalSha_RO", "EVAL_RO")] {
            let request = format!("{called} {sha1} 1 k a");
            let found = script_called(&words(&request)).unwrap();
            assert_eq!(
                (found[0], found[7], found[8], found[19]),
                (1, 0xef, 0xab, 1)
            );
            let whole = words_with_source(&words(&request), b"return 1").unwrap();
            let expected = [written.as_bytes(), b"return 1", b"1", b"k", b"a"];
            assert_eq!(whole, expected.map(<[u8]>::to_vec));
        }
        for other in ["EVAL x 0", "EVALSHA", "EVALSHA short 0", "GET k"] {
            assert_eq!(script_called(&words(other)), None, "{other}");
        }
        let wrong = format!("EVALSHA {}", "g".repeat(40));
        assert_eq!(script_called(&words(&wrong)), None);
    }

    #[test]
    fn sources_are_found_where_they_are() {
        for (line, word) in [
            ("eval s 0", Some(ScriptWord::Runs(1))),
            ("EVAL_RO s 0", Some(ScriptWord::Runs(1))),
            ("script load s", Some(ScriptWord::Loads(2))),
            ("SCRIPT FLUSH ASYNC", Some(ScriptWord::Flushes)),
            ("SCRIPT EXISTS s", None),
            ("FUNCTION LOAD s", None),
            ("EVAL", None),
        ] {
            assert_eq!(script_word(&words(line)), word, "{line}");
        }
    }
}
