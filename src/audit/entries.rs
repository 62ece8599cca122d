//! The parts of an audit line, each made from a stage's result.

use crate::access::{AccessId, AccessRequest, Approval, State};
use crate::caller::Caller;
use crate::claims::{Claims, Reason, Ticket};
use crate::event::Event;
use crate::mdm::{DeviceLookUp, Posture, PostureSource};
use crate::policy::{Clamp, Grant, Shadow};
use crate::rate_limit::{Admission, DecidedBy, Outcome, Tier};
use crate::request::{DeviceId, ProfileName, ScopeName, SessionDuration, VendRequest};
use crate::secret::Freshness;
use crate::sts::Credentials;
use serde::Serialize;
use serde_with::skip_serializing_none;
use std::collections::BTreeMap;
use std::net::IpAddr;
use time::format_description::well_known::Rfc3339;

/// The longest text that is copied from a client, in characters.
const MAX_TEXT: usize = 256;

#[skip_serializing_none]
#[derive(Debug, Serialize)]
pub(super) struct RequestEntry {
    method: String,
    path: String,
    source_ip: Option<IpAddr>,
    user_agent: Option<String>,
    caller_arn: Option<String>,
    caller_access_key_id: Option<String>,
}

impl RequestEntry {
    pub(super) fn of(event: &Event<'_>) -> Self {
        let identity = event.iam_identity();
        Self {
            method: bounded(&event.method()),
            path: bounded(&event.path()),
            source_ip: event.source_ip(),
            user_agent: event.user_agent().as_deref().map(bounded),
            caller_arn: identity.map(|identity| bounded(&identity.user_arn)),
            caller_access_key_id: identity
                .and_then(|identity| identity.access_key_id.as_deref())
                .map(bounded),
        }
    }
}

#[skip_serializing_none]
#[derive(Debug, Serialize)]
pub(super) struct CallerEntry {
    principal: String,
    principal_kind: &'static str,
    account: String,
    unique_id: Option<String>,
    org: Option<String>,
}

impl CallerEntry {
    pub(super) fn of(caller: &Caller) -> Self {
        Self {
            principal: caller.principal().to_string(),
            principal_kind: caller.kind().name(),
            account: caller.account().to_owned(),
            unique_id: caller.unique_id().map(str::to_owned),
            org: caller.org().map(bounded),
        }
    }
}

#[skip_serializing_none]
#[derive(Debug, Serialize)]
pub(super) struct RateLimitEntry {
    decided_by: &'static str,
    degraded: Option<String>,
    writes: u32,
    tier: Option<Tier>,
    remaining: Option<u32>,
    day_remaining: Option<u32>,
    retry_after: Option<u64>,
    blocked_until: Option<String>,
}

impl RateLimitEntry {
    pub(super) fn decided_by(&self) -> &'static str {
        self.decided_by
    }

    /// Whether the table should have decided, but did not.
    pub(super) fn is_degraded(&self) -> bool {
        self.degraded.is_some()
    }

    /// Whether the request was refused without a write to the table.
    pub(super) fn is_local_refusal(&self) -> bool {
        (self.retry_after.is_some() || self.blocked_until.is_some()) && self.writes == 0
    }

    pub(super) fn of(admission: &Admission) -> Self {
        let (standing, retry_after) = match &admission.outcome {
            Outcome::Uncounted | Outcome::Blocked(_) | Outcome::Unavailable => (None, None),
            Outcome::Admitted(standing) => (Some(standing), None),
            Outcome::Throttled(standing, retry_after) => (Some(standing), Some(retry_after.0)),
        };
        let blocked_until = match &admission.outcome {
            Outcome::Blocked(until) => until.format(&Rfc3339).ok(),
            _ => None,
        };
        let (decided_by, degraded) = match &admission.decided_by {
            DecidedBy::Off => ("off", None),
            DecidedBy::Memory => ("memory", None),
            DecidedBy::Table => ("dynamodb", None),
            DecidedBy::Mirror => ("mirror", None),
            DecidedBy::Fallback(mode, why) => (mode.name(), Some(why.to_string())),
        };
        Self {
            decided_by,
            degraded,
            writes: admission.writes,
            tier: standing.map(|standing| standing.tier),
            remaining: standing.map(|standing| standing.windows.short.remaining),
            day_remaining: standing.and_then(|standing| Some(standing.windows.day?.remaining)),
            retry_after,
            blocked_until,
        }
    }
}

#[skip_serializing_none]
#[derive(Debug, Serialize)]
pub(super) struct AskedEntry {
    profile: ProfileName,
    asked_seconds: Option<SessionDuration>,
    device_id: Option<DeviceId>,
    scope: Option<ScopeName>,
    claimed: Option<Claims>,
}

impl AskedEntry {
    pub(super) fn of(request: &VendRequest) -> Self {
        Self {
            profile: request.profile.clone(),
            asked_seconds: request.duration,
            device_id: request.device.clone(),
            scope: request.scope.clone(),
            claimed: Some(request.claims.clone()).filter(|claims| !claims.is_empty()),
        }
    }
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum DeviceEntry {
    Known {
        provider: &'static str,
        managed: bool,
        compliant: bool,
        owner: Option<String>,
        last_seen: Option<String>,
        source: PostureSource,
        secret: Freshness,
    },
    Unknown {
        failure: String,
    },
}

impl DeviceEntry {
    pub(super) fn of(look_up: &DeviceLookUp) -> Option<Self> {
        match look_up {
            DeviceLookUp::Skipped | DeviceLookUp::Missing => None,
            DeviceLookUp::Known(posture) => Some(Self::known(posture)),
            DeviceLookUp::Failed(error) => Some(Self::Unknown { failure: error.to_string() }),
        }
    }

    fn known(posture: &Posture) -> Self {
        let Posture { device, secret, source } = posture;
        Self::Known {
            provider: device.provider,
            managed: device.managed,
            compliant: device.compliant,
            owner: device.owner.clone(),
            last_seen: device.last_seen.and_then(|at| at.format(&Rfc3339).ok()),
            source: *source,
            secret: *secret,
        }
    }
}

#[derive(Debug, Serialize)]
pub(super) struct ShadowEntry {
    would: &'static str,
    rules: Vec<String>,
}

impl ShadowEntry {
    pub(super) fn would_deny(&self) -> bool {
        self.would == "deny"
    }

    pub(super) fn of(shadow: Shadow) -> Option<Self> {
        match shadow {
            Shadow::Nothing => None,
            Shadow::WouldAllow(rules) => Some(Self { would: "allow", rules }),
            Shadow::WouldDeny(rules) => Some(Self { would: "deny", rules }),
        }
    }
}

#[skip_serializing_none]
#[derive(Debug, Serialize)]
pub(super) struct GrantedEntry {
    role_arn: String,
    session_name: String,
    source_identity: String,
    granted_seconds: SessionDuration,
    clamped_by: Option<Clamp>,
    session_policy: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    policy_arns: Vec<String>,
    tags: BTreeMap<String, String>,
}

impl GrantedEntry {
    pub(super) fn of(grant: &Grant) -> Self {
        Self {
            role_arn: grant.role_arn().to_owned(),
            session_name: grant.session_name().to_owned(),
            source_identity: grant.source_identity().to_owned(),
            granted_seconds: grant.duration(),
            clamped_by: grant.clamped_by(),
            session_policy: grant.scope().policy.clone(),
            policy_arns: grant.scope().policy_arns.clone(),
            tags: grant.scope().tags.iter().cloned().collect(),
        }
    }
}

#[skip_serializing_none]
#[derive(Debug, Serialize)]
pub(super) struct IssuedEntry {
    issued_access_key_id: String,
    expiration: String,
    packed_policy_size: Option<i32>,
    session_token_utilization: Option<i32>,
}

impl IssuedEntry {
    pub(super) fn of(credentials: &Credentials) -> Self {
        Self {
            issued_access_key_id: credentials.access_key_id.clone(),
            expiration: credentials.expiration.clone(),
            packed_policy_size: credentials.packed_policy_size,
            session_token_utilization: credentials.session_token_utilization,
        }
    }
}

/// A request for access. Its reason and its ticket are checked where they are read.
#[skip_serializing_none]
#[derive(Debug, Serialize)]
pub(super) struct AccessEntry {
    action: &'static str,
    id: AccessId,
    state: State,
    requester: String,
    profile: ProfileName,
    reason: Reason,
    ticket: Option<Ticket>,
    seconds: SessionDuration,
    expires_at: String,
}

impl AccessEntry {
    pub(super) fn of(action: &'static str, access: &AccessRequest) -> Self {
        Self {
            action,
            id: access.id,
            state: access.state,
            requester: access.requester.arn.clone(),
            profile: access.profile.clone(),
            reason: access.reason.clone(),
            ticket: access.ticket.clone(),
            seconds: access.duration,
            expires_at: access.expires_at.format(&Rfc3339).unwrap_or_default(),
        }
    }
}

/// The approval that a decision could rest on.
#[skip_serializing_none]
#[derive(Debug, Serialize)]
pub(super) struct ApprovalEntry {
    id: Option<AccessId>,
    by: String,
    reason: Reason,
    ticket: Option<Ticket>,
    approved_at: String,
}

impl ApprovalEntry {
    pub(super) fn of(approval: &Approval) -> Self {
        Self {
            id: approval.id,
            by: approval.by.clone(),
            reason: approval.reason.clone(),
            ticket: approval.ticket.clone(),
            approved_at: approval.approved_at.format(&Rfc3339).unwrap_or_default(),
        }
    }
}

fn bounded(text: &str) -> String {
    text.chars().take(MAX_TEXT).collect()
}
