//! Checks of text against an alphabet and a length. ASCII only: other scripts have look-alikes.

use std::ops::RangeInclusive;

/// Whether `text` has a length in `length` (bytes) and consists of ASCII letters, digits and the
/// bytes in `more`.
pub(crate) fn is_word(text: &str, length: RangeInclusive<usize>, more: &[u8]) -> bool {
    length.contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || more.contains(&byte))
}

/// Whether `text` is not empty and consists of printable ASCII without blanks.
pub(crate) fn is_printable(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// Whether `text` is an AWS account id: 12 digits.
pub(crate) fn is_account(text: &str) -> bool {
    text.len() == 12 && is_digits(text)
}

/// Whether `text` consists of decimal digits; the empty text does.
pub(crate) fn is_digits(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}
