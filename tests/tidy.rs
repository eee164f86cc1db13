//! The rules of the house that no compiler holds: floors, `unsafe`, sizes, words, documents.
//!
//! Each test names every place that breaks its rule. Documents that are made from the code are
//! compared with it; after a change of the code `COREMUX_WRITE_DOCS=1 cargo test --test tidy`
//! writes them anew.
#![allow(
    clippy::unwrap_used,
    unreachable_pub,
    reason = "all of this is tests: what fails, fails the test"
)]

#[path = "tidy/circles.rs"]
mod circles;
#[path = "tidy/commands.rs"]
mod commands;
#[path = "tidy/documents.rs"]
mod documents;
#[path = "tidy/files.rs"]
mod files;
#[path = "tidy/floors.rs"]
mod floors;
#[path = "tidy/guides.rs"]
mod guides;
#[path = "tidy/kept.rs"]
mod kept;
#[path = "tidy/layers.rs"]
mod layers;
#[path = "tidy/programs.rs"]
mod programs;
#[path = "tidy/protocol.rs"]
mod protocol;
#[path = "tidy/source.rs"]
mod source;

/// Fails with all that was found, a line each.
fn expect_none(rule: &str, found: &[String]) {
    assert!(found.is_empty(), "{rule}:\n{}", found.join("\n"));
}
