//! The metrics in the audit line, in the embedded metric format that CloudWatch Logs extracts by
//! itself.
//!
//! Invariant: dimensions are few and bounded. A caller, an ARN or a profile that does not exist is
//! never a dimension: callers could create metrics at will, and each one costs money.
//!
//! Source: "Specification: Embedded metric format" in the CloudWatch user guide.

use super::AuditRecord;
use super::entries::ShadowEntry;
use crate::services::ServiceReadings;
use serde::Serialize;
use serde_json::{Map, Value, json};

const NAMESPACE: &str = "Sentinel/TVM";

/// Every dimension set has the function, so that two deployments in one account do not mix.
const BY_FUNCTION: &[&[&str]] = &[&["function"]];
const BY_CODE: &[&[&str]] = &[&["function", "code"]];
const BY_CODE_AND_PROFILE: &[&[&str]] = &[&["function", "code"], &["function", "profile", "code"]];
const BY_LIMITER: &[&[&str]] = &[&["function", "limiter"]];
const BY_POSTURE: &[&[&str]] = &[&["function", "posture"]];

/// The stages that can take long, and the metrics of their latencies.
const STAGES: [(&str, &str); 6] = [
    ("admit", "AdmitLatency"),
    ("client_token", "ClientTokenLatency"),
    ("device", "DeviceLatency"),
    ("policy", "PolicyLatency"),
    ("decide", "DecideLatency"),
    ("assume_role", "AssumeRoleLatency"),
];

/// The metrics of one line: the directives, and the members that hold the values.
#[derive(Default)]
struct Metrics {
    directives: Vec<Directive>,
    members: Map<String, Value>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Directive {
    namespace: &'static str,
    dimensions: &'static [&'static [&'static str]],
    metrics: Vec<Metric>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Metric {
    name: &'static str,
    unit: &'static str,
}

impl Metrics {
    fn add(
        &mut self,
        dimensions: &'static [&'static [&'static str]],
        name: &'static str,
        unit: &'static str,
        value: impl Into<Value>,
    ) {
        self.members.insert(name.to_owned(), value.into());
        let metric = Metric { name, unit };
        match self.directives.iter_mut().find(|directive| directive.dimensions == dimensions) {
            Some(directive) => directive.metrics.push(metric),
            None => self.directives.push(Directive {
                namespace: NAMESPACE,
                dimensions,
                metrics: vec![metric],
            }),
        }
    }

    fn count(&mut self, name: &'static str, value: u64) {
        self.add(BY_FUNCTION, name, "Count", value);
    }

    /// A rare event: reported only when it happened.
    fn event(&mut self, name: &'static str, times: u64) {
        if times > 0 {
            self.count(name, times);
        }
    }
}

impl AuditRecord {
    /// The line's members that hold metrics. `total_ms` is the duration of the whole request.
    pub(super) fn metrics(&self, readings: &ServiceReadings, total_ms: f64) -> Map<String, Value> {
        let mut metrics = Metrics::default();
        let outcomes = if self.profile_exists { BY_CODE_AND_PROFILE } else { BY_CODE };
        metrics.add(outcomes, "Requests", "Count", 1);
        metrics.add(BY_CODE, "Latency", "Milliseconds", total_ms);
        for (stage, name) in STAGES {
            if let Some(elapsed) = self.durations_ms.get(stage) {
                metrics.add(BY_FUNCTION, name, "Milliseconds", *elapsed);
            }
        }
        self.limiter_metrics(&mut metrics, readings);
        if let Some(posture) = self.posture {
            metrics.add(BY_POSTURE, "DevicePostures", "Count", 1);
            metrics.members.insert("posture".to_owned(), posture.into());
        }
        if let Some(age) = readings.secret_age {
            metrics.add(BY_FUNCTION, "SecretAge", "Seconds", age);
        }
        metrics.event("SecretRefreshFailures", readings.secret_refresh_failures);
        if let Some(age) = self.policy_age {
            metrics.add(BY_FUNCTION, "PolicyAge", "Seconds", age);
        }
        metrics.event("PolicyReloadFailures", readings.policy_reload_failures);
        metrics.event(
            "ShadowDenials",
            u64::from(self.shadow.as_ref().is_some_and(ShadowEntry::would_deny)),
        );
        let directive = json!({ "Timestamp": i64::try_from(self.unix_ms).unwrap_or_default(), "CloudWatchMetrics": metrics.directives });
        metrics.members.insert("_aws".to_owned(), directive);
        metrics.members
    }

    fn limiter_metrics(&self, metrics: &mut Metrics, readings: &ServiceReadings) {
        if let Some(limiter) = &self.rate_limit {
            metrics.add(BY_LIMITER, "LimiterDecisions", "Count", 1);
            metrics.members.insert("limiter".to_owned(), limiter.decided_by().into());
            metrics.count("LimiterDegraded", u64::from(limiter.is_degraded()));
            metrics.event("LocalRefusals", u64::from(limiter.is_local_refusal()));
        }
        if let Some(open) = readings.breaker_open {
            metrics.count("BreakerOpen", u64::from(open));
        }
        metrics.event("BreakerTransitions", readings.breaker_transitions);
        metrics.event("StoreEvictions", readings.store_evictions);
    }
}
