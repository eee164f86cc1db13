//! The sources of scripts, so that a script is found on servers that have never seen it.
//!
//! A source is remembered when a client loads it (`SCRIPT LOAD`), or runs it for the second time: what is
//! run once may be made for once. Every worker hears of it.
//!
//! Owns: the sources, oldest forgotten first. Never: more than [`BYTES_MAX`] of them; asks a server.

use std::collections::BTreeMap;
use std::collections::VecDeque;
use std::hash::BuildHasher;
use std::hash::RandomState;
use std::sync::Arc;

use sha1::Digest;
use sha1::Sha1;

use crate::base::PoolIdx;
use crate::messages::ScriptFact;
use crate::protocol::command;
use crate::protocol::command::Args;
use crate::protocol::command::ScriptWord;

/// Of one worker, all pools together: a thousand scripts of usual length.
const BYTES_MAX: usize = 1 << 20;

/// A longer script is not remembered.
const SOURCE_BYTES_MAX: usize = 64 << 10;

/// Of so many sources that were run lately it is known that they were, about.
const RUN_LATELY: usize = 256;

/// What a script says that is not found; one that has this in its text may say it by itself.
const NOT_FOUND: &[u8] = b"NOSCRIPT";

/// A pool's script.
type Name = (PoolIdx, [u8; 20]);

/// The sources that are known.
#[derive(Debug, Default)]
pub(in crate::proxy) struct Scripts {
    known: BTreeMap<Name, Arc<[u8]>>,
    // Oldest first.
    order: VecDeque<Name>,
    bytes: usize,
    run_lately: RunLately,
}

/// Hashes of sources that were run, each in the one place where it can be.
#[derive(Debug, Default)]
struct RunLately {
    places: Vec<u64>,
    hasher: RandomState,
}

impl RunLately {
    /// Whether it was run before, if that was lately.
    fn again(&mut self, pool: PoolIdx, source: &[u8]) -> bool {
        let hash = self.hasher.hash_one((pool, source));
        self.places.resize(RUN_LATELY, 0);
        #[expect(
            clippy::cast_possible_truncation,
            reason = "only the lowest bits count"
        )]
        let place = &mut self.places[hash as usize % RUN_LATELY];
        std::mem::replace(place, hash) == hash
    }
}

impl Scripts {
    /// Takes what a request says of scripts: what is new to the other workers, too.
    pub(in crate::proxy) fn hear<A: Args + ?Sized>(
        &mut self,
        pool: PoolIdx,
        request: &A,
    ) -> Option<ScriptFact> {
        let source = match command::script_word(request)? {
            ScriptWord::Flushes => {
                self.forget(pool);
                return Some(ScriptFact::Flushed);
            }
            ScriptWord::Loads(at) => request.arg(at),
            ScriptWord::Runs(at) => {
                let source = request.arg(at);
                if source.len() > SOURCE_BYTES_MAX || !self.run_lately.again(pool, source) {
                    return None;
                }
                source
            }
        };
        if source.len() > SOURCE_BYTES_MAX {
            return None;
        }
        let sha1 = Sha1::digest(source).into();
        if self.known.contains_key(&(pool, sha1)) {
            return None;
        }
        let source: Arc<[u8]> = source.into();
        self.keep((pool, sha1), Arc::clone(&source));
        Some(ScriptFact::Source { sha1, source })
    }

    pub(in crate::proxy) fn keep(&mut self, name: Name, source: Arc<[u8]>) {
        self.bytes += source.len();
        match self.known.insert(name, source) {
            Some(before) => self.bytes -= before.len(),
            None => self.order.push_back(name),
        }
        while self.bytes > BYTES_MAX {
            let Some(oldest) = self.order.pop_front() else {
                return;
            };
            if let Some(source) = self.known.remove(&oldest) {
                self.bytes -= source.len();
            }
        }
    }

    pub(in crate::proxy) fn forget(&mut self, pool: PoolIdx) {
        self.order.retain(|(of, _)| *of != pool);
        self.known.retain(|(of, _), _| *of != pool);
        self.bytes = self.known.values().map(|source| source.len()).sum();
    }

    /// The request again, of which the server does not know the script; `None` if it is not to be asked
    /// again.
    pub(in crate::proxy) fn again<A: Args + ?Sized>(
        &self,
        pool: PoolIdx,
        request: &A,
    ) -> Option<Vec<Vec<u8>>> {
        let source = self.known.get(&(pool, command::script_called(request)?))?;
        if memchr::memmem::find(source, NOT_FOUND).is_some() {
            return None;
        }
        command::words_with_source(request, source)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POOL: PoolIdx = PoolIdx(0);
    /// Of `return 1`.
    const SHA1: &str = "e0e1f9fabfc9d4800c877a703b823ac0578ff8db";

    fn called(scripts: &Scripts, sha1: &str) -> Option<Vec<Vec<u8>>> {
        scripts.again(POOL, &["EVALSHA", sha1, "1", "k"])
    }

    #[test]
    fn a_script_is_known_when_it_is_loaded_or_run_again() {
        let mut scripts = Scripts::default();
        assert!(scripts.hear(POOL, &["EVAL", "return 1", "0"]).is_none());
        assert!(called(&scripts, SHA1).is_none(), "it may be made for once");
        let news = scripts.hear(POOL, &["EVAL", "return 1", "0"]);
        assert!(matches!(news, Some(ScriptFact::Source { .. })));
        let words = called(&scripts, SHA1).unwrap();
        assert_eq!(
            words,
            ["EVAL", "return 1", "1", "k"].map(|word| word.as_bytes().to_vec())
        );
        assert!(called(&scripts, &SHA1.to_uppercase()).is_some());
        assert!(
            scripts.hear(POOL, &["EVAL", "return 1", "0"]).is_none(),
            "that is no news"
        );
        assert!(scripts.again(PoolIdx(1), &["EVALSHA", SHA1, "0"]).is_none());
        assert_eq!(
            scripts.hear(POOL, &["SCRIPT", "FLUSH"]),
            Some(ScriptFact::Flushed)
        );
        assert!(called(&scripts, SHA1).is_none() && scripts.bytes == 0);
        assert!(
            scripts
                .hear(POOL, &["SCRIPT", "LOAD", "return 1"])
                .is_some()
        );
        assert!(called(&scripts, SHA1).is_some());
    }

    #[test]
    fn the_oldest_are_forgotten_and_what_is_too_long_is_not_remembered() {
        let mut scripts = Scripts::default();
        scripts.hear(POOL, &["SCRIPT", "LOAD", "return 1"]);
        let long = "x".repeat(SOURCE_BYTES_MAX + 1);
        assert!(scripts.hear(POOL, &["SCRIPT", "LOAD", &long]).is_none());
        for nth in 0..40 {
            assert!(called(&scripts, SHA1).is_some() || nth > 15);
            let text = format!("{nth:02}{}", "x".repeat(SOURCE_BYTES_MAX - 2));
            scripts.hear(POOL, &["SCRIPT", "LOAD", &text]);
            assert!(scripts.bytes <= BYTES_MAX && scripts.order.len() == scripts.known.len());
        }
        assert!(called(&scripts, SHA1).is_none());
    }

    #[test]
    fn a_script_that_may_say_so_itself_is_not_asked_again() {
        let mut scripts = Scripts::default();
        let source = "return redis.error_reply('NOSCRIPT No matching script.')";
        let Some(ScriptFact::Source { sha1, .. }) = scripts.hear(POOL, &["SCRIPT", "LOAD", source])
        else {
            panic!("it is news");
        };
        let sha1: String = sha1.iter().map(|byte| format!("{byte:02x}")).collect();
        assert!(called(&scripts, &sha1).is_none());
    }
}
