//! What every audit line must be: one line, as its schema says, and CloudWatch metrics without odd
//! dimensions.

use jsonschema::Validator;
use serde_json::Value;
use std::sync::LazyLock;

static SCHEMA: LazyLock<Validator> = LazyLock::new(|| {
    let schema = serde_json::from_str(include_str!("../../../docs/audit.schema.json")).unwrap();
    jsonschema::options().should_validate_formats(true).build(&schema).unwrap()
});

/// Reads a line, and checks it.
pub(crate) fn checked(line: &str) -> Value {
    assert!(!line.contains(['\n', '\r']), "an audit line is one line: {line}");
    let audit: Value = serde_json::from_str(line).unwrap();
    let problems: Vec<String> = SCHEMA
        .iter_errors(&audit)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect();
    assert!(problems.is_empty(), "{problems:#?} in {line}");
    for directive in audit["_aws"]["CloudWatchMetrics"].as_array().unwrap() {
        for metric in directive["Metrics"].as_array().unwrap() {
            assert!(
                audit[metric["Name"].as_str().unwrap()].is_number(),
                "{metric} has a value: {line}"
            );
        }
        for dimension in directive["Dimensions"]
            .as_array()
            .unwrap()
            .iter()
            .flat_map(|set| set.as_array().unwrap())
        {
            assert!(
                audit[dimension.as_str().unwrap()].is_string(),
                "{dimension} has a value: {line}"
            );
        }
    }
    audit
}

/// The dimension sets and value of a metric, if the line has it.
pub(crate) fn metric<'a>(audit: &'a Value, name: &str) -> Option<(&'a Value, &'a Value)> {
    let directives = audit["_aws"]["CloudWatchMetrics"].as_array().unwrap();
    let mut found = directives.iter().filter(|directive| {
        directive["Metrics"].as_array().unwrap().iter().any(|metric| metric["Name"] == name)
    });
    let directive = found.next()?;
    assert!(found.next().is_none(), "{name} is in one directive");
    Some((&directive["Dimensions"], &audit[name]))
}

/// The line less what differs from run to run, for a snapshot. Metrics have tests of their own.
pub(crate) fn stable(audit: &Value) -> Value {
    let mut audit = audit.clone();
    let fields = audit.as_object_mut().unwrap();
    fields.retain(|name, _| {
        name != "_aws"
            && name != "policy_digest"
            && !name.starts_with(|first: char| first.is_ascii_uppercase())
    });
    let durations = fields.remove("durations_ms").unwrap();
    let stages: Vec<&String> = durations.as_object().unwrap().keys().collect();
    fields.insert("stages".to_owned(), serde_json::to_value(stages).unwrap());
    audit
}
