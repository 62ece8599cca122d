//! Policies in Cedar's JSON form: what they mention, and changes to them.
//!
//! Source: "JSON policy format" in the Cedar documentation.

use serde_json::{Value, json};
use std::collections::BTreeSet;

const GROUP: &str = "Sentinel::ProfileGroup";
const CALLER: &str = "Sentinel::Caller";

/// What policies compare with.
#[derive(Debug, Default)]
pub(crate) struct Mentions {
    /// The ids of callers.
    pub(crate) callers: BTreeSet<String>,
    /// The ids of groups.
    pub(crate) groups: BTreeSet<String>,
    /// Other strings.
    pub(crate) texts: BTreeSet<String>,
    /// The patterns of `like`: their literal pieces, between which anything may be.
    pub(crate) patterns: BTreeSet<Vec<String>>,
    /// The arguments of `ip()`.
    pub(crate) addresses: BTreeSet<String>,
    /// The arguments of `datetime()`.
    pub(crate) times: BTreeSet<String>,
    /// The names of attributes that are read, of whatever record.
    pub(crate) attributes: BTreeSet<String>,
    /// Whether the context is read as a whole.
    pub(crate) whole_context: bool,
}

impl Mentions {
    pub(crate) fn read(&mut self, json: &Value) {
        match json {
            Value::Array(items) => items.iter().for_each(|item| self.read(item)),
            Value::Object(fields) => {
                match (fields.get("type").and_then(Value::as_str), fields.get("id")) {
                    (Some(CALLER), Some(Value::String(id))) => {
                        self.callers.insert(id.clone());
                    }
                    (Some(GROUP), Some(Value::String(id))) => {
                        self.groups.insert(id.clone());
                    }
                    _ => {}
                }
                for (key, value) in fields {
                    match (key.as_str(), value) {
                        ("annotations", _) => {}
                        ("." | "has", access) => {
                            self.attributes.extend(access["attr"].as_str().map(str::to_owned));
                            if access["left"]["Var"] != "context" {
                                self.read(&access["left"]);
                            }
                        }
                        ("Var", variable) => self.whole_context |= variable == "context",
                        ("Value", Value::String(text)) => {
                            self.texts.insert(text.clone());
                        }
                        ("ip", Value::Array(arguments)) => {
                            let texts =
                                arguments.iter().filter_map(|value| value["Value"].as_str());
                            self.addresses.extend(texts.map(str::to_owned));
                        }
                        ("datetime", Value::Array(arguments)) => {
                            let texts =
                                arguments.iter().filter_map(|value| value["Value"].as_str());
                            self.times.extend(texts.map(str::to_owned));
                        }
                        ("pattern", Value::Array(parts)) => {
                            self.patterns.insert(pieces(parts));
                        }
                        _ => self.read(value),
                    }
                }
            }
            _ => {}
        }
    }
}

fn pieces(parts: &[Value]) -> Vec<String> {
    let mut pieces = vec![String::new()];
    for part in parts {
        match (part["Literal"].as_str(), pieces.last_mut()) {
            (Some(text), Some(last)) => last.push_str(text),
            _ => pieces.push(String::new()),
        }
    }
    pieces
}

pub(crate) fn without_annotations(policy: &Value) -> Value {
    let mut policy = policy.clone();
    if let Some(fields) = policy.as_object_mut() {
        fields.remove("annotations");
    }
    policy
}

/// Whether a policy has an operation that can fail. All others cannot: the function holds policies to its
/// schema, and the attributes in it are there.
pub(crate) fn has_fallible_operation(json: &Value) -> bool {
    const FALLIBLE: [&str; 8] =
        ["+", "-", "*", "neg", "offset", "durationSince", "toDate", "toTime"];
    match json {
        Value::Array(items) => items.iter().any(has_fallible_operation),
        Value::Object(fields) => fields
            .iter()
            .any(|(key, value)| FALLIBLE.contains(&key.as_str()) || has_fallible_operation(value)),
        _ => false,
    }
}

/// Puts `prefix` before the name of every group, so that the groups of two bundles differ.
pub(crate) fn rename_groups(json: &mut Value, prefix: &str) {
    match json {
        Value::Array(items) => items.iter_mut().for_each(|item| rename_groups(item, prefix)),
        Value::Object(fields) => {
            let is_group = fields.get("type").and_then(Value::as_str) == Some(GROUP);
            if let (true, Some(Value::String(id))) = (is_group, fields.get_mut("id")) {
                id.insert_str(0, prefix);
            }
            fields.values_mut().for_each(|value| rename_groups(value, prefix));
        }
        _ => {}
    }
}

/// Adds conditions before those of a policy, so that they are evaluated first.
pub(crate) fn guard(policy: &mut Value, first: &[Value]) {
    if let Some(conditions) = policy.get_mut("conditions").and_then(Value::as_array_mut) {
        conditions.splice(0..0, first.iter().cloned());
    }
}

/// A condition that fails to evaluate exactly where the policy does, and is else as `always`, which
/// must be true.
pub(crate) fn does_not_fail(policy: &Value, always: &Value) -> Value {
    let conditions = policy["conditions"].as_array().into_iter().flatten();
    let clauses = conditions.map(|condition| match condition["kind"].as_str() {
        Some("unless") => json!({"!": {"arg": condition["body"]}}),
        _ => condition["body"].clone(),
    });
    let scope = [("principal", &policy["principal"]), ("resource", &policy["resource"])];
    let scope =
        scope.into_iter().filter_map(|(variable, constraint)| scope_of(variable, constraint));
    let whole =
        scope.chain(clauses).reduce(|left, right| json!({"&&": {"left": left, "right": right}}));
    let body = match whole {
        Some(whole) => json!({"||": {"left": whole, "right": always}}),
        None => always.clone(),
    };
    json!({"kind": "when", "body": body})
}

/// The constraint of a policy's scope as an expression. The action is that of the question.
fn scope_of(variable: &str, constraint: &Value) -> Option<Value> {
    let (variable, entity) = (json!({"Var": variable}), &constraint["entity"]);
    let uid = json!({"Value": {"__entity": entity}});
    let is = |within: Option<Value>| {
        let mut is = json!({"left": variable, "entity_type": constraint["entity_type"]});
        if let Some(within) = within {
            is["in"] = within;
        }
        json!({"is": is})
    };
    match constraint["op"].as_str()? {
        "==" => Some(json!({"==": {"left": variable, "right": uid}})),
        "in" => Some(json!({"in": {"left": variable, "right": uid}})),
        "is" if constraint["in"]["entity"].is_object() => {
            Some(is(Some(json!({"Value": {"__entity": constraint["in"]["entity"]}}))))
        }
        "is" => Some(is(None)),
        _ => None,
    }
}
