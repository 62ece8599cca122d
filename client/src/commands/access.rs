//! `sentinel request`, `requests`, `approve`, `deny`, `withdraw` and `break-glass`: access that another person approves, and
//! access that one takes alone in an emergency.
//!
//! None of these is sent twice: an answer that is lost leaves open what happened, and `sentinel requests` shows it.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::process::ExitCode;

use super::{Context, json as in_json};
use crate::cli::{BreakGlass, Decide, Output, RequestAccess, Why};
use crate::endpoint;
use crate::failure::{Exit, Failure, quoted};
use crate::terminal;

#[derive(Debug, Deserialize, Serialize)]
struct AccessRequest {
    id: String,
    profile: String,
    state: String,
    requester: String,
    reason: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    ticket: Option<String>,
    duration: u32,
    created_at: String,
    expires_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    decided_by: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    decided_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_denied_by: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_denied_at: Option<String>,
    may: Vec<String>,
}

#[derive(Debug, Deserialize, Serialize)]
struct AccessRequests {
    requests: Vec<AccessRequest>,
}

#[derive(Debug, Deserialize, Serialize)]
struct Emergency {
    profile: String,
    reason: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    ticket: Option<String>,
    began_at: String,
    ends_at: String,
}

pub(crate) fn request(context: &Context, arguments: &RequestAccess) -> Result<ExitCode, Failure> {
    let mut body = body(&arguments.why)?;
    if let Some(duration) = arguments.duration {
        body["duration"] = json!(duration);
    }
    show(&send(context, "/v1/requests", &body.to_string())?, arguments.output)
}

pub(crate) fn list(context: &Context, output: Output) -> Result<ExitCode, Failure> {
    let endpoint = context.endpoint()?;
    let list: AccessRequests = endpoint::fetch(&endpoint, &context.environment, "/v1/requests")?;
    let text = match (output.json, &list.requests[..]) {
        (true, _) => in_json(&list),
        (false, []) => "You have no request, and there is none that you could decide.\n".to_owned(),
        (false, requests) => requests.iter().map(AccessRequest::in_words).collect(),
    };
    terminal::print(&text)?;
    Ok(ExitCode::SUCCESS)
}

/// `what` is the last part of the path.
pub(crate) fn decide(
    context: &Context,
    arguments: &Decide,
    what: &str,
) -> Result<ExitCode, Failure> {
    let is_id = |c: char| c.is_ascii_hexdigit() || c == '-';
    if arguments.id.is_empty() || !arguments.id.chars().all(is_id) {
        return Err(Failure::new(
            Exit::Usage,
            format!("{} is not the id of a request", quoted(&arguments.id)),
            "run `sentinel requests`: it lists the ids",
        ));
    }
    show(&send(context, &format!("/v1/requests/{}/{what}", arguments.id), "")?, arguments.output)
}

pub(crate) fn break_glass(context: &Context, arguments: &BreakGlass) -> Result<ExitCode, Failure> {
    let body = body(&arguments.why)?.to_string();
    let taken: Emergency = send(context, "/v1/break-glass", &body)?;
    let text = if arguments.output.json {
        in_json(&taken)
    } else {
        let (profile, until) = (quoted(&taken.profile), quoted(&taken.ends_at));
        format!("{profile}: you have it until {until}. This raises an alarm.\n")
    };
    terminal::print(&text)?;
    Ok(ExitCode::SUCCESS)
}

/// What access is for, as the body of a request.
fn body(why: &Why) -> Result<Value, Failure> {
    why.check()?;
    let mut body = json!({ "profile": why.profile, "reason": why.reason });
    if let Some(ticket) = &why.ticket {
        body["ticket"] = json!(ticket);
    }
    Ok(body)
}

fn send<T: serde::de::DeserializeOwned>(
    context: &Context,
    path: &str,
    body: &str,
) -> Result<T, Failure> {
    endpoint::send(&context.endpoint()?, &context.environment, path, body)
}

fn show(request: &AccessRequest, output: Output) -> Result<ExitCode, Failure> {
    terminal::print(&if output.json { in_json(request) } else { request.in_words() })?;
    Ok(ExitCode::SUCCESS)
}

impl AccessRequest {
    /// Everything in it comes from other people, or over the network.
    fn in_words(&self) -> String {
        let [id, state, profile] = [&self.id, &self.state, &self.profile].map(|text| quoted(text));
        let mut text = format!("{id}  {state}  {profile}  {} s\n", self.duration);
        let mut line = |name: &str, value: &str| {
            let _ = writeln!(text, "  {name:<8} {}", quoted(value));
        };
        line("who", &self.requester);
        line("why", &self.reason);
        if let Some(ticket) = &self.ticket {
            line("ticket", ticket);
        }
        if let Some(by) = &self.decided_by {
            line("decided", by);
        }
        if let (Some(by), Some(at), "pending") =
            (&self.last_denied_by, &self.last_denied_at, self.state.as_str())
        {
            line("denied", &format!("before, by {by} at {at}"));
        }
        line("until", &self.expires_at);
        if !self.may.is_empty() {
            line("you may", &self.may.join(", "));
        }
        text
    }
}
