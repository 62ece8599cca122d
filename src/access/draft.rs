//! The bodies of `POST /v1/requests` and of the paths below it.
//!
//! Invariant: unknown, repeated and misplaced members are refused, as in requests for credentials.

use crate::claims::{self, Reason, Ticket};
use crate::event::{Event, UnreadableInput};
use crate::request::{InvalidRequest, ProfileName, SessionDuration};
use serde::Deserialize;
use serde_json::Value;

/// A request for access, as somebody writes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessDraft {
    /// The profile. It need not exist.
    pub profile: ProfileName,
    /// Why it is needed.
    pub reason: Reason,
    /// The ticket that says more.
    pub ticket: Option<Ticket>,
    /// The longest session that is needed, if it is not the default.
    pub duration: Option<SessionDuration>,
}

/// A POST without parameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoBody;

const fn malformed(message: &'static str) -> InvalidRequest {
    InvalidRequest::Unreadable(UnreadableInput::Malformed(message))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    profile: Option<String>,
    reason: Option<String>,
    ticket: Option<String>,
    duration: Option<Value>,
}

impl AccessDraft {
    /// Reads the body of a POST.
    pub fn parse(event: &Event<'_>) -> Result<Self, InvalidRequest> {
        let body = body(event)?;
        let is_object = body.trim_start().starts_with('{');
        let body: Body =
            is_object.then(|| serde_json::from_str(&body).ok()).flatten().ok_or(malformed(
                "The body is not a JSON object of profile, reason, ticket and duration, each at most once.",
            ))?;
        let profile =
            body.profile.filter(|name| !name.is_empty()).ok_or(InvalidRequest::MissingProfile)?;
        Ok(Self {
            profile: ProfileName::try_from(profile).map_err(|_| InvalidRequest::Profile)?,
            reason: body
                .reason
                .as_deref()
                .map_or(Err(UnreadableInput::Malformed("A reason is required.")), claims::reason)?,
            ticket: body.ticket.as_deref().map(claims::ticket).transpose()?,
            duration: body.duration.map(duration).transpose()?,
        })
    }
}

impl NoBody {
    /// Refuses parameters where there are none.
    pub fn parse(event: &Event<'_>) -> Result<Self, InvalidRequest> {
        let body = body(event)?;
        if body.is_empty() || body.trim() == "{}" {
            Ok(Self)
        } else {
            Err(malformed("This path takes no parameters."))
        }
    }
}

fn body<'a>(event: &Event<'a>) -> Result<std::borrow::Cow<'a, str>, InvalidRequest> {
    if event.query()?.is_empty() {
        Ok(event.body()?)
    } else {
        Err(malformed("A POST takes its parameters in the body, not in the query."))
    }
}

fn duration(value: Value) -> Result<SessionDuration, InvalidRequest> {
    match value {
        Value::String(text) => SessionDuration::parse(&text),
        Value::Number(number) => SessionDuration::parse(&number.to_string()),
        _ => Err(InvalidRequest::Duration),
    }
}
