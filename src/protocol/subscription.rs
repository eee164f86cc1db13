//! What clients listen to, whatever the bytes that say so.
//!
//! Owns: which channels every server publishes by itself. Never: a frame.

/// How the channels are called on which a server tells what happens to its own keys.
const OF_KEYS: [&[u8]; 6] = [
    b"__keyspace@",
    b"__keyevent@",
    b"__subkeyspace@",
    b"__subkeyevent@",
    b"__subkeyspaceitem@",
    b"__subkeyspaceevent@",
];

/// Whether every server publishes on this channel, what happens to its own keys: so it is listened to
/// on all of them. Others live on one.
#[must_use]
pub fn is_everywhere(channel: &[u8]) -> bool {
    channel.starts_with(b"__") && OF_KEYS.iter().any(|prefix| channel.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::is_everywhere;

    #[test]
    fn what_happens_to_keys_is_told_by_their_servers() {
        for channel in [
            "__keyspace@0__:mykey",
            "__keyevent@15__:del",
            "__keyspace@0__:",
        ] {
            assert!(is_everywhere(channel.as_bytes()), "{channel}");
        }
        for channel in [
            "",
            "__",
            "news",
            "keyspace@0__:a",
            "__keyspac",
            "__sentinel__:hello",
        ] {
            assert!(!is_everywhere(channel.as_bytes()), "{channel}");
        }
    }
}
