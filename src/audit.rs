//! The audit line: one JSON object per request, opened first, filled stage by stage, written once whatever the outcome.
//!
//! Invariants: no secret ever enters the record; what clients choose (path, user agent) is bounded and JSON-escaped, so it
//! can neither flood the log nor forge a line. The line is also a CloudWatch metric (embedded metric format).

mod entries;
mod metrics;
mod stopwatch;

pub use metrics::Readings;

use crate::adapters::{DeviceLookUp, DeviceRefused};
use crate::caller::Caller;
use crate::error::Error;
use crate::event::Event;
use crate::mdm::PostureError;
use crate::policy::{Decision, Grant, Policy, Refusal, Rehearsal};
use crate::rate_limit::Admission;
use crate::request::{RequestId, VendRequest};
use crate::sts::Credentials;
use entries::{
    AskedEntry, CallerEntry, DeviceEntry, GrantedEntry, IssuedEntry, RateLimitEntry, RequestEntry,
    ShadowEntry,
};
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use stopwatch::Stopwatch;
use time::UtcDateTime;
use time::format_description::well_known::Rfc3339;

/// What is known of one request. Fields that do not apply are absent from the line.
#[derive(Debug, Serialize)]
pub struct AuditRecord {
    #[serde(rename = "type")]
    kind: &'static str,
    time: String,
    request_id: RequestId,
    #[serde(flatten)]
    request: RequestEntry,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    caller: Option<CallerEntry>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rate_limit: Option<RateLimitEntry>,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    asked: Option<AskedEntry>,
    #[serde(skip_serializing_if = "Option::is_none")]
    device: Option<DeviceEntry>,
    #[serde(skip_serializing_if = "Option::is_none")]
    policy_digest: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rules: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    shadow: Option<ShadowEntry>,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    granted: Option<GrantedEntry>,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    issued: Option<IssuedEntry>,
    /// Milliseconds per stage, in the order of the request's way.
    durations_ms: BTreeMap<&'static str, f64>,
    /// The function's name: what metrics go by.
    function: String,
    #[serde(skip)]
    profile_exists: bool,
    #[serde(skip)]
    posture: Option<&'static str>,
    #[serde(skip)]
    policy_age: Option<u64>,
    #[serde(skip)]
    clock: Stopwatch,
    #[serde(skip)]
    unix_ms: i128,
}

impl AuditRecord {
    /// Opens the record of a request that arrived at `now`.
    #[must_use]
    pub fn open(function: &str, request_id: RequestId, event: &Event, now: UtcDateTime) -> Self {
        Self {
            kind: "audit",
            time: now.format(&Rfc3339).unwrap_or_default(),
            request_id,
            request: RequestEntry::of(event),
            caller: None,
            rate_limit: None,
            asked: None,
            device: None,
            policy_digest: None,
            rules: None,
            shadow: None,
            granted: None,
            issued: None,
            durations_ms: BTreeMap::new(),
            function: function.to_owned(),
            profile_exists: false,
            posture: None,
            policy_age: None,
            clock: Stopwatch::start(),
            unix_ms: now.unix_timestamp_nanos() / 1_000_000,
        }
    }

    /// Who asks.
    pub fn caller(&mut self, caller: &Caller) {
        self.caller = Some(CallerEntry::of(caller));
        self.lap("identify");
    }

    /// What the limiter decided, and who decided it.
    pub fn admission(&mut self, admission: &Admission) {
        self.rate_limit = Some(RateLimitEntry::of(admission));
        self.lap("admit");
    }

    /// The client token, where one is required, was right.
    pub fn client_token_checked(&mut self) {
        self.lap("client_token");
    }

    /// What is asked for.
    pub fn asked(&mut self, request: &VendRequest) {
        self.asked = Some(AskedEntry::of(request));
        self.lap("parse");
    }

    /// What came of looking for the caller's device. What a refusal was for is in `detail`.
    pub fn device(&mut self, looked_up: &Result<DeviceLookUp, Error>) {
        self.device = match looked_up {
            Ok(DeviceLookUp::Known(posture)) => Some(DeviceEntry::known(posture)),
            Ok(DeviceLookUp::Unknown(error)) => Some(DeviceEntry::unknown(error)),
            Ok(DeviceLookUp::None) | Err(_) => None,
        };
        self.posture = posture(looked_up);
        self.lap("device");
    }

    /// Which policy is in force when the request comes.
    pub fn policy_in_force(&mut self, policy: &Policy) {
        self.policy_digest = Some(policy.digest().to_owned());
    }

    /// Which policy decides, once it is up to date, and how old it is in seconds if it may change.
    pub fn policy(&mut self, policy: &Policy, age: Option<u64>) {
        self.policy_in_force(policy);
        self.policy_age = age;
        self.lap("policy");
    }

    /// What the policy decided, and by which rules.
    pub fn decision(&mut self, decision: &Decision) {
        self.rules = Some(decision.rules().to_vec());
        self.profile_exists = !matches!(decision, Decision::Deny(denial) if denial.refusal() == Refusal::UnknownProfile);
        self.lap("decide");
    }

    /// What the policies in shadow mode would have changed.
    pub fn rehearsal(&mut self, rehearsal: Rehearsal) {
        self.shadow = ShadowEntry::of(rehearsal);
    }

    /// What is about to be asked of STS.
    pub fn granted(&mut self, grant: &Grant) {
        self.granted = Some(GrantedEntry::of(grant));
    }

    /// What STS answered.
    pub fn issued(&mut self, issued: Option<&Credentials>) {
        self.issued = issued.map(IssuedEntry::of);
        self.lap("assume_role");
    }

    /// The finished line, without a line feed. An outcome without an error is an `OK`.
    #[must_use]
    pub fn close(mut self, error: Option<&Error>, readings: &Readings) -> String {
        let total = self.clock.total_ms();
        self.durations_ms.insert("total", total);
        let public = error.map(Error::public);
        let Ok(Value::Object(mut line)) = serde_json::to_value(&self) else {
            return json!({ "type": "audit", "request_id": self.request_id, "code": "INTERNAL_ERROR" }).to_string();
        };
        line.retain(|_, value| !value.is_null());
        line.insert(
            "status".to_owned(),
            public.as_ref().map_or(200, |public| public.status).into(),
        );
        line.insert("code".to_owned(), public.map_or("OK", |public| public.code).into());
        if let Some(error) = error {
            line.insert("detail".to_owned(), error.to_string().into());
        }
        line.extend(self.metrics(readings, total));
        Value::Object(line).to_string()
    }

    fn lap(&mut self, stage: &'static str) {
        let elapsed = self.clock.lap_ms();
        self.durations_ms.insert(stage, elapsed);
    }
}

/// What came of a device, in a word that metrics can go by; none if none was looked for.
fn posture(looked_up: &Result<DeviceLookUp, Error>) -> Option<&'static str> {
    match looked_up {
        Ok(DeviceLookUp::None) => None,
        Ok(DeviceLookUp::Known(posture)) if !posture.device.managed => Some("unmanaged"),
        Ok(DeviceLookUp::Known(posture)) if !posture.device.compliant => Some("noncompliant"),
        Ok(DeviceLookUp::Known(_)) => Some("compliant"),
        Ok(DeviceLookUp::Unknown(PostureError::UnknownDevice | PostureError::AmbiguousDevice)) => {
            Some("unknown")
        }
        Err(Error::Device(refused)) => Some(match refused {
            DeviceRefused::Missing => "missing",
            DeviceRefused::Unverified(_) => "unknown",
            DeviceRefused::Unmanaged => "unmanaged",
            DeviceRefused::NotCompliant => "noncompliant",
        }),
        Ok(DeviceLookUp::Unknown(_)) | Err(_) => Some("unavailable"),
    }
}
