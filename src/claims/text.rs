//! Text that one person writes and others read.

use crate::alphabet::is_word;
use serde::Serialize;

/// Why access is needed: 1 to 256 characters on one line. No control characters, none that are
/// invisible or change the direction of text, no white space but the space, and no heaps of combining
/// marks: an approver must read what was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Reason(String);

impl Reason {
    const LONGEST: usize = 256;

    /// Reads a reason. White space around it is dropped.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let length = text.chars().count();
        let fits = (1..=Self::LONGEST).contains(&length);
        let is_plain = !text.chars().any(is_deceptive) && !heaps_marks(text);
        (fits && is_plain).then(|| Self(text.to_owned()))
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

/// Who or what asks: 1 to 64 of `[A-Za-z0-9._:/#@-]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Agent(String);

impl Agent {
    /// Reads an agent.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        is_word(text, 1..=64, b"._:/#@-").then(|| Self(text.to_owned()))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Control characters, white space but the space, the formatting characters of Unicode (category Cf),
/// of which the bidirectional ones reorder text, everything that is drawn as nothing (property
/// `Default_Ignorable_Code_Point`), the empty Braille pattern, and private use. Source: the Unicode
/// Character Database (`DerivedCoreProperties.txt`, `DerivedGeneralCategory.txt`), and Technical
/// Report 36, section 3.
fn is_deceptive(character: char) -> bool {
    character.is_control()
        || (character.is_whitespace() && character != ' ')
        || matches!(
            character,
            '\u{ad}'
                | '\u{34f}'
                | '\u{600}'..='\u{605}'
                | '\u{61c}'
                | '\u{6dd}'
                | '\u{70f}'
                | '\u{890}'..='\u{891}'
                | '\u{8e2}'
                | '\u{115f}'..='\u{1160}'
                | '\u{17b4}'..='\u{17b5}'
                | '\u{180b}'..='\u{180f}'
                | '\u{200b}'..='\u{200f}'
                | '\u{202a}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{2800}'
                | '\u{3164}'
                | '\u{e000}'..='\u{f8ff}'
                | '\u{fe00}'..='\u{fe0f}'
                | '\u{feff}'
                | '\u{ffa0}'
                | '\u{fff0}'..='\u{fffb}'
                | '\u{110bd}'
                | '\u{110cd}'
                | '\u{13430}'..='\u{1343f}'
                | '\u{1bca0}'..='\u{1bca3}'
                | '\u{1d173}'..='\u{1d17a}'
                | '\u{e0000}'..='\u{10ffff}'
        )
}

/// Whether more marks follow each other than in any writing, or one of them has nothing to stand on.
fn heaps_marks(text: &str) -> bool {
    const MOST: usize = 4;
    let mut run = MOST;
    text.chars().any(|character| {
        run = if is_mark(character) { run + 1 } else { 0 };
        run > MOST
    })
}

/// Marks that extend the character before them (property `Grapheme_Extend`): `char::escape_debug`
/// escapes these, and beside them what cannot be printed; neither is in ASCII.
fn is_mark(character: char) -> bool {
    !character.is_ascii() && character.escape_debug().len() > 1
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

    /// THREAT: a reason that looks empty, or like another one: characters that are drawn as nothing,
    /// wide white space that pushes the end out of sight, marks that cover other lines.
    /// PREVENTION: only what an approver sees.
    #[test]
    fn security_a_reason_has_no_invisible_characters() {
        for invisible in [
            '\t',
            '\u{ad}',
            '\u{a0}',
            '\u{34f}',
            '\u{600}',
            '\u{61c}',
            '\u{6dd}',
            '\u{70f}',
            '\u{8e2}',
            '\u{115f}',
            '\u{1160}',
            '\u{1680}',
            '\u{17b4}',
            '\u{17b5}',
            '\u{180b}',
            '\u{180f}',
            '\u{2003}',
            '\u{200d}',
            '\u{202f}',
            '\u{2065}',
            '\u{2066}',
            '\u{2800}',
            '\u{3000}',
            '\u{3164}',
            '\u{e000}',
            '\u{fe00}',
            '\u{fe0f}',
            '\u{ffa0}',
            '\u{fff9}',
            '\u{110bd}',
            '\u{13430}',
            '\u{1bca0}',
            '\u{1d173}',
            '\u{e0001}',
            '\u{e0100}',
            '\u{f0000}',
            '\u{10fffd}',
        ] {
            for text in [format!("a{invisible}b"), format!("{invisible}").repeat(200)] {
                assert_eq!(Reason::parse(&text), None, "{invisible:?}");
            }
        }
        for heap in ['\u{301}', '\u{488}', '\u{e38}', '\u{5b4}', '\u{20dd}'] {
            assert_eq!(Reason::parse(&format!("a{}", heap.to_string().repeat(120))), None);
            assert_eq!(Reason::parse(&format!("a{}", heap.to_string().repeat(5))), None);
            assert_eq!(Reason::parse(&format!("{heap}a")), None, "it has nothing to stand on");
        }
        for good in [
            "no \"quotes\" or 'back\\slashes' are marks",
            "U\u{308}ber alles",
            "vie\u{323}\u{302}t",
            "ผู้ใช้ที่นี่",
            "हिन्दी में क्षत्रिय",
            "שָׁלוֹם",
            "مُحَمَّدٌ",
            "日本語が゙",
            "🚒 burning",
            "\u{1f469}\u{1f3fd}",
        ] {
            assert_eq!(Reason::parse(good).as_ref().map(Reason::as_str), Some(good));
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

    #[test]
    fn an_agent_is_a_word() {
        for good in ["person", "github-actions/deploy.yml@main", "coding-agent:2.1#7"] {
            assert_eq!(Agent::parse(good).as_ref().map(Agent::as_str), Some(good));
        }
        for bad in ["", "a b", "<b>", "é", "a\n", &"x".repeat(65)] {
            assert_eq!(Agent::parse(bad), None, "{bad:?}");
        }
    }
}
