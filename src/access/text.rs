//! Text that a requester writes and other people read: a reason, and a ticket.

use crate::alphabet::is_word;
use serde::Serialize;

/// Why access is needed: 1 to 256 characters on one line. No control characters, and none that are
/// invisible or change the direction of text: an approver must read what was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Reason(String);

impl Reason {
    const LONGEST: usize = 256;

    /// Reads a reason. White space around it is dropped.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let length = text.chars().count();
        let fits = (1..=Self::LONGEST).contains(&length) && !text.chars().any(is_deceptive);
        fits.then(|| Self(text.to_owned()))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The ticket that says more: 1 to 64 of `[A-Za-z0-9._:/#-]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Ticket(String);

impl Ticket {
    /// Reads a ticket.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        is_word(text, 1..=64, b"._:/#-").then(|| Self(text.to_owned()))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Control characters, line and paragraph separators, and the invisible formatting characters of
/// Unicode (category Cf), of which the bidirectional ones reorder text. Source: Unicode Standard
/// Annex 9, and Technical Report 36, section 3.
fn is_deceptive(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{ad}'
                | '\u{61c}'
                | '\u{180e}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e0fff}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_one_line_that_reads_as_it_was_written() {
        for good in ["x", "Störung in Köln, 東京", " deploy 4711 "] {
            assert_eq!(Reason::parse(good).unwrap().as_str(), good.trim());
        }
        let long = "x".repeat(257);
        for bad in
            ["", "  ", "a\nb", "a\u{1b}[2Jb", "a\u{202e}b", "a\u{200b}b", "a\u{2028}b", &long]
        {
            assert_eq!(Reason::parse(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn a_ticket_is_a_word() {
        assert!(Ticket::parse("OPS-4711").is_some());
        assert!(Ticket::parse("org/repo#12").is_some());
        for bad in ["", "a b", "<b>", "é"] {
            assert_eq!(Ticket::parse(bad), None, "{bad:?}");
        }
    }
}
