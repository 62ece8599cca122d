//! From the wire to the domain: the route, and the parameters of a request for credentials.
//!
//! Invariant: a [`VendRequest`] holds only values of the documented form. Parameters come from
//! exactly one place (the query of a GET, the body of a POST). Unknown, repeated and misplaced
//! parameters are refused, not ignored, so that a misspelt parameter can never silently mean its
//! default.

use crate::alphabet::{is_digits, is_word};
use crate::claims::{self, Claims};
use crate::digest::short_digest;
use crate::event::{Event, UnreadableInput};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use std::fmt;

/// Why the input is not as documented. Never holds the input itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRequest {
    /// `profile` is missing or empty.
    #[error("no profile")]
    MissingProfile,
    /// `profile` is not a profile name.
    #[error("malformed profile")]
    Profile,
    /// `duration` is not a whole number of seconds in range.
    #[error("malformed duration")]
    Duration,
    /// `device_id` is not a device identifier.
    #[error("malformed device_id")]
    Device,
    /// The query or the body cannot be read, or breaks another rule.
    #[error(transparent)]
    Unreadable(#[from] UnreadableInput),
}

/// Why a request has no route.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RouteError {
    /// The path does not exist.
    #[error("unknown path")]
    NotFound,
    /// The path exists, the method does not. Holds the `Allow` header.
    #[error("method not allowed, only {0}")]
    MethodNotAllowed(&'static str),
}

const fn malformed(message: &'static str) -> InvalidRequest {
    InvalidRequest::Unreadable(UnreadableInput::Malformed(message))
}

/// Lambda's id of the invocation: a UUID. An id of another form is replaced by its digest, so that
/// every id begins with eight hexadecimal digits and fits a header, a session tag and a log line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RequestId(String);

impl RequestId {
    /// The id of an invocation, as its context has it.
    #[must_use]
    pub fn new(id: &str) -> Self {
        let begins_in_hex =
            id.len() >= 8 && id.bytes().take(8).all(|byte| byte.is_ascii_hexdigit());
        let fits = begins_in_hex && is_word(id, 8..=64, b"-");
        if fits { Self(id.to_owned()) } else { Self(short_digest(id)) }
    }

    /// The id.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Its first eight hexadecimal digits.
    #[must_use]
    pub fn short(&self) -> &str {
        &self.0[..8]
    }
}

/// The paths that the function serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Route {
    /// `GET` or `POST /v1/credentials`, alias `/`.
    Credentials,
    /// `GET /v1/profiles`.
    Profiles,
    /// `GET /v1/explain`.
    Explain,
    /// `GET /v1/health`.
    Health,
    /// `POST /v1/requests`.
    RequestAccess,
    /// `GET /v1/requests`.
    ListAccess,
    /// `POST /v1/break-glass`.
    BreakGlass,
    /// `POST /v1/requests/ID/approve`.
    ApproveAccess,
    /// `POST /v1/requests/ID/deny`.
    DenyAccess,
    /// `POST /v1/requests/ID/withdraw`.
    WithdrawAccess,
}

impl Route {
    /// The route of an event, by exact path and method.
    pub fn of(event: &Event<'_>) -> Result<Self, RouteError> {
        let (path, method) = (event.path(), event.method());
        let (route, allow) = match &*path {
            "/" | "/v1/credentials" => (Self::Credentials, "GET, POST"),
            "/v1/profiles" => (Self::Profiles, "GET"),
            "/v1/explain" => (Self::Explain, "GET"),
            "/v1/health" => (Self::Health, "GET"),
            "/v1/requests" if method == "POST" => (Self::RequestAccess, "POST"),
            "/v1/requests" => (Self::ListAccess, "GET, POST"),
            "/v1/break-glass" => (Self::BreakGlass, "POST"),
            path => (Self::of_one_request(path).ok_or(RouteError::NotFound)?, "POST"),
        };
        let allowed = allow.split(", ").any(|allowed| allowed == method);
        if allowed { Ok(route) } else { Err(RouteError::MethodNotAllowed(allow)) }
    }

    /// The route of a path below `/v1/requests/`, whatever the id.
    fn of_one_request(path: &str) -> Option<Self> {
        match path.strip_prefix("/v1/requests/")?.split_once('/')? {
            (_, "approve") => Some(Self::ApproveAccess),
            (_, "deny") => Some(Self::DenyAccess),
            (_, "withdraw") => Some(Self::WithdrawAccess),
            _ => None,
        }
    }
}

/// The name of a profile in the catalogue: 1 to 64 of `[A-Za-z0-9._-]`, beginning with a letter or
/// digit.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct ProfileName(String);

impl ProfileName {
    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for ProfileName {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        if is_name(&text) {
            Ok(Self(text))
        } else {
            Err("a profile name is 1 to 64 of A-Z a-z 0-9 . _ -, beginning with a letter or digit")
        }
    }
}

impl fmt::Display for ProfileName {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

/// The name of a scope of a profile, in the form of a [`ProfileName`].
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct ScopeName(String);

impl ScopeName {
    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn parse(text: String) -> Result<Self, InvalidRequest> {
        Self::try_from(text).map_err(|_| {
            malformed("A scope is 1 to 64 letters, digits, dots, underscores or hyphens, beginning with a letter or digit.")
        })
    }
}

impl TryFrom<String> for ScopeName {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        if is_name(&text) {
            Ok(Self(text))
        } else {
            Err("a scope name is 1 to 64 of A-Z a-z 0-9 . _ -, beginning with a letter or digit")
        }
    }
}

fn is_name(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphanumeric()) && is_word(text, 1..=64, b"._-")
}

/// A session's length, requested or granted, in whole seconds: 900 (the minimum of `AssumeRole`) to
/// 129 600 (36 h, the maximum of any STS operation). A granted one is at most
/// [`SessionDuration::CHAINED_MAX`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct SessionDuration(u32);

impl SessionDuration {
    /// The shortest session of `AssumeRole`.
    pub const MIN: Self = Self(900);
    /// The longest session that `AssumeRole` gives a caller that is itself a role session ("role
    /// chaining"), as every Lambda function is.
    pub const CHAINED_MAX: Self = Self(3_600);
    const LONGEST: u32 = 129_600;

    /// A duration of `seconds`, if in range.
    #[must_use]
    pub fn from_seconds(seconds: u32) -> Option<Self> {
        (Self::MIN.0..=Self::LONGEST).contains(&seconds).then_some(Self(seconds))
    }

    /// Whole seconds.
    #[must_use]
    pub fn seconds(self) -> u32 {
        self.0
    }

    pub(crate) fn parse(text: &str) -> Result<Self, InvalidRequest> {
        let canonical = is_digits(text) && !text.starts_with('0');
        let seconds = if canonical { text.parse().ok() } else { None };
        seconds.and_then(Self::from_seconds).ok_or(InvalidRequest::Duration)
    }
}

/// A device as its management system knows it: a serial number or UDID, 1 to 64 of `[A-Za-z0-9-]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DeviceId(String);

impl DeviceId {
    /// The identifier.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Reads an identifier.
    pub fn parse(text: String) -> Result<Self, InvalidRequest> {
        if is_word(&text, 1..=64, b"-") { Ok(Self(text)) } else { Err(InvalidRequest::Device) }
    }
}

/// A request for credentials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VendRequest {
    /// The requested profile. It need not exist.
    pub profile: ProfileName,
    /// The requested session length, if any.
    pub duration: Option<SessionDuration>,
    /// The device that the caller claims to use.
    pub device: Option<DeviceId>,
    /// The scope of the profile that the session must have. It need not exist.
    pub scope: Option<ScopeName>,
    /// What the caller says about the request.
    pub claims: Claims,
}

impl VendRequest {
    /// A request that names only a profile.
    #[must_use]
    pub fn of(profile: ProfileName) -> Self {
        Self { profile, duration: None, device: None, scope: None, claims: Claims::default() }
    }

    /// Reads the parameters of a GET or POST event.
    pub fn parse(event: &Event<'_>) -> Result<Self, InvalidRequest> {
        let given = match &*event.method() {
            "POST" => Parameters::from_body(event)?,
            _ => Parameters::from_query(event)?,
        };
        let profile =
            given.profile.filter(|name| !name.is_empty()).ok_or(InvalidRequest::MissingProfile)?;
        Ok(Self {
            profile: ProfileName::try_from(profile).map_err(|_| InvalidRequest::Profile)?,
            duration: given.duration.as_deref().map(SessionDuration::parse).transpose()?,
            device: given.device_id.map(DeviceId::parse).transpose()?,
            scope: given.scope.map(ScopeName::parse).transpose()?,
            claims: Claims {
                reason: given.reason.as_deref().map(claims::reason).transpose()?,
                ticket: given.ticket.as_deref().map(claims::ticket).transpose()?,
                agent: given.agent.as_deref().map(claims::agent).transpose()?,
            },
        })
    }
}

/// The parameters as text, from the query or the body.
#[derive(Debug, Default)]
struct Parameters {
    profile: Option<String>,
    duration: Option<String>,
    device_id: Option<String>,
    scope: Option<String>,
    reason: Option<String>,
    ticket: Option<String>,
    agent: Option<String>,
}

impl Parameters {
    fn from_query(event: &Event<'_>) -> Result<Self, InvalidRequest> {
        let mut parameters = Self::default();
        for (name, value) in event.query()? {
            let slot = parameters.slot(&name).ok_or(malformed("A query parameter is unknown."))?;
            if slot.replace(value.into_owned()).is_some() {
                return Err(malformed("A query parameter is repeated."));
            }
        }
        if event.body()?.is_empty() {
            Ok(parameters)
        } else {
            Err(malformed("A GET takes no body."))
        }
    }

    fn slot(&mut self, name: &str) -> Option<&mut Option<String>> {
        match name {
            "profile" => Some(&mut self.profile),
            "duration" => Some(&mut self.duration),
            "device_id" => Some(&mut self.device_id),
            "scope" => Some(&mut self.scope),
            "reason" => Some(&mut self.reason),
            "ticket" => Some(&mut self.ticket),
            "agent" => Some(&mut self.agent),
            _ => None,
        }
    }

    fn from_body(event: &Event<'_>) -> Result<Self, InvalidRequest> {
        if !event.query()?.is_empty() {
            return Err(malformed("A POST takes its parameters in the body, not in the query."));
        }
        let body = event.body()?;
        if body.is_empty() {
            return Ok(Self::default());
        }
        let body = Body::parse(&body).ok_or(malformed(
            "The body is not a JSON object of profile, duration, device_id, scope, reason, ticket and agent, each at most once.",
        ))?;
        let word = |value: Option<Value>, problem| {
            value.map(|value| text(value).ok_or(problem)).transpose()
        };
        Ok(Self {
            profile: word(body.profile, InvalidRequest::Profile)?,
            duration: body
                .duration
                .map(|value| text_or_number(value).ok_or(InvalidRequest::Duration))
                .transpose()?,
            device_id: word(body.device_id, InvalidRequest::Device)?,
            scope: word(body.scope, malformed("A scope is a text."))?,
            reason: word(body.reason, malformed("A reason is a text."))?,
            ticket: word(body.ticket, malformed("A ticket is a text."))?,
            agent: word(body.agent, malformed("An agent is a text."))?,
        })
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    profile: Option<Value>,
    duration: Option<Value>,
    device_id: Option<Value>,
    #[serde(default, deserialize_with = "given")]
    scope: Option<Value>,
    #[serde(default, deserialize_with = "given")]
    reason: Option<Value>,
    #[serde(default, deserialize_with = "given")]
    ticket: Option<Value>,
    #[serde(default, deserialize_with = "given")]
    agent: Option<Value>,
}

/// A member that is there. `null` is a value, and not the absence of one: a client that fails to fill in
/// a scope must not get the whole role.
fn given<'de, D: Deserializer<'de>>(member: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(member).map(Some)
}

impl Body {
    /// Accepts an object only: serde would also accept an array of the fields.
    fn parse(text: &str) -> Option<Self> {
        text.trim_start().starts_with('{').then(|| serde_json::from_str(text).ok()).flatten()
    }
}

fn text(value: Value) -> Option<String> {
    if let Value::String(text) = value { Some(text) } else { None }
}

fn text_or_number(value: Value) -> Option<String> {
    if let Value::Number(number) = value { Some(number.to_string()) } else { text(value) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_duration_is_a_canonical_whole_number_in_range() {
        for (text, expected) in
            [("900", Some(900)), ("3600", Some(3_600)), ("129600", Some(129_600))]
        {
            assert_eq!(SessionDuration::parse(text).ok().map(SessionDuration::seconds), expected);
        }
        for bad in [
            "",
            "0",
            "899",
            "0900",
            "-1",
            "+900",
            "1e3",
            "900.5",
            "900 ",
            "129601",
            "99999999999",
            "\u{669}00",
        ] {
            assert_eq!(SessionDuration::parse(bad), Err(InvalidRequest::Duration), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in ".*") {
            let _ = SessionDuration::parse(&text);
            let _ = DeviceId::parse(text.clone());
            let _ = ProfileName::try_from(text);
        }
    }
}
