//! The proof in the header: read and checked before it is sent.

use super::is_host;
use super::request::SignedHeaders;
use crate::amz_date;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use time::UtcDateTime;

/// The longest header that is read, in bytes: session tokens take up to a few thousand.
const LONGEST: usize = 16 * 1024;
/// The greatest age of a proof, and the greatest lead of its clock, in seconds.
const MAX_AGE: i64 = 60;
const MAX_LEAD: i64 = 15;
/// The headers of every proof.
const ALWAYS_SIGNED: [&str; 4] = ["content-type", "host", "x-amz-date", "x-sentinel-audience"];
const CONTENT_TYPE: &str = "application/x-www-form-urlencoded";

/// Why a proof cannot be sent to STS. Never quotes the proof.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MalformedProof {
    /// The header is not base64url of the documented JSON object.
    #[error("it is not base64url of the documented JSON object")]
    Encoding,
    /// The signed host is not the region's STS.
    #[error("its host is not STS in this region")]
    Host,
    /// The proof is for another end point.
    #[error("its audience is another end point")]
    Audience,
    /// The proof's date is malformed, or too far from now.
    #[error("its date is malformed, or too far from now")]
    Date,
    /// The authorization is not SigV4 for STS in this region, or leaves a header unsigned.
    #[error("its authorization is not SigV4 for STS in this region over every header")]
    Authorization,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Proof {
    authorization: SecretString,
    host: String,
    x_amz_date: String,
    x_amz_security_token: Option<SecretString>,
    content_type: String,
    x_sentinel_audience: String,
}

impl Proof {
    pub(super) fn read(header: &str) -> Result<Self, MalformedProof> {
        if header.len() > LONGEST {
            return Err(MalformedProof::Encoding);
        }
        let json = BASE64URL.decode(header).map_err(|_| MalformedProof::Encoding)?;
        serde_json::from_slice(&json).map_err(|_| MalformedProof::Encoding)
    }

    /// Checks the audience, and refuses early what STS would refuse.
    pub(super) fn check(
        &self,
        region: &str,
        host: &str,
        audience: &str,
        now: UtcDateTime,
    ) -> Result<(), MalformedProof> {
        if !self.host.eq_ignore_ascii_case(host) {
            return Err(MalformedProof::Host);
        }
        let is_audience = self.x_sentinel_audience.eq_ignore_ascii_case(audience);
        if !is_audience || !is_host(audience) {
            return Err(MalformedProof::Audience);
        }
        let date = amz_date::parse(&self.x_amz_date).ok_or(MalformedProof::Date)?;
        if !(-MAX_LEAD..=MAX_AGE).contains(&(now - date).whole_seconds()) {
            return Err(MalformedProof::Date);
        }
        let token = self.x_amz_security_token.as_ref().map(ExposeSecret::expose_secret);
        let is_clean = is_header(self.authorization.expose_secret()) && token.is_none_or(is_header);
        if is_clean && self.is_signed(region) { Ok(()) } else { Err(MalformedProof::Authorization) }
    }

    /// Whether the authorization names SigV4, STS in this region, and every header of the proof.
    fn is_signed(&self, region: &str) -> bool {
        let authorization = self.authorization.expose_secret();
        let Some(parameters) = authorization.strip_prefix("AWS4-HMAC-SHA256 ") else {
            return false;
        };
        let named = |name: &str| {
            let mut values = parameters
                .split(',')
                .filter_map(|parameter| parameter.trim().strip_prefix(name)?.strip_prefix('='));
            values.next().filter(|_| values.next().is_none())
        };
        let (Some(credential), Some(signed)) = (named("Credential"), named("SignedHeaders")) else {
            return false;
        };
        let scope: Vec<&str> = credential.split('/').collect();
        let is_scope = matches!(&scope[..], [_, _, own, "sts", "aws4_request"] if *own == region);
        let signed: Vec<&str> = signed.split(';').collect();
        let token = self.x_amz_security_token.as_ref().map(|_| "x-amz-security-token");
        let sent: Vec<&str> = ALWAYS_SIGNED.into_iter().chain(token).collect();
        is_scope
            && self.content_type == CONTENT_TYPE
            && sent.iter().all(|name| signed.contains(name))
            && signed.iter().all(|name| sent.contains(name))
    }

    pub(super) fn into_headers(self) -> SignedHeaders {
        let public = |name, value: String| (name, SecretString::from(value));
        let headers = [
            Some(("authorization", self.authorization)),
            Some(public("host", self.host)),
            Some(public("x-amz-date", self.x_amz_date)),
            Some(public("x-sentinel-audience", self.x_sentinel_audience)),
            Some(public("content-type", self.content_type)),
            self.x_amz_security_token.map(|token| ("x-amz-security-token", token)),
        ];
        SignedHeaders::new(headers.into_iter().flatten())
    }
}

/// Whether `text` is printable ASCII, blanks included.
fn is_header(text: &str) -> bool {
    text.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic())
}

#[cfg(test)]
mod tests;
