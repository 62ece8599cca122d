//! The audit line: one JSON object per request, opened first, filled stage by stage, written once whatever the outcome.
//!
//! Invariants: no secret ever enters the record; what clients choose (path, user agent) is bounded and JSON-escaped, so it
//! can neither flood the log nor forge a line. The line is also a CloudWatch metric (embedded metric format).

use crate::adapters::DeviceLookUp;
use crate::caller::Caller;
use crate::error::Error;
use crate::event::Event;
use crate::mdm::{Posture, PostureSource};
use crate::policy::{Clamp, Decision, Grant, Rehearsal};
use crate::rate_limit::{Admission, DecidedBy, Outcome, Tier};
use crate::request::{DeviceId, ProfileName, RequestId, SessionDuration, VendRequest};
use crate::secret::Freshness;
use crate::sts::Credentials;
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Instant;
use time::UtcDateTime;
use time::format_description::well_known::Rfc3339;

/// The longest text taken over from a client, in characters.
const MAX_TEXT: usize = 256;

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
    rules: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    shadow: Option<ShadowEntry>,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    granted: Option<GrantedEntry>,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    issued: Option<IssuedEntry>,
    /// Milliseconds per stage, in the order of the request's way.
    durations_ms: BTreeMap<&'static str, f64>,
    #[serde(skip)]
    clock: Stopwatch,
    #[serde(skip)]
    unix_ms: i128,
}

#[derive(Debug, Serialize)]
struct RequestEntry {
    method: String,
    path: String,
    source_ip: Option<IpAddr>,
    user_agent: Option<String>,
    caller_arn: Option<String>,
    caller_access_key_id: Option<String>,
}

#[derive(Debug, Serialize)]
struct CallerEntry {
    principal: String,
    principal_kind: &'static str,
    account: String,
    org: Option<String>,
}

#[derive(Debug, Serialize)]
struct RateLimitEntry {
    decided_by: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    degraded: Option<String>,
    writes: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    tier: Option<Tier>,
    #[serde(skip_serializing_if = "Option::is_none")]
    remaining: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after: Option<u64>,
}

#[derive(Debug, Serialize)]
struct AskedEntry {
    profile: ProfileName,
    asked_seconds: Option<SessionDuration>,
    device_id: Option<DeviceId>,
}

#[derive(Debug, Default, Serialize)]
struct DeviceEntry {
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    known: Option<KnownDevice>,
    #[serde(skip_serializing_if = "Option::is_none")]
    failure: Option<String>,
}

#[derive(Debug, Serialize)]
struct KnownDevice {
    provider: &'static str,
    managed: bool,
    compliant: bool,
    owner: Option<String>,
    last_seen: Option<String>,
    source: PostureSource,
    secret: Freshness,
}

#[derive(Debug, Serialize)]
struct ShadowEntry {
    would: &'static str,
    rules: Vec<String>,
}

#[derive(Debug, Serialize)]
struct GrantedEntry {
    role_arn: String,
    session_name: String,
    source_identity: String,
    granted_seconds: SessionDuration,
    #[serde(skip_serializing_if = "Option::is_none")]
    clamped_by: Option<Clamp>,
}

#[derive(Debug, Serialize)]
struct IssuedEntry {
    issued_access_key_id: String,
    expiration: String,
}

impl AuditRecord {
    /// Opens the record of a request that arrived at `now`.
    #[must_use]
    pub fn open(request_id: RequestId, event: &Event, now: UtcDateTime) -> Self {
        Self {
            kind: "audit",
            time: now.format(&Rfc3339).unwrap_or_default(),
            request_id,
            request: RequestEntry::of(event),
            caller: None,
            rate_limit: None,
            asked: None,
            device: None,
            rules: None,
            shadow: None,
            granted: None,
            issued: None,
            durations_ms: BTreeMap::new(),
            clock: Stopwatch::start(),
            unix_ms: now.unix_timestamp_nanos() / 1_000_000,
        }
    }

    /// Who asks.
    pub fn caller(&mut self, caller: &Caller) {
        self.caller = Some(CallerEntry {
            principal: caller.principal().to_string(),
            principal_kind: caller.kind().name(),
            account: caller.account().to_owned(),
            org: caller.org().map(bounded),
        });
        self.lap("identify");
    }

    /// What the limiter decided, and who decided it.
    pub fn admission(&mut self, admission: &Admission) {
        let (standing, retry_after) = match &admission.outcome {
            Outcome::Uncounted | Outcome::Unavailable => (None, None),
            Outcome::Admitted(standing) => (Some(standing), None),
            Outcome::Throttled(standing, retry_after) => (Some(standing), Some(retry_after.0)),
        };
        let (decided_by, degraded) = match &admission.decided_by {
            DecidedBy::Off => ("off", None),
            DecidedBy::Memory => ("memory", None),
            DecidedBy::Table => ("dynamodb", None),
            DecidedBy::Mirror => ("mirror", None),
            DecidedBy::Fallback(mode, why) => (mode.name(), Some(why.to_string())),
        };
        self.rate_limit = Some(RateLimitEntry {
            decided_by,
            degraded,
            writes: admission.writes,
            tier: standing.map(|standing| standing.tier),
            remaining: standing.map(|standing| standing.remaining),
            retry_after,
        });
        self.lap("admit");
    }

    /// The client token, where one is required, was right.
    pub fn client_token_checked(&mut self) {
        self.lap("client_token");
    }

    /// What is asked for.
    pub fn asked(&mut self, request: &VendRequest) {
        self.asked = Some(AskedEntry {
            profile: request.profile.clone(),
            asked_seconds: request.duration,
            device_id: request.device.clone(),
        });
        self.lap("parse");
    }

    /// What came of looking for the caller's device.
    pub fn device(&mut self, looked_up: &Result<DeviceLookUp, Error>) {
        self.device = match looked_up {
            Ok(DeviceLookUp::Known(posture)) => Some(DeviceEntry::known(posture)),
            Ok(DeviceLookUp::Unknown(error)) => Some(DeviceEntry { failure: Some(error.to_string()), ..DeviceEntry::default() }),
            // What refused is in `detail`.
            Ok(DeviceLookUp::None) | Err(_) => None,
        };
        self.lap("device");
    }

    /// What the policy decided, and by which rules.
    pub fn decision(&mut self, decision: &Decision) {
        self.rules = Some(decision.rules().to_vec());
        self.lap("decide");
    }

    /// What the policies in shadow mode would have changed.
    pub fn rehearsal(&mut self, rehearsal: Rehearsal) {
        self.shadow = match rehearsal {
            Rehearsal::Nothing => None,
            Rehearsal::WouldAllow(rules) => Some(ShadowEntry { would: "allow", rules }),
            Rehearsal::WouldDeny(rules) => Some(ShadowEntry { would: "deny", rules }),
        };
    }

    /// What is about to be asked of STS.
    pub fn granted(&mut self, grant: &Grant) {
        self.granted = Some(GrantedEntry {
            role_arn: grant.role_arn().to_owned(),
            session_name: grant.session_name().to_owned(),
            source_identity: grant.source_identity().to_owned(),
            granted_seconds: grant.duration(),
            clamped_by: grant.clamped_by(),
        });
    }

    /// What STS answered.
    pub fn issued(&mut self, issued: Option<&Credentials>) {
        self.issued = issued.map(|credentials| IssuedEntry {
            issued_access_key_id: credentials.access_key_id.clone(),
            expiration: credentials.expiration.clone(),
        });
        self.lap("assume_role");
    }

    /// The finished line, without a line feed. An outcome without an error is an `OK`.
    #[must_use]
    pub fn close(mut self, error: Option<&Error>) -> String {
        let total = self.clock.total_ms();
        self.durations_ms.insert("total", total);
        let public = error.map(Error::public);
        let Ok(Value::Object(mut line)) = serde_json::to_value(&self) else {
            return json!({ "type": "audit", "request_id": self.request_id, "code": "INTERNAL_ERROR" }).to_string();
        };
        line.retain(|_, value| !value.is_null());
        line.insert("status".to_owned(), public.as_ref().map_or(200, |public| public.status).into());
        line.insert("code".to_owned(), public.map_or("OK", |public| public.code).into());
        if let Some(error) = error {
            line.insert("detail".to_owned(), error.to_string().into());
        }
        line.extend(self.metrics(total));
        Value::Object(line).to_string()
    }

    /// CloudWatch's embedded metric format. The only dimension is the code, of which there are few.
    fn metrics(&self, total_ms: f64) -> [(String, Value); 3] {
        let directive = json!({
            "Timestamp": i64::try_from(self.unix_ms).unwrap_or_default(),
            "CloudWatchMetrics": [{
                "Namespace": "Sentinel/TVM",
                "Dimensions": [["code"]],
                "Metrics": [{ "Name": "Requests", "Unit": "Count" }, { "Name": "Latency", "Unit": "Milliseconds" }],
            }],
        });
        [("_aws".to_owned(), directive), ("Requests".to_owned(), 1.into()), ("Latency".to_owned(), total_ms.into())]
    }

    fn lap(&mut self, stage: &'static str) {
        let elapsed = self.clock.lap_ms();
        self.durations_ms.insert(stage, elapsed);
    }
}

impl DeviceEntry {
    fn known(posture: &Posture) -> Self {
        let Posture { device, secret, source } = posture;
        let known = KnownDevice {
            provider: device.provider,
            managed: device.managed,
            compliant: device.compliant,
            owner: device.owner.clone(),
            last_seen: device.last_seen.and_then(|at| at.format(&Rfc3339).ok()),
            source: *source,
            secret: *secret,
        };
        Self { known: Some(known), failure: None }
    }
}

impl RequestEntry {
    fn of(event: &Event) -> Self {
        let identity = event.iam_identity();
        Self {
            method: bounded(event.method()),
            path: bounded(event.path()),
            source_ip: event.source_ip(),
            user_agent: event.user_agent().map(bounded),
            caller_arn: identity.map(|identity| bounded(identity.user_arn)),
            caller_access_key_id: identity.and_then(|identity| identity.access_key_id).map(bounded),
        }
    }
}

fn bounded(text: &str) -> String {
    text.chars().take(MAX_TEXT).collect()
}

/// The one place that measures elapsed time.
#[derive(Debug)]
struct Stopwatch {
    start: Instant,
    last: Instant,
}

#[expect(clippy::disallowed_methods, reason = "a duration needs a monotonic clock, which `now` is not")]
impl Stopwatch {
    fn start() -> Self {
        let start = Instant::now();
        Self { start, last: start }
    }

    fn lap_ms(&mut self) -> f64 {
        let now = Instant::now();
        milliseconds(now.duration_since(std::mem::replace(&mut self.last, now)))
    }

    fn total_ms(&self) -> f64 {
        milliseconds(self.start.elapsed())
    }
}

/// Rounded to a microsecond.
fn milliseconds(duration: std::time::Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}
