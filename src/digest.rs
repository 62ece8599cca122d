//! SHA-256, in full and shortened.

use sha2::{Digest, Sha256};
use std::fmt::Write;

/// The length of a [`short_digest`], in hexadecimal digits.
pub(crate) const DIGEST_LENGTH: usize = 16;

/// The first 64 bits of the text's SHA-256, in lower-case hexadecimal.
pub(crate) fn short_digest(text: &str) -> String {
    format!("{:0DIGEST_LENGTH$x}", digest_bits(text))
}

/// The first 64 bits of the text's SHA-256.
pub(crate) fn digest_bits(text: &str) -> u64 {
    let bytes = Sha256::digest(text);
    u64::from_be_bytes(std::array::from_fn(|index| bytes[index]))
}

/// SHA-256 in lower-case hexadecimal.
pub(crate) fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold(String::new(), |mut text, byte| {
        // Writing to a String does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
