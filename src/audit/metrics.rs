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
use serde::{Serialize, Serializer};

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

/// The metrics of one line: the members that hold the values, and how CloudWatch reads them.
#[derive(Serialize)]
pub(super) struct Metrics {
    #[serde(flatten, serialize_with = "as_map")]
    members: Vec<(&'static str, Member)>,
    #[serde(rename = "_aws")]
    metadata: Metadata,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Member {
    Number(u64),
    Milliseconds(f64),
    Word(&'static str),
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Metadata {
    timestamp: i64,
    #[serde(rename = "CloudWatchMetrics")]
    directives: Vec<Directive>,
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
    fn at(unix_ms: i128) -> Self {
        let timestamp = i64::try_from(unix_ms).unwrap_or_default();
        Self { members: Vec::new(), metadata: Metadata { timestamp, directives: Vec::new() } }
    }

    fn add(
        &mut self,
        dimensions: &'static [&'static [&'static str]],
        name: &'static str,
        unit: &'static str,
        value: Member,
    ) {
        self.members.push((name, value));
        let metric = Metric { name, unit };
        let directives = &mut self.metadata.directives;
        match directives.iter_mut().find(|directive| directive.dimensions == dimensions) {
            Some(directive) => directive.metrics.push(metric),
            None => directives.push(Directive {
                namespace: NAMESPACE,
                dimensions,
                metrics: vec![metric],
            }),
        }
    }

    /// One more under the value that a dimension has in this line.
    fn one(
        &mut self,
        dimensions: &'static [&'static [&'static str]],
        name: &'static str,
        (dimension, value): (&'static str, &'static str),
    ) {
        self.members.push((dimension, Member::Word(value)));
        self.add(dimensions, name, "Count", Member::Number(1));
    }

    fn latency(
        &mut self,
        dimensions: &'static [&'static [&'static str]],
        name: &'static str,
        milliseconds: f64,
    ) {
        self.add(dimensions, name, "Milliseconds", Member::Milliseconds(milliseconds));
    }

    /// An age in seconds, if there is one.
    fn age(&mut self, name: &'static str, seconds: Option<u64>) {
        if let Some(seconds) = seconds {
            self.add(BY_FUNCTION, name, "Seconds", Member::Number(seconds));
        }
    }

    fn count(&mut self, name: &'static str, value: u64) {
        self.add(BY_FUNCTION, name, "Count", Member::Number(value));
    }

    /// A rare event: reported only when it happened.
    fn event(&mut self, name: &'static str, times: u64) {
        if times > 0 {
            self.count(name, times);
        }
    }
}

impl AuditRecord {
    /// The metrics of the line. `total_ms` is the duration of the whole request.
    pub(super) fn metrics(&self, readings: &ServiceReadings, total_ms: f64) -> Metrics {
        let mut metrics = Metrics::at(self.unix_ms);
        let outcomes = if self.profile_exists { BY_CODE_AND_PROFILE } else { BY_CODE };
        metrics.add(outcomes, "Requests", "Count", Member::Number(1));
        metrics.latency(BY_CODE, "Latency", total_ms);
        for (stage, name) in STAGES {
            if let Some(elapsed) = self.durations_ms.get(stage) {
                metrics.latency(BY_FUNCTION, name, *elapsed);
            }
        }
        self.limiter_metrics(&mut metrics, readings);
        if let Some(posture) = self.posture {
            metrics.one(BY_POSTURE, "DevicePostures", ("posture", posture));
        }
        metrics.age("SecretAge", readings.secret_age);
        metrics.event("SecretRefreshFailures", readings.secret_refresh_failures);
        metrics.age("PolicyAge", self.policy_age);
        metrics.event("PolicyReloadFailures", readings.policy_reload_failures);
        let would_deny = self.shadow.as_ref().is_some_and(ShadowEntry::would_deny);
        metrics.event("ShadowDenials", u64::from(would_deny));
        metrics.event("Emergencies", u64::from(self.emergency.is_some()));
        metrics
    }

    fn limiter_metrics(&self, metrics: &mut Metrics, readings: &ServiceReadings) {
        if let Some(limiter) = &self.rate_limit {
            metrics.one(BY_LIMITER, "LimiterDecisions", ("limiter", limiter.decided_by()));
            metrics.count("LimiterDegraded", u64::from(limiter.is_degraded()));
            metrics.event("LocalRefusals", u64::from(limiter.is_local_refusal()));
        }
        if let Some(open) = readings.breaker_open {
            metrics.count("BreakerOpen", u64::from(open));
        }
        metrics.event("BreakerTransitions", readings.breaker_transitions);
        metrics.count("StoreKeys", readings.store_keys);
        metrics.event("StoreEvictions", readings.store_evictions);
    }
}

fn as_map<S: Serializer>(
    members: &[(&'static str, Member)],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_map(members.iter().map(|(name, value)| (name, value)))
}
