//! The bytes between the watcher and a Sentinel: requests taken apart, replies put together.

/// The requests that lie whole at the beginning of `bytes`, which are taken away.
pub fn take(bytes: &mut Vec<u8>) -> Vec<Vec<String>> {
    let mut requests = Vec::new();
    while let Some((request, used)) = one(bytes) {
        requests.push(request);
        bytes.drain(..used);
    }
    requests
}

fn one(bytes: &[u8]) -> Option<(Vec<String>, usize)> {
    let (count, mut at) = number(bytes, 0, b'*')?;
    let mut words = Vec::new();
    for _ in 0..count {
        let (len, start) = number(bytes, at, b'$')?;
        let end = start + len;
        if bytes.len() < end + 2 {
            return None;
        }
        words.push(String::from_utf8(bytes[start..end].to_vec()).unwrap());
        at = end + 2;
    }
    Some((words, at))
}

fn number(bytes: &[u8], at: usize, mark: u8) -> Option<(usize, usize)> {
    let line = bytes.get(at..)?;
    assert!(line.is_empty() || line[0] == mark, "not a request");
    let end = line.windows(2).position(|pair| pair == b"\r\n")?;
    let number = std::str::from_utf8(&line[1..end]).unwrap().parse().unwrap();
    Some((number, at + end + 2))
}

/// A bulk string.
pub fn bulk(text: &str) -> String {
    format!("${}\r\n{text}\r\n", text.len())
}

/// An array of bulk strings.
pub fn array(words: &[&str]) -> String {
    let words_as_bulk: String = words.iter().map(|word| bulk(word)).collect();
    format!("*{}\r\n{words_as_bulk}", words.len())
}
