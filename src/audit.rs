//! The audit line: one JSON object per request, opened first, filled stage by stage, written once
//! whatever the outcome.
//!
//! Invariants: no secret ever enters the record. Text that clients choose (path, user agent) is
//! bounded and JSON-escaped, so it can neither flood the log nor forge a line. CloudWatch reads the
//! line's metrics from it (embedded metric format).

mod entries;
mod metrics;
mod stopwatch;

use crate::access::{AccessRequest, Emergency};
use crate::caller::Caller;
use crate::caller_proof::Proven;
use crate::error::Error;
use crate::event::Event;
use crate::mdm::DeviceLookUp;
use crate::policy::{Approved, Decision, Grant, Policy, Refusal, Shadow};
use crate::rate_limit::Admission;
use crate::request::{RequestId, VendRequest};
use crate::services::ServiceReadings;
use crate::sts::Credentials;
use entries::{
    AccessEntry, ApprovalEntry, AskedEntry, CallerEntry, DeviceEntry, GrantedEntry, IssuedEntry,
    RateLimitEntry, RequestEntry, ShadowEntry,
};
use metrics::Metrics;
use serde::Serialize;
use serde_json::json;
use serde_with::skip_serializing_none;
use std::collections::BTreeMap;
use stopwatch::Stopwatch;
use time::UtcDateTime;
use time::format_description::well_known::Rfc3339;

/// The record of one request. Fields that do not apply are absent from the line.
#[skip_serializing_none]
#[derive(Debug, Serialize)]
pub struct AuditRecord {
    #[serde(rename = "type")]
    kind: &'static str,
    time: String,
    request_id: RequestId,
    #[serde(flatten)]
    request: RequestEntry,
    #[serde(flatten)]
    caller: Option<CallerEntry>,
    rate_limit: Option<RateLimitEntry>,
    caller_proof: Option<&'static str>,
    #[serde(flatten)]
    asked: Option<AskedEntry>,
    device: Option<DeviceEntry>,
    policy_digest: Option<String>,
    rules: Option<Vec<String>>,
    shadow: Option<ShadowEntry>,
    approval: Option<ApprovalEntry>,
    emergency: Option<Emergency>,
    access: Option<AccessEntry>,
    #[serde(flatten)]
    granted: Option<GrantedEntry>,
    #[serde(flatten)]
    issued: Option<IssuedEntry>,
    /// Milliseconds per stage.
    durations_ms: BTreeMap<&'static str, f64>,
    /// The function's name, a dimension of every metric.
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
    pub fn open(
        function: &str,
        request_id: RequestId,
        event: &Event<'_>,
        now: UtcDateTime,
    ) -> Self {
        Self {
            kind: "audit",
            time: now.format(&Rfc3339).unwrap_or_default(),
            request_id,
            request: RequestEntry::of(event),
            caller: None,
            rate_limit: None,
            caller_proof: None,
            asked: None,
            device: None,
            policy_digest: None,
            rules: None,
            shadow: None,
            approval: None,
            emergency: None,
            access: None,
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

    /// The caller.
    pub fn caller(&mut self, caller: &Caller) {
        self.caller = Some(CallerEntry::of(caller));
        self.lap("identify");
    }

    /// The limiter's decision, and what it rests on.
    pub fn admission(&mut self, admission: &Admission) {
        self.rate_limit = Some(RateLimitEntry::of(admission));
        self.lap("admit");
    }

    /// The result of the caller proof.
    pub fn proven(&mut self, proven: Proven) {
        if proven == Proven::Yes {
            self.caller_proof = Some("verified");
            self.lap("caller_proof");
        }
    }

    /// The client token is valid, or none is required.
    pub fn client_token_checked(&mut self) {
        self.lap("client_token");
    }

    /// The parameters.
    pub fn asked(&mut self, request: &VendRequest) {
        self.asked = Some(AskedEntry::of(request));
        self.lap("parse");
    }

    /// The result of looking up the caller's device.
    pub fn device(&mut self, look_up: &DeviceLookUp) {
        self.device = DeviceEntry::of(look_up);
        self.posture = look_up.word();
        self.lap("device");
    }

    /// The policy in force when the request arrived.
    pub fn policy_in_force(&mut self, policy: &Policy) {
        self.policy_digest = Some(policy.digest().to_owned());
    }

    /// The policy that decides, and its age in seconds if it may change.
    pub fn policy(&mut self, policy: &Policy, age: Option<u64>) {
        self.policy_in_force(policy);
        self.policy_age = age;
        self.lap("policy");
    }

    /// The policy's decision and its rules, and what the policies in shadow mode would decide.
    pub fn decision(&mut self, decision: &Decision, shadow: Shadow) {
        self.shadow = ShadowEntry::of(shadow);
        self.rules = Some(decision.rules().to_vec());
        self.profile_exists = !matches!(decision, Decision::Deny(denial) if denial.refusal() == Refusal::UnknownProfile);
        self.lap("decide");
    }

    /// What was approved for the request, if anything was.
    pub fn approved(&mut self, approved: Approved<'_>) {
        if let Approved::Yes(approval) = approved {
            self.approval = Some(ApprovalEntry::of(approval));
        }
    }

    /// The emergency in force, if there is one.
    pub fn emergency(&mut self, emergency: Option<&Emergency>) {
        self.emergency = emergency.cloned();
    }

    /// The emergency that this request took.
    pub fn glass_broken(&mut self, emergency: &Emergency) {
        self.emergency = Some(emergency.clone());
        self.lap("access");
    }

    /// A request for access, and what is done with it.
    pub fn access(&mut self, action: &'static str, access: &AccessRequest) {
        self.access = Some(AccessEntry::of(action, access));
        self.lap("access");
    }

    /// The permits by which the caller may decide a request for access.
    pub fn rules(&mut self, rules: Vec<String>) {
        self.rules = Some(rules);
        self.lap("decide");
    }

    /// The grant that STS is about to receive.
    pub fn granted(&mut self, grant: &Grant) {
        self.granted = Some(GrantedEntry::of(grant));
    }

    /// The credentials that STS issued, if it did.
    pub fn issued(&mut self, issued: Option<&Credentials>) {
        self.issued = issued.map(IssuedEntry::of);
        self.lap("assume_role");
    }

    /// The finished line, without a line feed. The code of an outcome without an error is `OK`.
    #[must_use]
    pub fn close(mut self, error: Option<&Error>, readings: &ServiceReadings) -> String {
        let total = self.clock.total_ms();
        self.durations_ms.insert("total", total);
        let public = error.map(Error::public);
        let line = Line {
            record: &self,
            // Lambda treats a line without a level as INFO; this makes it explicit.
            level: "INFO",
            status: public.as_ref().map_or(200, |public| public.status),
            code: public.map_or("OK", |public| public.code),
            detail: error.map(ToString::to_string),
            metrics: self.metrics(readings, total),
        };
        serde_json::to_string(&line).unwrap_or_else(|_| {
            json!({ "type": "audit", "request_id": self.request_id, "code": "INTERNAL_ERROR" })
                .to_string()
        })
    }

    fn lap(&mut self, stage: &'static str) {
        let elapsed = self.clock.lap_ms();
        self.durations_ms.insert(stage, elapsed);
    }
}

/// A finished line. It is serialized without a tree of values in between, because it is the longest
/// text that a request makes.
#[skip_serializing_none]
#[derive(Serialize)]
struct Line<'a> {
    #[serde(flatten)]
    record: &'a AuditRecord,
    level: &'static str,
    status: u16,
    code: &'static str,
    detail: Option<String>,
    #[serde(flatten)]
    metrics: Metrics,
}
