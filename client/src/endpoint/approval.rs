//! Whether the approval of another person would help a caller whom the policy refused.
//!
//! Asks `/v1/explain` once. If there is no answer in time, the refusal stays as it is.

use serde::Deserialize;
use std::time::Duration;

use super::Client;
use crate::failure::Failure;
use crate::wanted::Wanted;

/// How long a refusal waits for this. It never waits past the deadline of the request.
const PATIENCE: Duration = Duration::from_secs(5);

/// The part of an explanation that matters here.
#[derive(Deserialize)]
struct Explanation {
    missing: Vec<String>,
}

/// The refusal of a request with `query`, with the command that requests an approval if one would help.
pub(super) async fn advised(
    refusal: Failure,
    client: &Client<'_>,
    wanted: &Wanted,
    query: &str,
) -> Failure {
    if refusal.code.as_deref() != Some("POLICY_DENY") {
        return refusal;
    }
    let missing = missing(client, query).await.unwrap_or_default();
    if !missing.iter().any(|part| part == "approval") {
        return refusal;
    }
    let duration = wanted.duration.map(|seconds| format!(" --duration {seconds}"));
    let mut next = format!(
        "run `sentinel request {} --reason TEXT{}`: another person has to approve",
        wanted.profile,
        duration.unwrap_or_default()
    );
    if missing.len() > 1 {
        next.push_str("; `sentinel explain` shows what else is missing");
    }
    Failure { next, ..refusal }
}

async fn missing(client: &Client<'_>, query: &str) -> Option<Vec<String>> {
    let path = format!("/v1/explain?{query}");
    let reply = tokio::time::timeout(PATIENCE, client.send(&path)).await.ok()?.ok()?.ok()?;
    let explanation: Explanation = serde_json::from_slice(&reply.body).ok()?;
    (reply.status == 200).then_some(explanation.missing)
}
