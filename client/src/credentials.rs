//! Vended credentials: read from a reply or the cache, and printed for programs.
//!
//! Invariant: `Debug` shows neither the secret key nor the session token.

use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::clock::UnixSeconds;

/// Credentials for one session.
#[derive(Debug, Clone)]
pub(crate) struct Credentials {
    pub(crate) access_key_id: String,
    pub(crate) secret_access_key: SecretString,
    pub(crate) session_token: SecretString,
    /// When they expire.
    pub(crate) expires: UnixSeconds,
    pub(crate) account_id: Option<String>,
}

/// The fields, as the end point, the cache and AWS's tools name them.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Body<'c> {
    #[serde(default)]
    version: u32,
    #[serde(borrow)]
    access_key_id: Cow<'c, str>,
    #[serde(borrow)]
    secret_access_key: Cow<'c, str>,
    #[serde(borrow)]
    session_token: Cow<'c, str>,
    /// What container-credentials clients read instead of `SessionToken`.
    #[serde(skip_deserializing, skip_serializing_if = "Option::is_none")]
    token: Option<&'c str>,
    expiration: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    account_id: Option<String>,
}

impl Credentials {
    /// Reads a success body; `None` if it is not one.
    pub(crate) fn parse(json: &[u8]) -> Option<Self> {
        let body: Body<'_> = serde_json::from_slice(json).ok()?;
        let fields = [&body.access_key_id, &body.secret_access_key, &body.session_token];
        let usable = |field: &&Cow<'_, str>| {
            !field.is_empty() && field.bytes().all(|b| b.is_ascii_graphic())
        };
        if body.version != 1 || !fields.iter().all(usable) {
            return None;
        }
        let expiration = OffsetDateTime::parse(&body.expiration, &Rfc3339).ok()?;
        Some(Self {
            access_key_id: body.access_key_id.into_owned(),
            secret_access_key: body.secret_access_key.into_owned().into(),
            session_token: body.session_token.into_owned().into(),
            expires: expiration.unix_timestamp(),
            account_id: body.account_id,
        })
    }

    /// The output of a `credential_process`, version 1.
    pub(crate) fn to_process_json(&self) -> String {
        self.render(None)
    }

    /// The reply of a container-credentials end point.
    pub(crate) fn to_container_json(&self) -> String {
        self.render(Some(self.session_token.expose_secret()))
    }

    fn render(&self, token: Option<&str>) -> String {
        let body = Body {
            version: 1,
            access_key_id: self.access_key_id.as_str().into(),
            secret_access_key: self.secret_access_key.expose_secret().into(),
            session_token: self.session_token.expose_secret().into(),
            token,
            expiration: self.expiration(),
            account_id: self.account_id.clone(),
        };
        serde_json::to_string(&body).unwrap_or_default()
    }

    /// When they expire, in RFC 3339.
    pub(crate) fn expiration(&self) -> String {
        rfc3339(self.expires)
    }
}

/// A time in RFC 3339, UTC.
pub(crate) fn rfc3339(at: UnixSeconds) -> String {
    let at = OffsetDateTime::from_unix_timestamp(at).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    at.format(&Rfc3339).unwrap_or_default()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn example(expires: UnixSeconds) -> Credentials {
        Credentials {
            access_key_id: "ASIAEXAMPLE".to_owned(),
            secret_access_key: "wJalr-secret".into(),
            session_token: "FwoG-token".into(),
            expires,
            account_id: Some("123456789012".to_owned()),
        }
    }

    #[test]
    fn what_is_printed_can_be_read() {
        let printed = example(1_772_619_000).to_process_json();
        assert_eq!(
            printed,
            r#"{"Version":1,"AccessKeyId":"ASIAEXAMPLE","SecretAccessKey":"wJalr-secret","SessionToken":"FwoG-token","Expiration":"2026-03-04T10:10:00Z","AccountId":"123456789012"}"#
        );
        assert_eq!(Credentials::parse(printed.as_bytes()).unwrap().to_process_json(), printed);
    }

    #[test]
    fn container_clients_find_their_token() {
        assert!(example(0).to_container_json().contains(r#""Token":"FwoG-token""#));
    }

    #[test]
    fn a_body_that_is_cut_or_of_another_version_is_none() {
        let whole = example(0).to_process_json();
        for end in 0..whole.len() {
            assert!(Credentials::parse(&whole.as_bytes()[..end]).is_none(), "cut at {end}");
        }
        assert!(Credentials::parse(whole.replace(":1,", ":2,").as_bytes()).is_none());
        assert!(Credentials::parse(whole.replace("FwoG-token", "").as_bytes()).is_none());
        assert!(Credentials::parse(whole.replace("FwoG-token", "a b").as_bytes()).is_none());
    }

    /// THREAT: credentials get into a log by way of `Debug`.
    /// PREVENTION: both secrets are redacted there.
    #[test]
    fn security_debug_shows_no_secret() {
        let shown = format!("{:?}", example(0));
        assert!(shown.contains("ASIAEXAMPLE"));
        assert!(!shown.contains("wJalr") && !shown.contains("FwoG"), "{shown}");
    }
}
