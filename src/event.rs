//! One invocation as the platform delivers it: Function URL and HTTP API (payload 2.0) or REST API
//! (payload 1.0).
//!
//! Invariant: reading is total. A member that is absent, null, empty or of another type counts as
//! absent, and a payload that is not such an event at all counts as an event without members. So no
//! payload, whatever its bytes, can make the function fail before it has a reply and an audit line;
//! the stage that needs a missing member refuses the request.
//!
//! The reader borrows from the payload and skips the members that no stage asks for, whatever their
//! size and depth.
//!
//! Source of the member names: the AWS Lambda and API Gateway developer guides, as modelled by the
//! `aws_lambda_events` crate.

mod json;
mod payload;

pub use payload::Payload;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use json::{Members, Raw};
use std::borrow::Cow;
use std::fmt;
use std::net::IpAddr;

/// The longest body and the longest query string that are read, in bytes.
pub const MAX_INPUT_BYTES: usize = 8 * 1024;

/// A query parameter: its name and its value, decoded.
pub type Parameter<'a> = (Cow<'a, str>, Cow<'a, str>);

/// Why the query or the body cannot be read. Never holds the input itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UnreadableInput {
    /// The body or the query string is longer than [`MAX_INPUT_BYTES`].
    #[error("query string or body over the limit")]
    TooLarge,
    /// It is malformed; holds the public message.
    #[error("{0}")]
    Malformed(&'static str),
}

/// An invocation event, read from its payload.
#[derive(Default)]
pub struct Event<'a> {
    root: Members<'a>,
    context: Members<'a>,
    http: Members<'a>,
    identity: Members<'a>,
    headers: Members<'a>,
    iam: Option<IamIdentity<'a>>,
}

impl fmt::Debug for Event<'_> {
    /// Without the contents: headers hold signatures and tokens.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Event(..)")
    }
}

/// The identity that IAM verified, as the event carries it. The strings are not checked yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IamIdentity<'a> {
    /// The caller's ARN.
    pub user_arn: Cow<'a, str>,
    /// The access key that signed the request.
    pub access_key_id: Option<Cow<'a, str>>,
    /// The caller's AWS Organization.
    pub org: Option<Cow<'a, str>>,
    /// The user id: a unique id, followed by a colon and the session name for roles.
    pub user_id: Option<Cow<'a, str>>,
}

impl<'a> IamIdentity<'a> {
    /// An identity of which only the ARN is known.
    #[must_use]
    pub fn of_arn(user_arn: &'a str) -> Self {
        Self { user_arn: user_arn.into(), access_key_id: None, org: None, user_id: None }
    }

    fn read(members: &Members<'a>) -> Option<Self> {
        Some(Self {
            user_arn: members.text("userArn")?,
            access_key_id: members.text("accessKey"),
            org: members.text("principalOrgId"),
            user_id: members.text("userId").or_else(|| members.text("user")),
        })
    }
}

impl<'a> Event<'a> {
    /// Reads a payload's text. An event in which a name occurs twice counts as one without members.
    #[must_use]
    pub fn read(payload: &'a str) -> Self {
        let root = Members::of(payload);
        let context = root.object("requestContext");
        let (http, identity) = (context.object("http"), context.object("identity"));
        let authorizer = context.object("authorizer");
        let iam = authorizer.object("iam");
        let single = root.object("headers");
        let many = root.object("multiValueHeaders");
        let parts = [&root, &context, &http, &identity, &authorizer, &iam, &single, &many];
        if parts.iter().any(|part| part.is_ambiguous) {
            return Self::default();
        }
        let iam = iam_identity(&root, &iam, &identity);
        let headers = if many.iter().next().is_some() { many } else { single };
        Self { root, context, http, identity, headers, iam }
    }

    /// The HTTP method, upper case as clients send it; empty if the event has none.
    #[must_use]
    pub fn method(&self) -> Cow<'a, str> {
        self.http.text("method").or_else(|| self.root.text("httpMethod")).unwrap_or_default()
    }

    /// The path below the stage; empty if the event has none. Only payload 2.0 has the stage in its
    /// path.
    #[must_use]
    pub fn path(&self) -> Cow<'a, str> {
        let Some(raw) = self.root.text("rawPath") else {
            return self.root.text("path").unwrap_or_default();
        };
        let stage = self.context.text("stage").filter(|stage| stage != "$default");
        match stage.and_then(|stage| below_stage(&raw, &stage).map(str::to_owned)) {
            Some(below) => below.into(),
            None => raw,
        }
    }

    /// The identity that IAM verified: `authorizer.iam` in payload 2.0, `identity` in payload 1.0.
    ///
    /// AWS never sends both. An event with both has no identity.
    #[must_use]
    pub fn iam_identity(&self) -> Option<&IamIdentity<'a>> {
        self.iam.as_ref()
    }

    /// The host that the request was sent to, as AWS saw it; empty if the event has none.
    #[must_use]
    pub fn domain_name(&self) -> Cow<'a, str> {
        self.context.text("domainName").unwrap_or_default()
    }

    /// The address that the request came from, as AWS saw it.
    #[must_use]
    pub fn source_ip(&self) -> Option<IpAddr> {
        let address = self.http_or_identity("sourceIp")?;
        address.parse().ok().map(|ip: IpAddr| ip.to_canonical())
    }

    /// The client's `User-Agent`, for the audit line only: clients choose it.
    #[must_use]
    pub fn user_agent(&self) -> Option<Cow<'a, str>> {
        self.http_or_identity("userAgent")
    }

    /// The value of a header, whatever the case of its name; `None` if it occurs more than once.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<Cow<'a, str>> {
        let mut values = self.headers_named(name).flat_map(Raw::one_or_many);
        match (values.next(), values.next()) {
            (Some(value), None) => value.string(),
            _ => None,
        }
    }

    /// Whether a header occurs, whatever the case of its name, once or more often.
    #[must_use]
    pub fn has_header(&self, name: &str) -> bool {
        self.headers_named(name).next().is_some()
    }

    /// Whether the signature is in the query (`X-Amz-Signature`).
    #[must_use]
    pub fn is_presigned(&self) -> bool {
        let is_signature = |(name, _): &Parameter<'_>| name.eq_ignore_ascii_case("X-Amz-Signature");
        self.all_query_pairs().is_ok_and(|pairs| pairs.iter().any(is_signature))
    }

    /// The decoded query parameters in order, repeated ones repeated, without those of a pre-signed
    /// request (`X-Amz-*`).
    pub fn query(&self) -> Result<Vec<Parameter<'a>>, UnreadableInput> {
        let mut pairs = self.all_query_pairs()?;
        let is_signature =
            |name: &str| name.get(..6).is_some_and(|prefix| prefix.eq_ignore_ascii_case("X-Amz-"));
        pairs.retain(|(name, _)| !is_signature(name));
        let length: usize = pairs.iter().map(|(name, value)| name.len() + value.len()).sum();
        if length > MAX_INPUT_BYTES { Err(UnreadableInput::TooLarge) } else { Ok(pairs) }
    }

    fn all_query_pairs(&self) -> Result<Vec<Parameter<'a>>, UnreadableInput> {
        if let Some(raw) = self.root.string("rawQueryString") {
            return Ok(parse_query(raw));
        }
        // Payload 1.0 carries decoded values, repeated ones only in the multi-value map.
        let maps = ["multiValueQueryStringParameters", "queryStringParameters"];
        let Some(parameters) = maps.into_iter().find_map(|name| self.root.map(name)) else {
            return Ok(Vec::new());
        };
        if parameters.is_ambiguous {
            return Err(UnreadableInput::Malformed("A query parameter is repeated."));
        }
        let pairs = parameters.iter().flat_map(|(name, value)| {
            value.one_or_many().into_iter().map(|value| Some((name.clone(), value.string()?)))
        });
        let not_text = UnreadableInput::Malformed("A query parameter is not text.");
        pairs.collect::<Option<_>>().ok_or(not_text)
    }

    /// The body, decoded if the event carries it in base64; empty if there is none.
    pub fn body(&self) -> Result<Cow<'a, str>, UnreadableInput> {
        let Some(body) = self.root.text("body") else {
            return Ok("".into());
        };
        let is_encoded = self.root.get("isBase64Encoded").is_some_and(Raw::is_true);
        let limit = if is_encoded { MAX_INPUT_BYTES.div_ceil(3) * 4 } else { MAX_INPUT_BYTES };
        if body.len() > limit {
            return Err(UnreadableInput::TooLarge);
        }
        if is_encoded { decode(&body).map(Cow::Owned) } else { Ok(body) }
    }

    fn http_or_identity(&self, name: &str) -> Option<Cow<'a, str>> {
        self.http.text(name).or_else(|| self.identity.text(name))
    }

    fn headers_named(&self, name: &str) -> impl Iterator<Item = Raw<'a>> {
        let named = self.headers.iter().filter(move |(key, _)| key.eq_ignore_ascii_case(name));
        named.map(|(_, value)| *value)
    }
}

fn iam_identity<'a>(
    root: &Members<'a>,
    iam: &Members<'a>,
    identity: &Members<'a>,
) -> Option<IamIdentity<'a>> {
    // In other payloads `authorizer` holds what a Lambda authorizer chose to put there.
    let payload_2 = match root.string("version").as_deref() {
        None | Some("2.0") => IamIdentity::read(iam),
        Some(_) => None,
    };
    match (payload_2, IamIdentity::read(identity)) {
        (Some(identity), None) | (None, Some(identity)) => Some(identity),
        _ => None,
    }
}

fn below_stage<'p>(path: &'p str, stage: &str) -> Option<&'p str> {
    let below = path.strip_prefix('/')?.strip_prefix(stage)?;
    below.starts_with('/').then_some(below)
}

fn parse_query(raw: Cow<'_, str>) -> Vec<Parameter<'_>> {
    match raw {
        Cow::Borrowed(raw) => form_urlencoded::parse(raw.as_bytes()).collect(),
        Cow::Owned(raw) => {
            let owned = form_urlencoded::parse(raw.as_bytes()).into_owned();
            owned.map(|(name, value)| (name.into(), value.into())).collect()
        }
    }
}

fn decode(body: &str) -> Result<String, UnreadableInput> {
    let not_base64 = UnreadableInput::Malformed("The body is not valid base64.");
    let bytes = BASE64.decode(body).map_err(|_| not_base64)?;
    if bytes.len() > MAX_INPUT_BYTES {
        return Err(UnreadableInput::TooLarge);
    }
    let not_utf8 = UnreadableInput::Malformed("The body is not UTF-8.");
    String::from_utf8(bytes).map_err(|_| not_utf8)
}
