//! MD5 as a key hash.
//!
//! twemproxy: `src/hashkit/nc_md5.c`.

use ::md5::Digest;
use ::md5::Md5;

pub(super) fn md5(key: &[u8]) -> u32 {
    super::word(&Md5::digest(key))
}
