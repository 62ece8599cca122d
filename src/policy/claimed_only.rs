//! Permits that rest on nothing but what the caller claims.
//!
//! Such a permit is for everybody who knows what to say. This is a warning, because it may be wanted:
//! a profile that everybody may have, but not without a ticket. It is a guess from the form of the
//! conditions, not a proof.
//!
//! Source of that form: "JSON policy format" in the Cedar documentation.

use super::annotations;
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
    let is_permit = policy.effect() == Effect::Permit && !annotations::is_shadow(policy);
    if !is_permit || !for_anybody || reads(policy, ["claimed"]) == [false] {
        return false;
    }
    let Ok(json) = policy.to_json() else {
        return true;
    };
    let conditions = json["conditions"].as_array().map(Vec::as_slice).unwrap_or_default();
    conditions.iter().all(|condition| {
        let open = Open::of(&condition["body"]);
        if condition["kind"] == "when" { open.to_true } else { open.to_false }
    })
}

/// Which values anybody can give an expression, without anything verified.
#[derive(Clone, Copy)]
struct Open {
    to_true: bool,
    to_false: bool,
}

impl Open {
    fn of(expression: &Value) -> Self {
        let first = expression.as_object().and_then(|object| object.iter().next());
        let Some((operator, operands)) = first else {
            return Self { to_true: false, to_false: false };
        };
        let of = |name: &str| Self::of(&operands[name]);
        match operator.as_str() {
            "!" => {
                let Self { to_true, to_false } = of("arg");
                Self { to_true: to_false, to_false: to_true }
            }
            "&&" => {
                let (left, right) = (of("left"), of("right"));
                Self {
                    to_true: left.to_true && right.to_true,
                    to_false: left.to_false || right.to_false,
                }
            }
            "||" => {
                let (left, right) = (of("left"), of("right"));
                Self {
                    to_true: left.to_true || right.to_true,
                    to_false: left.to_false && right.to_false,
                }
            }
            "if-then-else" => {
                let (condition, then, otherwise) = (of("if"), of("then"), of("else"));
                let either = |then: bool, otherwise: bool| {
                    condition.to_true && then || condition.to_false && otherwise
                };
                Self {
                    to_true: either(then.to_true, otherwise.to_true),
                    to_false: either(then.to_false, otherwise.to_false),
                }
            }
            "Value" => Self {
                to_true: operands.as_bool() == Some(true),
                to_false: operands.as_bool() == Some(false),
            },
            // Anybody can do without a device, an approval and an emergency.
            "has" => Self { to_true: is_open(expression), to_false: true },
            _ => Self { to_true: is_open(expression), to_false: is_open(expression) },
        }
    }
}

/// Whether a comparison looks at nothing verified, or compares it with a claim: anybody can say anything.
fn is_open(comparison: &Value) -> bool {
    let looks = reads_principal(comparison) || reads_context(comparison, &VERIFIED);
    !looks || reads_context(comparison, &["claimed"])
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
