//! Why a command failed, in one sentence, and the exit code.
//!
//! Invariant: a failure holds no secret. Text from elsewhere (an end point, a file, another program) goes through
//! [`quoted`], so that it cannot control the terminal. Waiting processes read the failure of the one that asked, so it
//! can be stored.

use serde::{Deserialize, Serialize};
use std::error::Error;
use std::{fmt, io};

/// The exit codes; `docs/client.md` lists them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Exit {
    /// A defect of this program.
    Defect = 1,
    /// The arguments are wrong. The argument parser ends with the same code.
    Usage = 2,
    /// The settings are missing or wrong.
    Settings = 3,
    /// The AWS credentials that sign the request are missing or have expired.
    AwsCredentials = 4,
    /// The end point, or AWS before it, refused.
    Refused = 5,
    /// Over the quota, and the wait does not fit the time limit.
    Throttled = 6,
    /// The end point is out of reach, or its reply is unusable.
    Unavailable = 7,
    /// Something on this machine: a file, a port, a declined change.
    Local = 8,
}

/// Why a command failed, and what to do next.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Failure {
    pub(crate) exit: Exit,
    /// What happened: the code, the reason and the request id, if there are any.
    pub(crate) what: String,
    /// What the reader can do now.
    pub(crate) next: String,
    /// The code, if the end point sent one.
    pub(crate) code: Option<String>,
}

impl Failure {
    pub(crate) fn new(exit: Exit, what: impl Into<String>, next: impl Into<String>) -> Self {
        Self { exit, what: what.into(), next: next.into(), code: None }
    }

    pub(crate) fn settings(what: impl Into<String>, next: impl Into<String>) -> Self {
        Self::new(Exit::Settings, what, next)
    }

    pub(crate) fn local(what: impl Into<String>, next: impl Into<String>) -> Self {
        Self::new(Exit::Local, what, next)
    }

    pub(crate) fn unavailable(what: impl Into<String>, next: impl Into<String>) -> Self {
        Self::new(Exit::Unavailable, what, next)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}; next: {}", self.what, self.next)
    }
}

/// The words of an error and of its causes: for a search only, never for the terminal.
pub(crate) fn chain_of(error: &(dyn Error + 'static)) -> String {
    let (mut chain, mut cause) = (String::new(), Some(error));
    while let Some(error) = cause {
        chain.push_str(&error.to_string());
        chain.push('\n');
        // The source of an I/O error leaves out the error that it wraps.
        cause = match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            Some(inner) => Some(inner),
            None => error.source(),
        };
    }
    chain
}

/// The most characters that are shown of text from elsewhere.
const MOST: usize = 500;

/// Text from elsewhere on one line, without control characters, cut if it is long.
pub(crate) fn quoted(text: &str) -> String {
    let clean = |c: char| if c.is_control() || is_invisible(c) { ' ' } else { c };
    let line: String = text.trim().chars().take(MOST).map(clean).collect();
    line.trim_end_matches('.').split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Characters that change the direction of text, or show nothing (`Default_Ignorable_Code_Point` of
/// Unicode, and the empty Braille pattern). Combining marks stay: the function bounds them where it
/// takes text from people.
pub(crate) fn is_invisible(c: char) -> bool {
    matches!(u32::from(c),
        0xad | 0x34f | 0x61c | 0x115f..=0x1160 | 0x17b4..=0x17b5 | 0x180b..=0x180f | 0x200b..=0x200f
        | 0x2028..=0x202e | 0x2060..=0x206f | 0x2800 | 0x3164 | 0xfe00..=0xfe0f | 0xfeff | 0xffa0
        | 0xfff0..=0xfffb | 0x13430..=0x1343f | 0x1bca0..=0x1bca3 | 0x1d173..=0x1d17a
        | 0xe0000..=0xe0fff)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_one_line() {
        let failure = Failure::settings("no end point is set", "run `sentinel configure`");
        assert_eq!(failure.to_string(), "no end point is set; next: run `sentinel configure`");
    }

    /// THREAT: an end point sends terminal controls in its message, and rewrites what the caller sees.
    /// PREVENTION: control, direction and invisible characters become blanks, and the text is cut.
    #[test]
    fn security_text_from_elsewhere_cannot_control_the_terminal() {
        assert_eq!(quoted("\u{1b}]0;evil\u{7}a\nb\u{202e}c."), "]0;evil a b c");
        assert_eq!(
            quoted("a\u{3164}b\u{2800}c\u{34f}d\u{1d173}e\u{fe0f}f\u{61c}g"),
            "a b c d e f g"
        );
        assert_eq!(quoted(&"x".repeat(9000)).len(), MOST);
    }
}
