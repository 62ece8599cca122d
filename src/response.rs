//! From the outcome to HTTP.
//!
//! Invariant: every reply is JSON, forbids caching, and carries the request id; an error's body
//! holds its public message and nothing internal. The shape is that of a Lambda proxy response,
//! which Function URLs, HTTP APIs and REST APIs all accept.

use crate::access::{AccessRequest, Emergency};
use crate::caller_proof::CallerProofMode;
use crate::client_token::ClientTokenError;
use crate::error::Error;
use crate::policy::{Clamp, Explanation, ProfileSummary};
use crate::policy_store::PolicyHealth;
use crate::rate_limit::{
    Backend, BreakerState, DAY, FailureMode, Limit, LimiterHealth, Outcome, QuotaStatus, Tier,
    WindowStatus,
};
use crate::request::{ProfileName, RequestId, RouteError, SessionDuration};
use crate::sts::Credentials;
use secrecy::ExposeSecret;
use serde::Serialize;
use serde_json::json;
use std::collections::BTreeMap;
use std::fmt;
use time::UtcDateTime;
use time::format_description::well_known::Rfc3339;

/// A successful answer.
#[derive(Debug)]
pub enum Reply {
    /// Credentials.
    Credentials(Vended),
    /// The profiles this caller could be granted.
    Profiles(Vec<ProfileSummary>),
    /// The result that a request for credentials would have.
    Explanation(Explanation),
    /// The function's health.
    Health(Health),
    /// One request for access.
    Access(AccessView),
    /// Several of them.
    AccessList(Vec<AccessView>),
    /// An emergency.
    Emergency(Emergency),
}

/// A request for access, as its requester and those who may decide it see it.
#[derive(Debug, Clone, Serialize)]
pub struct AccessView {
    id: String,
    profile: ProfileName,
    state: &'static str,
    requester: String,
    reason: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    ticket: Option<String>,
    duration: SessionDuration,
    created_at: String,
    expires_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    decided_by: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    decided_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_denied_by: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_denied_at: Option<String>,
    may: Vec<May>,
}

/// What the caller may do with a request for access.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum May {
    /// Approve it.
    Approve,
    /// Refuse it.
    Deny,
    /// Take it back.
    Withdraw,
}

impl AccessView {
    /// The view of `access` at `now`.
    #[must_use]
    pub fn new(access: AccessRequest, may: Vec<May>, now: UtcDateTime) -> Self {
        let written = |at: UtcDateTime| at.format(&Rfc3339).unwrap_or_default();
        let is_over = access.state.can_expire() && now >= access.expires_at;
        Self {
            id: access.id.to_string(),
            profile: access.profile,
            state: if is_over { "expired" } else { access.state.name() },
            requester: access.requester.arn,
            reason: access.reason.as_str().to_owned(),
            ticket: access.ticket.map(|ticket| ticket.as_str().to_owned()),
            duration: access.duration,
            created_at: written(access.created_at),
            expires_at: written(access.expires_at),
            decided_by: access.decided_by,
            decided_at: access.decided_at.map(written),
            last_denied_at: access.last_denial.as_ref().map(|denial| written(denial.at)),
            last_denied_by: access.last_denial.map(|denial| denial.by),
            may,
        }
    }
}

/// Issued credentials and the facts that the reply reports with them.
#[derive(Debug)]
pub struct Vended {
    /// The credentials.
    pub credentials: Credentials,
    /// Their account.
    pub account: String,
    /// How long they last.
    pub duration: SessionDuration,
    /// What made that shorter than requested.
    pub clamped_by: Option<Clamp>,
}

/// The content of `/v1/health`: no secret, ARN, table or host.
#[derive(Debug)]
pub struct Health {
    /// The limiter: its limits, back end and breaker.
    pub limiter: LimiterHealth,
    /// The policy in force.
    pub policy: PolicyHealth,
    /// Whether callers must prove their identity.
    pub caller_proof: CallerProofMode,
    /// The tier that each path is charged to.
    pub paths: BTreeMap<&'static str, Tier>,
}

/// A reply in the form of Lambda proxy integrations.
#[derive(Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Response {
    /// The HTTP status.
    pub status_code: u16,
    /// The headers.
    pub headers: BTreeMap<&'static str, String>,
    /// The JSON body.
    pub body: String,
    /// Always false.
    pub is_base64_encoded: bool,
}

impl fmt::Debug for Response {
    /// Without the body, which may hold credentials.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Response")
            .field("status_code", &self.status_code)
            .field("headers", &self.headers)
            .finish_non_exhaustive()
    }
}

impl Response {
    /// Renders an outcome. `quota` is [`Outcome::Uncounted`] if the request was refused before the
    /// limiter decided.
    #[must_use]
    pub fn render(outcome: &Result<Reply, Error>, quota: &Outcome, request_id: &RequestId) -> Self {
        let (status_code, body) = match outcome {
            Ok(reply) => (200, reply.body()),
            Err(error) => error_body(error, request_id),
        };
        let mut headers = BTreeMap::from([
            ("Cache-Control", "no-store".to_owned()),
            ("Content-Type", "application/json".to_owned()),
            ("X-Content-Type-Options", "nosniff".to_owned()),
            ("X-Request-Id", request_id.as_str().to_owned()),
        ]);
        headers.extend(quota_headers(quota));
        headers.extend(outcome_headers(outcome));
        Self { status_code, headers, body, is_base64_encoded: false }
    }
}

impl Reply {
    fn body(&self) -> String {
        match self {
            Self::Credentials(vended) => vended.body(),
            Self::Profiles(profiles) => json!({ "profiles": profiles }).to_string(),
            Self::Explanation(explanation) => json!(explanation).to_string(),
            Self::Health(health) => health.body().to_string(),
            Self::Access(access) => json!(access).to_string(),
            Self::Emergency(emergency) => json!(emergency).to_string(),
            Self::AccessList(list) => json!({ "requests": list }).to_string(),
        }
    }
}

/// One body for both SDK conventions: `credential_process` (`Version`, `SessionToken`) and
/// container credentials (`Token`).
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct CredentialsBody<'a> {
    version: u8,
    access_key_id: &'a str,
    secret_access_key: &'a str,
    session_token: &'a str,
    token: &'a str,
    expiration: &'a str,
    account_id: &'a str,
}

impl Vended {
    fn body(&self) -> String {
        let Credentials { access_key_id, secret_access_key, session_token, expiration, .. } =
            &self.credentials;
        let body = CredentialsBody {
            version: 1,
            access_key_id,
            secret_access_key: secret_access_key.expose_secret(),
            session_token: session_token.expose_secret(),
            token: session_token.expose_secret(),
            expiration,
            account_id: &self.account,
        };
        // Text with names known at compile time always serializes.
        serde_json::to_string(&body).unwrap_or_default()
    }
}

impl Health {
    /// - `failing`: requests for credentials fail, because the policy is too old, or because the
    ///   rate-limit table is out of reach and the failure mode is `closed`.
    /// - `degraded`: they work, but the table or the policy's source is out of reach.
    /// - `ok`: neither.
    fn status(&self) -> &'static str {
        let (is_open, is_closed_then) = match self.limiter.backend {
            Backend::Memory => (false, false),
            Backend::Shared { breaker, failure_mode, .. } => {
                (breaker != BreakerState::Closed, failure_mode == FailureMode::Closed)
            }
        };
        match (self.policy.too_old || (is_open && is_closed_then), is_open || self.policy.stale) {
            (true, _) => "failing",
            (false, true) => "degraded",
            (false, false) => "ok",
        }
    }

    fn body(&self) -> serde_json::Value {
        let limits = self.limiter.limits;
        let shown = |limit| match limit {
            Limit::Off => json!("off"),
            Limit::Quota(quota) => {
                json!({ "requests": quota.requests(), "window": quota.window_seconds(), "burst": quota.burst() })
            }
        };
        let limit = |tier| shown(limits.of(tier));
        let (backend, breaker, healthy) = match self.limiter.backend {
            Backend::Memory => ("memory", json!("none"), true),
            Backend::Shared { breaker, healthy, .. } => ("dynamodb", json!(breaker), healthy),
        };
        let usage = self.limiter.usage;
        json!({
            "status": self.status(),
            "version": env!("CARGO_PKG_VERSION"),
            "storage": { "healthy": healthy },
            "rate_limit": {
                "backend": backend,
                "breaker": breaker,
                "blocks": self.limiter.blocks(),
                "vend": limit(Tier::Vend),
                "explain": limit(Tier::Explain),
                "read": limit(Tier::Read),
                "health": limit(Tier::Health),
                "vend_day": shown(limits.vend_day),
                "paths": self.paths,
                "local_store": { "keys": usage.keys, "max_keys": usage.max_keys, "evictions": usage.evictions },
            },
            "policy": self.policy,
            "caller_proof": self.caller_proof.name(),
        })
    }
}

fn error_body(error: &Error, request_id: &RequestId) -> (u16, String) {
    let public = error.public();
    let body =
        json!({ "Code": public.code, "Message": public.message, "RequestId": request_id.as_str() });
    (public.status, body.to_string())
}

/// `RateLimit-Policy` and `RateLimit` as in draft-ietf-httpapi-ratelimit-headers, which are
/// structured fields (RFC 9651): `q` requests per `w` seconds; `r` left now, all of them again in
/// `t` seconds. A limit for the day is a second member of both.
fn quota_headers(quota: &Outcome) -> Vec<(&'static str, String)> {
    let (Outcome::Admitted(standing) | Outcome::Throttled(standing, _)) = quota else {
        return Vec::new();
    };
    let QuotaStatus { tier, windows } = standing;
    let named = [tier.name(), DAY].into_iter().zip(windows.iter());
    let (policy, state): (Vec<_>, Vec<_>) =
        named.map(|(name, window)| window_headers(name, &window)).unzip();
    vec![("RateLimit-Policy", policy.join(", ")), ("RateLimit", state.join(", "))]
}

fn window_headers(name: &str, status: &WindowStatus) -> (String, String) {
    let WindowStatus { quota, remaining, reset_seconds } = status;
    (
        format!("\"{name}\";q={};w={}", quota.requests(), quota.window_seconds()),
        format!("\"{name}\";r={remaining};t={reset_seconds}"),
    )
}

fn outcome_headers(outcome: &Result<Reply, Error>) -> Vec<(&'static str, String)> {
    match outcome {
        Ok(Reply::Credentials(vended)) => {
            let granted = ("X-Sentinel-Granted-Seconds", vended.duration.seconds().to_string());
            let clamped =
                vended.clamped_by.map(|clamp| ("X-Sentinel-Clamped-By", clamp.name().to_owned()));
            std::iter::once(granted).chain(clamped).collect()
        }
        Err(Error::Throttled(retry_after)) => vec![("Retry-After", retry_after.0.to_string())],
        Err(Error::ClientToken(ClientTokenError::Invalid(_))) => {
            vec![("WWW-Authenticate", "X-Sentinel-Token".to_owned())]
        }
        Err(Error::Route(RouteError::MethodNotAllowed(allow))) => {
            vec![("Allow", (*allow).to_owned())]
        }
        _ => Vec::new(),
    }
}
