//! The names of scopes that policies compare `context.scope` with. A misspelt one in a `forbid` would be
//! a hole in the fence.

use super::catalogue::Catalogue;
use super::mentions::reads;
use super::temporal::attribute_of_context;
use cedar_policy::Policy;
use serde_json::Value;
use std::collections::BTreeSet;

/// The names of scopes that a policy mentions and no profile has.
pub(super) fn unknown(policy: &Policy, catalogue: &Catalogue) -> BTreeSet<String> {
    if reads(policy, ["scope"]) == [false] {
        return BTreeSet::new();
    }
    let mut mentioned = BTreeSet::new();
    collect(&policy.to_json().unwrap_or_default(), &mut mentioned);
    let known = |name: &String| catalogue.values().any(|profile| profile.scope.has(name));
    mentioned.into_iter().filter(|name| !known(name)).collect()
}

/// The texts that the expression compares `context.scope` with: `==`, `!=`, and `contains` of a set.
fn collect(expression: &Value, mentioned: &mut BTreeSet<String>) {
    match expression {
        Value::Object(members) => {
            for (operator, operands) in members {
                if ["==", "!=", "contains"].contains(&operator.as_str()) {
                    let sides = [&operands["left"], &operands["right"]];
                    if sides.iter().any(|side| attribute_of_context(side) == Some("scope")) {
                        for side in sides {
                            texts(side, mentioned);
                        }
                    }
                }
                collect(operands, mentioned);
            }
        }
        Value::Array(elements) => {
            for element in elements {
                collect(element, mentioned);
            }
        }
        _ => {}
    }
}

/// A text, or those of a set.
fn texts(expression: &Value, found: &mut BTreeSet<String>) {
    found.extend(expression["Value"].as_str().map(str::to_owned));
    for element in expression["Set"].as_array().into_iter().flatten() {
        texts(element, found);
    }
}
