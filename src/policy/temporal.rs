//! Whether a policy reads the time.
//!
//! Source: "JSON policy format" in the Cedar documentation.

use cedar_policy::Policy;
use serde_json::Value;

/// Whether the policy reads `context.now` or `context.weekday`. Reading `context` as a whole counts
/// as reading the time.
pub(super) fn is_temporal(policy: &Policy) -> bool {
    policy.to_json().map_or(true, |json| reads_time(&json))
}

fn reads_time(expression: &Value) -> bool {
    match expression {
        Value::Object(members) => match attribute_of_context(expression) {
            Some(attribute) => matches!(attribute, "now" | "weekday"),
            None => {
                members.get("Var").is_some_and(|name| name == "context")
                    || members.values().any(reads_time)
            }
        },
        Value::Array(elements) => elements.iter().any(reads_time),
        _ => false,
    }
}

/// The name in `context.name` or `context has name`.
fn attribute_of_context(expression: &Value) -> Option<&str> {
    let access = expression.get(".").or_else(|| expression.get("has"))?;
    let is_context = access["left"]["Var"] == "context";
    access["attr"].as_str().filter(|_| is_context)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_time_attributes_of_the_context_count() {
        for (condition, expected) in [
            ("context.now < datetime(\"2026-01-01\")", true),
            ("context[\"weekday\"] == 6", true),
            ("context has weekday", true),
            ("if context.duration > 900 then context.weekday == 1 else true", true),
            ("[1, 2].contains(context.weekday)", true),
            ("context == {}", true),
            ("principal.name == \"know-now\"", false),
            ("context has device && context.device.managed", false),
            ("resource in Sentinel::ProfileGroup::\"now\"", false),
            ("context.duration == 900", false),
        ] {
            let text = format!("permit (principal, action, resource) when {{ {condition} }};");
            let policy = Policy::parse(None, text).unwrap();
            assert_eq!(is_temporal(&policy), expected, "{condition}");
        }
    }
}
