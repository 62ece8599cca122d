//! Permits that rest on nothing but what the caller claims.
//!
//! Such a permit is for everybody who knows what to say. This is a warning, because it may be wanted:
//! a profile that everybody may have, but not without a ticket.
//!
//! Source of the form of expressions: "JSON policy format" in the Cedar documentation.

use super::mentions::reads;
use super::temporal::reads_context;
use cedar_policy::{Effect, Policy, PrincipalConstraint};
use serde_json::Value;

/// What the caller cannot choose, and what says something about the caller.
const VERIFIED: [&str; 4] = ["source_ip", "device", "approval", "emergency"];

/// Whether a permit can be satisfied by anybody who makes the right claims, at the right time.
pub(super) fn rests_on_claims(policy: &Policy) -> bool {
    let for_anybody = matches!(
        policy.principal_constraint(),
        PrincipalConstraint::Any | PrincipalConstraint::Is(_)
    );
    if policy.effect() == Effect::Forbid || !for_anybody || reads(policy, ["claimed"]) == [false] {
        return false;
    }
    let Ok(json) = policy.to_json() else {
        return false;
    };
    let conditions = json["conditions"].as_array().map(Vec::as_slice).unwrap_or_default();
    conditions.iter().all(|condition| is_open(&condition["body"], condition["kind"] == "when"))
}

/// Whether an expression can have the value `wanted` without looking at anything verified.
fn is_open(expression: &Value, wanted: bool) -> bool {
    let Some((operator, operands)) = expression.as_object().and_then(|object| object.iter().next())
    else {
        return false;
    };
    let (left, right) = (&operands["left"], &operands["right"]);
    let (condition, then, otherwise) = (&operands["if"], &operands["then"], &operands["else"]);
    match operator.as_str() {
        "!" => is_open(&operands["arg"], !wanted),
        "&&" if wanted => is_open(left, true) && is_open(right, true),
        "&&" => is_open(left, false) || is_open(right, false),
        "||" if wanted => is_open(left, true) || is_open(right, true),
        "||" => is_open(left, false) && is_open(right, false),
        "if-then-else" => {
            is_open(condition, true) && is_open(then, wanted)
                || is_open(condition, false) && is_open(otherwise, wanted)
        }
        "Value" => operands.as_bool() == Some(wanted),
        _ => !reads_principal(expression) && !reads_context(expression, &VERIFIED),
    }
}

fn reads_principal(expression: &Value) -> bool {
    match expression {
        Value::Object(members) => {
            members.get("Var").is_some_and(|name| name == "principal")
                || members.values().any(reads_principal)
        }
        Value::Array(elements) => elements.iter().any(reads_principal),
        _ => false,
    }
}
