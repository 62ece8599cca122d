//! A short, stable stand-in for text that does not fit.

use sha2::{Digest, Sha256};

/// The length of a [`short_digest`], in hexadecimal digits.
pub(crate) const DIGEST_LENGTH: usize = 16;

/// The first 64 bits of the text's SHA-256, in lower-case hexadecimal.
pub(crate) fn short_digest(text: &str) -> String {
    let bytes = Sha256::digest(text);
    let first = u64::from_be_bytes(std::array::from_fn(|index| bytes[index]));
    format!("{first:0DIGEST_LENGTH$x}")
}
