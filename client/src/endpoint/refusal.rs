//! Error replies in words. The codes are those of `docs/api.md`.

use serde::Deserialize;
use std::time::Duration;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc2822;

use super::Client;
use crate::clock::{self, UnixSeconds};
use crate::credentials::rfc3339;
use crate::failure::{Exit, Failure, quoted};
use crate::http::Reply;

/// How far this machine's clock may be from AWS's.
pub(crate) const MOST_SKEW: i64 = 240;

/// The body of an error. AWS itself sends only a message.
#[derive(Debug, Default, Deserialize)]
struct Body {
    #[serde(rename = "Code")]
    code: Option<String>,
    #[serde(rename = "Message", alias = "message")]
    message: Option<String>,
    #[serde(rename = "RequestId")]
    request_id: Option<String>,
}

impl Body {
    /// A code that does not have the form of one is dropped. A success has no code, and is not read.
    fn of(reply: &Reply) -> Self {
        if reply.status == 200 {
            return Self::default();
        }
        let body: Self = serde_json::from_slice(&reply.body).unwrap_or_default();
        let has_the_form = |code: &String| {
            !code.is_empty() && code.bytes().all(|b| b.is_ascii_uppercase() || b == b'_')
        };
        Self { code: body.code.filter(has_the_form), ..body }
    }

    fn message(&self) -> String {
        quoted(self.message.as_deref().unwrap_or_default())
    }

    /// The request id, for the end of a sentence.
    fn request(&self, reply: &Reply) -> String {
        let header =
            || ["x-request-id", "x-amzn-requestid"].iter().find_map(|name| reply.header(name));
        let id = self.request_id.as_deref().or_else(header).map(quoted).unwrap_or_default();
        if id.is_empty() { id } else { format!("; request id {id}") }
    }
}

/// The code of an error reply, if it has the form of one.
pub(super) fn code(reply: &Reply) -> Option<String> {
    Body::of(reply).code
}

/// The failure for an error reply.
pub(super) fn failure(client: &Client<'_>, reply: &Reply) -> Failure {
    let body = Body::of(reply);
    let (host, request) = (client.host(), body.request(reply));
    match (&body.code, reply.status) {
        (Some(code), status) => ours(code, status, &body.message(), &request),
        (None, 403) => before_the_function(host, reply, &body.message(), &request),
        (None, 429) => Failure::new(
            Exit::Throttled,
            format!("AWS throttles {host} (HTTP 429){request}"),
            "try again in a moment",
        ),
        (None, status @ 500..) => Failure::unavailable(
            format!("{host} failed (HTTP {status}){request}"),
            "try again; if it stays so, an operator finds the request id in the function's log",
        ),
        (None, _) => unusable(host, reply),
    }
}

/// A failure of the function.
fn ours(code: &str, status: u16, message: &str, request: &str) -> Failure {
    let (exit, next) = advice(code, status);
    let verb = if exit == Exit::Refused { "refused" } else { "failed" };
    let failure = Failure::new(exit, format!("{verb} ({code}): {message}{request}"), next);
    Failure { code: Some(code.to_owned()), ..failure }
}

/// What the caller can do about a code.
fn advice(code: &str, status: u16) -> (Exit, &'static str) {
    let refused = |next| (Exit::Refused, next);
    match code {
        "MISSING_PROFILE" | "INVALID_PROFILE" => {
            refused("run `sentinel profiles` for the names that you can use")
        }
        "INVALID_DURATION" => refused("correct --duration: 900 to 129600 seconds"),
        "INVALID_DEVICE" => refused("correct --device: 1 to 64 letters, digits or `-`"),
        "CLIENT_TOKEN_INVALID" => refused(
            "set client_token_file, or run `sentinel token store` and set client_token_keyring",
        ),
        "IAM_AUTH_REQUIRED" => {
            refused("tell an operator: the URL or API does not use IAM authentication")
        }
        "CALLER_PROOF_INVALID" => {
            refused("set caller_proof to `auto`, and check the clock with `sentinel doctor`")
        }
        "CALLER_BLOCKED" => refused("ask an operator why you are blocked"),
        "PERSON_REQUIRED" => refused("sign in as a person: an IAM user, or with Identity Center"),
        "OWN_REQUEST" => refused("ask another person to decide it"),
        "REQUEST_CLOSED" | "REQUEST_EXISTS" => {
            refused("run `sentinel requests`: it shows what became of it")
        }
        "APPROVAL_NOT_NEEDED" => refused("ask for the credentials"),
        "EMERGENCY_USED" => refused("run `sentinel request`, or ask a colleague"),
        "DEVICE_REQUIRED" => refused("add --device auto, or the serial number of your device"),
        "DEVICE_VERIFICATION_FAILED" => {
            refused("ask your device team: your device is not known as managed and compliant")
        }
        "POLICY_DENY" => {
            refused("run `sentinel explain` with the same arguments: it shows what is missing")
        }
        "RATE_LIMITED" => (Exit::Throttled, "try again later"),
        "SERVICE_UNAVAILABLE" | "RATE_LIMITER_UNAVAILABLE" => (
            Exit::Unavailable,
            "try again in a moment; if it stays so, give the request id to an operator",
        ),
        "CREDENTIAL_ERROR" | "INTERNAL_ERROR" => {
            (Exit::Unavailable, "give the request id to an operator")
        }
        _ if status >= 500 => (Exit::Unavailable, "give the request id to an operator"),
        _ => refused("look the code up in docs/api.md"),
    }
}

/// AWS refused the request before the function ran.
fn before_the_function(host: &str, reply: &Reply, message: &str, request: &str) -> Failure {
    let what = format!("AWS refused before {host} ran: {message}{request}");
    if message.to_ascii_lowercase().contains("expired") {
        let next = "renew your AWS credentials, as with `aws sso login` or `aws login`, and check the clock";
        return Failure::new(Exit::AwsCredentials, what, next);
    }
    let skew = skew(reply, clock::unix_now()).filter(|skew| skew.abs() > MOST_SKEW);
    let next = match skew {
        Some(skew) => {
            format!("set the clock of this machine, which is off by {} seconds", skew.abs())
        }
        None => "check with `sentinel whoami` who signs, and that this caller may invoke the URL"
            .to_owned(),
    };
    Failure::new(Exit::Refused, what, next)
}

/// The failure for a quota that the deadline does not outlast.
pub(super) fn throttled(host: &str, reply: &Reply, now: UnixSeconds, wait: Duration) -> Failure {
    let seconds = wait.as_secs();
    let until = rfc3339(now.saturating_add(i64::try_from(seconds).unwrap_or(i64::MAX)));
    let body = Body::of(reply);
    let request = body.request(reply);
    let code = body.code.unwrap_or_else(|| "HTTP 429".to_owned());
    Failure::new(
        Exit::Throttled,
        format!("over the quota of {host} ({code}) until {until}{request}"),
        format!("try again in {seconds} seconds, or with a --timeout over {seconds}"),
    )
}

/// A failure for a reply that does not come from sentinel-tvm, or not whole.
pub(super) fn unusable(host: &str, reply: &Reply) -> Failure {
    Failure::unavailable(
        format!(
            "the reply of {host} (HTTP {}) is not one of sentinel-tvm{}",
            reply.status,
            Body::of(reply).request(reply)
        ),
        "check the URL; if it is right, run `sentinel doctor`",
    )
}

/// By how many seconds this machine's clock is ahead of the reply's `Date`.
pub(crate) fn skew(reply: &Reply, now: UnixSeconds) -> Option<i64> {
    let date = reply.header("date")?.replace("GMT", "+0000");
    let date = OffsetDateTime::parse(&date, &Rfc2822).ok()?;
    Some(now - date.unix_timestamp())
}
