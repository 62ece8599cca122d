//! What people say about a request, and nobody verifies: a reason, a ticket, and who or what asks.
//!
//! Invariant: each is short, printable and on one line, so that it can be shown to people, logged and
//! put into a session's tags.

mod text;

pub use text::{Agent, Reason, Ticket};

use crate::event::UnreadableInput;
use serde::Serialize;
use serde_with::skip_serializing_none;

/// What a caller claims about a request for credentials. Rules may demand it, and restrict by it;
/// they must not grant by it alone.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Claims {
    /// Why the credentials are needed.
    pub reason: Option<Reason>,
    /// The ticket that says more.
    pub ticket: Option<Ticket>,
    /// Who or what asks: a person, a pipeline, a coding agent.
    pub agent: Option<Agent>,
}

impl Claims {
    /// Whether nothing is claimed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.reason.is_none() && self.ticket.is_none() && self.agent.is_none()
    }
}

/// A reason, as a caller writes it.
pub(crate) fn reason(text: &str) -> Result<Reason, UnreadableInput> {
    Reason::parse(text)
        .ok_or(UnreadableInput::Malformed("A reason is 1 to 256 visible characters on one line."))
}

/// A ticket, as a caller writes it.
pub(crate) fn ticket(text: &str) -> Result<Ticket, UnreadableInput> {
    Ticket::parse(text).ok_or(UnreadableInput::Malformed(
        "A ticket is 1 to 64 letters, digits, dots, underscores, colons, slashes, number signs or hyphens.",
    ))
}

/// An agent, as a caller writes it.
pub(crate) fn agent(text: &str) -> Result<Agent, UnreadableInput> {
    Agent::parse(text).ok_or(UnreadableInput::Malformed(
        "An agent is 1 to 64 letters, digits, dots, underscores, colons, slashes, number signs, at signs or hyphens.",
    ))
}
