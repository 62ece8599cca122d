//! Every request that was sent, and what became of it.

use crate::clock::{self, Micros};
use crate::load::Kind;
use crate::lock;
use crate::world::{CANARY, secret_key, session_token};
use serde_json::Value;
use std::collections::{BTreeMap, HashSet};
use std::sync::Mutex;

/// One request.
#[derive(Debug, Clone)]
pub(crate) struct Exchange {
    pub(crate) kind: Kind,
    /// The instance that got it, and when.
    pub(crate) handed_out: Option<(u32, Micros)>,
    pub(crate) reply: Option<Reply>,
}

/// The reply of the function.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    pub(crate) at: Micros,
    pub(crate) status: u64,
    /// `OK` for a success.
    pub(crate) code: String,
    /// The key that a success holds.
    pub(crate) access_key_id: Option<String>,
    /// What a health reply holds.
    pub(crate) health: Option<Value>,
}

/// All requests. A running number identifies each.
#[derive(Default)]
pub(crate) struct Exchanges(Mutex<State>);

#[derive(Default)]
struct State {
    all: BTreeMap<u64, Exchange>,
    /// Sent, and neither answered nor lost.
    open: HashSet<u64>,
    problems: Vec<String>,
}

impl Exchanges {
    /// Records that a request of this kind is sent. Returns its number.
    pub(crate) fn sent(&self, kind: Kind) -> u64 {
        let mut state = lock(&self.0);
        let number = u64::try_from(state.all.len()).unwrap_or(u64::MAX);
        let exchange = Exchange { kind, handed_out: None, reply: None };
        state.all.insert(number, exchange);
        state.open.insert(number);
        number
    }

    pub(crate) fn handed_out(&self, number: u64, instance: u32) {
        if let Some(exchange) = lock(&self.0).all.get_mut(&number) {
            exchange.handed_out = Some((instance, clock::now()));
        }
    }

    /// Records what the function answered.
    pub(crate) fn answered(&self, number: Option<u64>, is_reply: bool, body: &[u8]) {
        let mut state = lock(&self.0);
        let text = String::from_utf8_lossy(body);
        let known = number.filter(|number| state.open.remove(number));
        let Some(number) = known.filter(|_| is_reply) else {
            let problem = if text.contains(CANARY) { "an answer with a secret" } else { &text };
            let problem = format!("not a reply to an open request ({number:?}): {problem}");
            state.problems.push(problem);
            return;
        };
        match read(number, &text) {
            Ok(reply) => {
                if let Some(exchange) = state.all.get_mut(&number) {
                    exchange.reply = Some(reply);
                }
            }
            Err(problem) => state.problems.push(format!("request {number}: {problem}")),
        }
    }

    /// Gives up the requests that an instance had when it ended.
    pub(crate) fn abandon(&self, instance: u32) {
        let mut state = lock(&self.0);
        let State { all, open, .. } = &mut *state;
        open.retain(|number| !had(all, *number, instance));
    }

    /// Whether the instance has requests to answer.
    pub(crate) fn is_busy(&self, instance: u32) -> bool {
        let state = lock(&self.0);
        state.open.iter().any(|number| had(&state.all, *number, instance))
    }

    pub(crate) fn open(&self) -> usize {
        lock(&self.0).open.len()
    }

    /// All requests, and what was wrong with replies.
    pub(crate) fn take(&self) -> (BTreeMap<u64, Exchange>, Vec<String>) {
        let mut state = lock(&self.0);
        (std::mem::take(&mut state.all), std::mem::take(&mut state.problems))
    }
}

fn had(all: &BTreeMap<u64, Exchange>, number: u64, instance: u32) -> bool {
    let handed_out = all.get(&number).and_then(|exchange| exchange.handed_out);
    handed_out.is_some_and(|(by, _)| by == instance)
}

/// Reads a reply. Only a success may hold secrets, and only those that STS issued for this very request.
fn read(number: u64, text: &str) -> Result<Reply, String> {
    let reply: Value = serde_json::from_str(text).map_err(|_| "the reply is not JSON")?;
    let status = reply["statusCode"].as_u64().ok_or("the reply has no status")?;
    let body = reply["body"].as_str().unwrap_or_default();
    let body: Value = serde_json::from_str(body).map_err(|_| "the body is not JSON")?;
    let member = |name: &str| body[name].as_str().map(str::to_owned);
    let access_key_id = member("AccessKeyId");
    let mut rest = text.to_owned();
    if access_key_id.is_some() {
        let secret = member("SecretAccessKey").unwrap_or_default();
        let session = secret.strip_prefix(&secret_key("")).unwrap_or_default().to_owned();
        let token = session_token(&session);
        if !session.ends_with(&format!("-{number:08x}"))
            || member("SessionToken").as_deref() != Some(&token)
        {
            return Err("the reply holds the credentials of another request".to_owned());
        }
        rest = rest.replace(&token, "").replace(&secret, "");
    }
    if rest.contains(CANARY) {
        return Err(format!("a secret in a reply with status {status}"));
    }
    let code = member("Code").filter(|_| status != 200).unwrap_or_else(|| "OK".to_owned());
    let health = body.get("rate_limit").is_some().then(|| body.clone());
    Ok(Reply { at: clock::now(), status, code, access_key_id, health })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn reply(status: u16, body: &Value) -> String {
        json!({ "statusCode": status, "body": body.to_string() }).to_string()
    }

    fn credentials(session: &str) -> Value {
        json!({ "AccessKeyId": "A", "SecretAccessKey": secret_key(session), "SessionToken": session_token(session) })
    }

    #[test]
    fn a_success_may_hold_the_secrets_of_its_own_session_only() {
        assert!(read(10, &reply(200, &credentials("alice-0000000a"))).is_ok());
        let other = read(11, &reply(200, &credentials("alice-0000000a")));
        assert!(other.unwrap_err().contains("another request"));
        let mut more = credentials("alice-0000000a");
        more["Message"] = "CANARY".into();
        assert!(read(10, &reply(200, &more)).unwrap_err().contains("a secret"));
    }

    #[test]
    fn a_refusal_may_hold_no_secret() {
        assert!(read(1, &reply(403, &json!({ "Code": "POLICY_DENY" }))).is_ok());
        let leaked = json!({ "Code": "POLICY_DENY", "Message": "CANARY-client-secret-1" });
        assert!(read(1, &reply(403, &leaked)).unwrap_err().contains("a secret"));
    }

    #[test]
    fn a_second_answer_and_an_unknown_request_are_problems() {
        let exchanges = Exchanges::default();
        let number = exchanges.sent(Kind::Vend);
        let text = reply(403, &json!({ "Code": "POLICY_DENY" }));
        for _ in 0..2 {
            exchanges.answered(Some(number), true, text.as_bytes());
        }
        exchanges.answered(Some(99), true, text.as_bytes());
        assert_eq!(exchanges.take().1.len(), 2);
    }
}
