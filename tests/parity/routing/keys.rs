//! The keys whose homes are compared.

use coremux::base::Random;

/// How many there are.
pub const KEYS: usize = 2000;

/// The same keys in every run: all sorts of bytes, lengths and tags.
pub fn keys() -> Vec<Vec<u8>> {
    let mut keys: Vec<Vec<u8>> = [
        "", "a", "apple", "clé-ü", "ключ", "鍵", "🔑", "{}", "{}{a}", "a{}b", "{a", "a}", "}a{",
        "{a}{b}", "{{a}}", "{a}", "x{a}y", "$$", "$a$", "$$a$", "$a", "x$a$y$b$", "{$a}b$", "\0",
        "\r\n", "a b", "{ü}1", "{ü}2",
    ]
    .map(|key| key.as_bytes().to_vec())
    .into();
    let mut random = Random::new(1);
    // nutcracker takes keys of up to 16,335 bytes.
    for length in [255, 256, 4095, 4096, 15_000, 16_335] {
        keys.push(bytes(&mut random, length));
    }
    while keys.len() < KEYS {
        let length = below(&mut random, 48);
        keys.push(match keys.len() % 4 {
            0 => bytes(&mut random, length),
            1 => format!("user:{}", below(&mut random, 1 << 40)).into_bytes(),
            2 => {
                let tagged = below(&mut random, 300);
                format!("{{{tagged}}}:${}$", below(&mut random, 300)).into_bytes()
            }
            // Mostly tag bytes, with a few others between and around.
            _ => (0..length)
                .map(|_| b"{}$\xfca1"[below(&mut random, 6)])
                .collect(),
        });
    }
    keys
}

fn below(random: &mut Random, end: usize) -> usize {
    usize::try_from(random.below(u64::try_from(end).unwrap())).unwrap()
}

fn bytes(random: &mut Random, length: usize) -> Vec<u8> {
    (0..length)
        .map(|_| random.next_u64().to_le_bytes()[0])
        .collect()
}
