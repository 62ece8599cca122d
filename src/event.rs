//! One invocation as the platform delivers it: Function URL and HTTP API (payload 2.0) or REST API (payload 1.0).
//!
//! Invariant: reading is total. A field that is absent, null, empty or of another type reads as "not there", so no event,
//! however malformed, can make the function fail before it has an answer. What is missing is refused by whoever needs it.
//!
//! The field names are those of the AWS Lambda and API Gateway developer guides, as modelled by the `aws_lambda_events` crate.

use crate::error::InvalidRequest;
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::Value;
use std::borrow::Cow;
use std::fmt;
use std::net::IpAddr;

/// The longest body and the longest query string that are read, in bytes.
pub const MAX_INPUT_BYTES: usize = 8 * 1024;

/// A query parameter: its name and its value, decoded.
pub type Parameter<'a> = (Cow<'a, str>, Cow<'a, str>);

/// An invocation event.
#[derive(Clone)]
pub struct Event(Value);

impl fmt::Debug for Event {
    /// Without the contents: headers hold signatures and tokens.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Event(..)")
    }
}

/// The identity that IAM verified, as the event carries it. Made of strings that are not yet checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IamIdentity<'a> {
    /// The caller's ARN.
    pub user_arn: &'a str,
    /// The access key the request was signed with.
    pub access_key_id: Option<&'a str>,
    /// The AWS Organization of the caller.
    pub org: Option<&'a str>,
}

impl Event {
    /// Wraps the invocation's payload.
    #[must_use]
    pub fn new(payload: Value) -> Self {
        Self(payload)
    }

    /// The HTTP method, upper case as clients send it; empty if the event has none.
    #[must_use]
    pub fn method(&self) -> &str {
        self.first(["/requestContext/http/method", "/httpMethod"]).unwrap_or_default()
    }

    /// The path below the stage; empty if the event has none. Only payload 2.0 has the stage in its path.
    #[must_use]
    pub fn path(&self) -> &str {
        let Some(raw) = self.text("/rawPath") else {
            return self.text("/path").unwrap_or_default();
        };
        self.text("/requestContext/stage")
            .filter(|stage| *stage != "$default")
            .and_then(|stage| raw.strip_prefix('/')?.strip_prefix(stage))
            .filter(|below| below.starts_with('/'))
            .unwrap_or(raw)
    }

    /// The identity that IAM verified: `authorizer.iam` in payload 2.0, `identity` in payload 1.0.
    ///
    /// An event with both is not one that AWS sends, so it has none.
    #[must_use]
    pub fn iam_identity(&self) -> Option<IamIdentity<'_>> {
        // In other payloads `authorizer` holds what a Lambda authorizer chose to put there.
        let payload_2 = match self.0.get("version").and_then(Value::as_str) {
            None | Some("2.0") => self.identity_at("/requestContext/authorizer/iam"),
            Some(_) => None,
        };
        let payload_1 = self.identity_at("/requestContext/identity");
        match (payload_2, payload_1) {
            (Some(identity), None) | (None, Some(identity)) => Some(identity),
            _ => None,
        }
    }

    /// The address the request came from, as AWS saw it.
    #[must_use]
    pub fn source_ip(&self) -> Option<IpAddr> {
        self.first(["/requestContext/http/sourceIp", "/requestContext/identity/sourceIp"])?
            .parse()
            .ok()
            .map(|ip: IpAddr| ip.to_canonical())
    }

    /// The client's `User-Agent`. The client's own words: for the audit line only.
    #[must_use]
    pub fn user_agent(&self) -> Option<&str> {
        self.first(["/requestContext/http/userAgent", "/requestContext/identity/userAgent"])
    }

    /// The value of a header, whatever the case of its name; none if it occurs more than once.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let map = |pointer| self.0.pointer(pointer).and_then(Value::as_object);
        let headers =
            map("/multiValueHeaders").filter(|map| !map.is_empty()).or_else(|| map("/headers"))?;
        let named = headers.iter().filter(|(key, _)| key.eq_ignore_ascii_case(name));
        let mut values = named.flat_map(|(_, value)| values_of(value));
        match (values.next(), values.next()) {
            (Some(value), None) => value.as_str(),
            _ => None,
        }
    }

    /// The decoded query parameters in order, repeated ones repeated, without those of a pre-signed request (`X-Amz-*`).
    pub fn query(&self) -> Result<Vec<Parameter<'_>>, InvalidRequest> {
        let mut pairs = self.all_query_pairs()?;
        pairs.retain(|(name, _)| {
            !name.get(..6).is_some_and(|prefix| prefix.eq_ignore_ascii_case("X-Amz-"))
        });
        let length: usize = pairs.iter().map(|(name, value)| name.len() + value.len()).sum();
        if length > MAX_INPUT_BYTES { Err(InvalidRequest::TooLarge) } else { Ok(pairs) }
    }

    fn all_query_pairs(&self) -> Result<Vec<Parameter<'_>>, InvalidRequest> {
        if let Some(raw) = self.0.get("rawQueryString").and_then(Value::as_str) {
            return Ok(form_urlencoded::parse(raw.as_bytes()).collect());
        }
        // Payload 1.0 carries decoded values, repeated ones only in the multi-value map.
        let map = |pointer| {
            self.0.pointer(pointer).and_then(Value::as_object).filter(|map| !map.is_empty())
        };
        let Some(parameters) =
            map("/multiValueQueryStringParameters").or_else(|| map("/queryStringParameters"))
        else {
            return Ok(Vec::new());
        };
        parameters
            .iter()
            .flat_map(|(name, value)| values_of(value).iter().map(move |value| (name, value)))
            .map(|(name, value)| Some((name.as_str().into(), value.as_str()?.into())))
            .collect::<Option<_>>()
            .ok_or(InvalidRequest::Malformed("A query parameter is not text."))
    }

    /// The body, decoded if the event carries it in base64; empty if there is none.
    pub fn body(&self) -> Result<Cow<'_, str>, InvalidRequest> {
        let Some(body) = self.text("/body") else {
            return Ok("".into());
        };
        let encoded = self.0.pointer("/isBase64Encoded").and_then(Value::as_bool).unwrap_or(false);
        let limit = if encoded { MAX_INPUT_BYTES.div_ceil(3) * 4 } else { MAX_INPUT_BYTES };
        if body.len() > limit {
            return Err(InvalidRequest::TooLarge);
        }
        if !encoded {
            return Ok(body.into());
        }
        let bytes = BASE64
            .decode(body)
            .map_err(|_| InvalidRequest::Malformed("The body is not valid base64."))?;
        if bytes.len() > MAX_INPUT_BYTES {
            return Err(InvalidRequest::TooLarge);
        }
        String::from_utf8(bytes)
            .map(Cow::Owned)
            .map_err(|_| InvalidRequest::Malformed("The body is not UTF-8."))
    }

    fn identity_at(&self, pointer: &str) -> Option<IamIdentity<'_>> {
        let identity = self.0.pointer(pointer)?;
        Some(IamIdentity {
            user_arn: non_empty(identity.get("userArn"))?,
            access_key_id: non_empty(identity.get("accessKey")),
            org: non_empty(identity.get("principalOrgId")),
        })
    }

    fn text(&self, pointer: &str) -> Option<&str> {
        non_empty(self.0.pointer(pointer))
    }

    fn first<const N: usize>(&self, pointers: [&str; N]) -> Option<&str> {
        pointers.into_iter().find_map(|pointer| self.text(pointer))
    }
}

/// One map holds lists of values, the other single ones.
fn values_of(value: &Value) -> &[Value] {
    value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice)
}

fn non_empty(value: Option<&Value>) -> Option<&str> {
    value.and_then(Value::as_str).filter(|text| !text.is_empty())
}
