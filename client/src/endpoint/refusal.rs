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
    fn of(reply: &Reply) -> Self {
        serde_json::from_slice(&reply.body).unwrap_or_default()
    }
}

/// The code of an error reply, if it has the form of one.
pub(super) fn code(reply: &Reply) -> Option<String> {
    Body::of(reply).code.filter(|code| {
        !code.is_empty() && code.bytes().all(|b| b.is_ascii_uppercase() || b == b'_')
    })
}

/// The failure for an error reply.
pub(super) fn failure(client: &Client<'_>, reply: &Reply) -> Failure {
    match code(reply) {
        Some(code) => ours(&code, reply),
        None if reply.status == 403 => before_the_function(client, reply),
        None if reply.status == 429 => Failure::new(
            Exit::Throttled,
            format!("AWS throttles {} (HTTP 429){}", client.host(), request(reply)),
            "try again in a moment",
        ),
        None if reply.status >= 500 => Failure::unavailable(
            format!("{} failed (HTTP {}){}", client.host(), reply.status, request(reply)),
            "try again; if it stays so, an operator finds the request id in the function's log",
        ),
        None => unusable(client.host(), reply),
    }
}

/// A failure of the function.
fn ours(code: &str, reply: &Reply) -> Failure {
    let (exit, next) = advice(code, reply.status);
    let message = Body::of(reply).message.unwrap_or_default();
    let verb = if exit == Exit::Refused { "refused" } else { "failed" };
    let what = format!("{verb} ({code}): {}{}", quoted(&message), request(reply));
    Failure::new(exit, what, next)
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
fn before_the_function(client: &Client<'_>, reply: &Reply) -> Failure {
    let message = quoted(&Body::of(reply).message.unwrap_or_default());
    let what = format!("AWS refused before {} ran: {message}{}", client.host(), request(reply));
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
    let code = code(reply).unwrap_or_else(|| "HTTP 429".to_owned());
    Failure::new(
        Exit::Throttled,
        format!("over the quota of {host} ({code}) until {until}{}", request(reply)),
        format!("try again in {seconds} seconds, or with a --timeout over {seconds}"),
    )
}

/// A failure for a reply that does not come from sentinel-tvm, or not whole.
pub(super) fn unusable(host: &str, reply: &Reply) -> Failure {
    Failure::unavailable(
        format!(
            "the reply of {host} (HTTP {}) is not one of sentinel-tvm{}",
            reply.status,
            request(reply)
        ),
        "check the URL; if it is right, run `sentinel doctor`",
    )
}

/// The request id, for the end of a sentence.
fn request(reply: &Reply) -> String {
    let body = Body::of(reply).request_id;
    let header = || ["x-request-id", "x-amzn-requestid"].iter().find_map(|name| reply.header(name));
    let id = body.as_deref().or_else(header).map(quoted).unwrap_or_default();
    if id.is_empty() { id } else { format!("; request id {id}") }
}

/// By how many seconds this machine's clock is ahead of the reply's `Date`.
pub(crate) fn skew(reply: &Reply, now: UnixSeconds) -> Option<i64> {
    let date = reply.header("date")?.replace("GMT", "+0000");
    let date = OffsetDateTime::parse(&date, &Rfc2822).ok()?;
    Some(now - date.unix_timestamp())
}
