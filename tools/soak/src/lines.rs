//! What the function writes: audit lines, log lines, and nothing that is secret.

use crate::clock::{self, Micros};
use crate::lock;
use crate::world::CANARY;
use crate::{Result, lambda};
use jsonschema::Validator;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::sync::Mutex;

/// What the checks need of an audit line.
#[derive(Debug, Clone, Default)]
pub(crate) struct Line {
    pub(crate) number: u64,
    pub(crate) instance: u32,
    /// When the request arrived, by the function's clock.
    pub(crate) at: Micros,
    pub(crate) code: String,
    pub(crate) status: u64,
    pub(crate) detail: String,
    pub(crate) principal: String,
    pub(crate) tier: String,
    pub(crate) decided_by: String,
    pub(crate) is_degraded: bool,
    pub(crate) writes: u64,
    /// Whether the limiter let it pass.
    pub(crate) is_admitted: bool,
    pub(crate) posture: String,
    pub(crate) session: Option<(String, String)>,
    pub(crate) access_key_id: Option<String>,
    pub(crate) total_ms: f64,
    /// Age of the policy and of the oldest secret, in seconds; size of the limiter's memory.
    pub(crate) policy_age: u64,
    pub(crate) secret_age: u64,
    pub(crate) store_keys: u64,
}

/// Reads what all instances write.
pub(crate) struct Lines {
    schema: Validator,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    audit: Vec<Line>,
    problems: Vec<String>,
    warnings: BTreeMap<String, u64>,
    bytes: u64,
    log: Option<BufWriter<File>>,
}

/// What was read.
pub(crate) struct Read {
    pub(crate) audit: Vec<Line>,
    pub(crate) problems: Vec<String>,
    /// Other lines of the log, by level and message.
    pub(crate) messages: BTreeMap<String, u64>,
    pub(crate) bytes: u64,
}

impl Lines {
    /// A reader that checks each audit line against the published schema. It writes all other lines to `log`.
    pub(crate) fn new(log: &Path) -> Result<Self> {
        let schema = serde_json::from_str(include_str!("../../../docs/audit.schema.json"))?;
        let schema = jsonschema::options().should_validate_formats(true).build(&schema)?;
        let log = Some(BufWriter::new(File::create(log)?));
        Ok(Self { schema, state: State { log, ..State::default() }.into() })
    }

    pub(crate) fn standard_output(&self, instance: u32, text: &str) {
        let read = self.read(instance, text.trim_end());
        let mut state = lock(&self.state);
        state.bytes += u64::try_from(text.len()).unwrap_or(0);
        match read {
            Ok(Some(line)) => state.audit.push(line),
            Ok(None) => {}
            Err(problem) => state.problems.push(problem),
        }
    }

    /// The function writes nothing there, unless it panics.
    pub(crate) fn standard_error(&self, instance: u32, text: &str) {
        let shown = if text.contains(CANARY) { "a secret" } else { text.trim_end() };
        lock(&self.state).problems.push(format!("instance {instance}, standard error: {shown}"));
    }

    pub(crate) fn take(&self) -> Read {
        let State { audit, problems, warnings, bytes, log } =
            std::mem::take(&mut *lock(&self.state));
        drop(log);
        Read { audit, problems, messages: warnings, bytes }
    }

    fn read(&self, instance: u32, text: &str) -> std::result::Result<Option<Line>, String> {
        if text.contains(CANARY) {
            return Err(format!(
                "instance {instance} logs a secret: {}",
                text.replace(CANARY, "SECRET")
            ));
        }
        let value: Value = serde_json::from_str(text).map_err(|_| format!("not JSON: {text}"))?;
        if value["type"] != "audit" {
            let word = |name: &str| value[name].as_str().unwrap_or_default().to_owned();
            if value["message"] == "panic" {
                return Err(format!("a panic: {text}"));
            }
            let mut state = lock(&self.state);
            let message = format!("{} {}", word("level"), word("message"));
            *state.warnings.entry(message).or_default() += 1;
            if let Some(log) = &mut state.log {
                let _ = writeln!(log, "{instance} {text}");
            }
            return Ok(None);
        }
        let wrong = self
            .schema
            .iter_errors(&value)
            .map(|error| format!("{}: {error}", error.instance_path()));
        let wrong: Vec<String> = wrong.chain(metrics_without_value(&value)).collect();
        if !wrong.is_empty() {
            return Err(format!("{} in {text}", wrong.join(", ")));
        }
        line(instance, &value).map(Some).ok_or_else(|| format!("an unknown request: {text}"))
    }
}

/// Metrics that the line declares and does not hold.
fn metrics_without_value(value: &Value) -> Vec<String> {
    let directives = value["_aws"]["CloudWatchMetrics"].as_array().into_iter().flatten();
    let metrics =
        directives.flat_map(|directive| directive["Metrics"].as_array().into_iter().flatten());
    let names = metrics.filter_map(|metric| metric["Name"].as_str());
    names
        .filter(|name| !value[*name].is_number())
        .map(|name| format!("{name} has no value"))
        .collect()
}

fn line(instance: u32, value: &Value) -> Option<Line> {
    let text = |pointer: &str| {
        value.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    let number = |pointer: &str| value.pointer(pointer).and_then(Value::as_u64).unwrap_or_default();
    let code = text("/code");
    let limit = value.get("rate_limit");
    let refused = ["RATE_LIMITED", "CALLER_BLOCKED", "RATE_LIMITER_UNAVAILABLE"];
    Some(Line {
        number: lambda::number_of(value["request_id"].as_str()?)?,
        instance,
        at: clock::parse(value["time"].as_str()?)?,
        status: number("/status"),
        detail: text("/detail"),
        principal: text("/principal"),
        tier: text("/rate_limit/tier"),
        decided_by: text("/rate_limit/decided_by"),
        is_degraded: value.pointer("/rate_limit/degraded").is_some(),
        writes: number("/rate_limit/writes"),
        is_admitted: limit.is_some() && !refused.contains(&code.as_str()),
        posture: text("/posture"),
        session: value.get("role_arn").map(|_| (text("/session_name"), text("/role_arn"))),
        access_key_id: value["issued_access_key_id"].as_str().map(str::to_owned),
        total_ms: value["Latency"].as_f64().unwrap_or(f64::MAX),
        policy_age: number("/PolicyAge"),
        secret_age: number("/SecretAge"),
        store_keys: number("/StoreKeys"),
        code,
    })
}
