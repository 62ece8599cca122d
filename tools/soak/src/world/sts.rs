//! STS: grants every request, and remembers for which session.

use super::front::{Reply, xml};
use super::secrets::CANARY;
use crate::clock;
use crate::lock;
use std::collections::HashMap;
use std::sync::Mutex;

#[derive(Default)]
pub(crate) struct Sts {
    /// The roles of the sessions, by session name.
    sessions: Mutex<HashMap<String, String>>,
    issued: std::sync::atomic::AtomicU64,
}

impl Sts {
    /// The role for which credentials were issued, by session name.
    pub(crate) fn sessions(&self) -> HashMap<String, String> {
        lock(&self.sessions).clone()
    }
}

pub(super) fn answer(sts: &Sts, body: &[u8]) -> Reply {
    let form: HashMap<String, String> = form_urlencoded::parse(body).into_owned().collect();
    let value = |name: &str| form.get(name).map_or("", String::as_str);
    let (operation, result) = match value("Action") {
        "AssumeRole" => ("AssumeRole", issue(sts, value("RoleSessionName"), value("RoleArn"))),
        _ => (
            "GetCallerIdentity",
            "<Arn>arn:aws:sts::123456789012:assumed-role/function/function</Arn>\
             <UserId>AROACKCEVSQ6C2EXAMPLE:function</UserId><Account>123456789012</Account>"
                .to_owned(),
        ),
    };
    xml(
        200,
        format!(
            "<{operation}Response xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><{operation}Result>{result}\
             </{operation}Result></{operation}Response>"
        ),
    )
}

/// The secret parts name the session, so that a reply shows whose credentials it has.
fn issue(sts: &Sts, session: &str, role: &str) -> String {
    lock(&sts.sessions).insert(session.to_owned(), role.to_owned());
    let number = sts.issued.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let expiration = clock::rfc3339(clock::now() + 900 * clock::SECOND);
    format!(
        "<Credentials><AccessKeyId>ASIA{number:016}</AccessKeyId>\
         <SecretAccessKey>{}</SecretAccessKey><SessionToken>{}</SessionToken>\
         <Expiration>{expiration}</Expiration></Credentials><AssumedRoleUser><AssumedRoleId>AROA:x</AssumedRoleId>\
         <Arn>arn:aws:sts::222222222222:assumed-role/r/s</Arn></AssumedRoleUser><PackedPolicySize>6</PackedPolicySize>",
        secret_key(session),
        session_token(session)
    )
}

/// The secret key of a session.
pub(crate) fn secret_key(session: &str) -> String {
    format!("{CANARY}-issued-key-{session}")
}

/// The token of a session, about as long as those of AWS.
pub(crate) fn session_token(session: &str) -> String {
    format!("{CANARY}-issued-token-{session}-{}", "t".repeat(700))
}
