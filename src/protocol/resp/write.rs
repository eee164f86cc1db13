//! Requests of our own as bytes: greetings, probes, questions to Sentinels.

/// Appends the request of these words.
pub fn write_request(out: &mut Vec<u8>, words: &[&[u8]]) {
    write_words(out, words);
}

/// The same of words that are kept otherwise.
pub fn write_words<W: AsRef<[u8]>>(out: &mut Vec<u8>, words: &[W]) {
    let mut number = itoa::Buffer::new();
    out.push(b'*');
    out.extend_from_slice(number.format(words.len()).as_bytes());
    out.extend_from_slice(b"\r\n");
    for word in words.iter().map(AsRef::as_ref) {
        out.push(b'$');
        out.extend_from_slice(number.format(word.len()).as_bytes());
        out.extend_from_slice(b"\r\n");
        out.extend_from_slice(word);
        out.extend_from_slice(b"\r\n");
    }
}
