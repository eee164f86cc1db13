//! The three hashes that twemproxy makes from cyclic redundancy checks.
//!
//! twemproxy: `src/hashkit/nc_crc16.c`, `src/hashkit/nc_crc32.c`.

/// The polynomial x^16 + x^12 + x^5 + 1, most significant bit first (CCITT, XMODEM).
const POLYNOMIAL_16: u16 = 0x1021;

/// What a byte shifted out at the top adds to the check.
static TABLE_16: [u16; 256] = table_16();

/// Shifts left for ever in 32 bits: twemproxy never cuts the running value to 16 bits, so what
/// left the check stays in the upper half of the hash.
pub(super) fn crc16(key: &[u8]) -> u32 {
    key.iter().fold(0_u32, |crc, &byte| {
        let [_, _, top, _] = crc.to_be_bytes();
        (crc << 8) ^ u32::from(TABLE_16[usize::from(top ^ byte)])
    })
}

/// libmemcached's idea of a CRC-32: bits 16 to 30 of the real one.
pub(super) fn crc32(key: &[u8]) -> u32 {
    (crc32a(key) >> 16) & 0x7fff
}

/// The CRC-32 of zlib: reflected polynomial 0xedb88320, all ones at the start and the end.
pub(super) fn crc32a(key: &[u8]) -> u32 {
    crc32fast::hash(key)
}

const fn table_16() -> [u16; 256] {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < table.len() {
        #[allow(
            clippy::cast_possible_truncation,
            reason = "`byte` is below 256, and a const function has no try_from"
        )]
        let mut crc = (byte as u16) << 8;
        let mut bit = 0;
        while bit < 8 {
            let out = crc & 0x8000 != 0;
            crc <<= 1;
            if out {
                crc ^= POLYNOMIAL_16;
            }
            bit += 1;
        }
        table[byte] = crc;
        byte += 1;
    }
    table
}
