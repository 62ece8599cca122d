//! Decisions, grants and denials. Only the parent module makes grants.

use super::catalogue::Profile;
use super::scope::{Marks, SessionScope, Unscopable};
use super::{Permission, ScopeSummary};
use crate::caller::Caller;
use crate::request::SessionDuration;
use serde::Serialize;
use std::borrow::Cow;

/// The policy's answer.
#[derive(Debug)]
pub enum Decision {
    /// A permit matched and no forbid did.
    Allow(Box<Grant>),
    /// Anything else.
    Deny(Denial),
}

impl Decision {
    /// The permission to vend, or the denial.
    pub fn into_grant(self) -> Result<Grant, Denial> {
        match self {
            Self::Allow(grant) => Ok(*grant),
            Self::Deny(denial) => Err(denial),
        }
    }

    /// The names of the rules that decided.
    #[must_use]
    pub fn rules(&self) -> &[String] {
        match self {
            Self::Allow(grant) => &grant.rules,
            Self::Deny(denial) => &denial.rules,
        }
    }
}

/// What the policies in shadow mode would decide. They are evaluated and audited, and change
/// nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shadow {
    /// None of them would decide.
    Nothing,
    /// With them the request would be permitted; these would be among the deciding policies.
    WouldAllow(Vec<String>),
    /// With them the request would be refused; these would be among the deciding policies.
    WouldDeny(Vec<String>),
}

/// The permission to issue one set of credentials: every argument of `AssumeRole`.
///
/// Its fields are private and only the policy constructs one, so code that issues credentials
/// without a decision does not compile.
#[derive(Debug)]
pub struct Grant {
    role_arn: String,
    account: String,
    session_name: String,
    source_identity: String,
    scope: SessionScope,
    duration: SessionDuration,
    clamped_by: Option<Clamp>,
    rules: Vec<String>,
}

/// What made the granted duration shorter than the requested one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Clamp {
    /// The profile's `max_duration`.
    Profile,
    /// The `@max_duration` of the permitting policies.
    Policy,
    /// The duration that was approved.
    Approval,
    /// The end of an emergency.
    Emergency,
    /// STS: a role session that assumes another role gets an hour at most.
    RoleChaining,
}

impl Clamp {
    /// The value of `X-Sentinel-Clamped-By`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Profile => "profile",
            Self::Policy => "policy",
            Self::Approval => "approval",
            Self::Emergency => "emergency",
            Self::RoleChaining => "role-chaining",
        }
    }
}

impl Grant {
    pub(super) fn new(
        caller: &Caller,
        profile: &Profile,
        marks: &Marks<'_>,
        (duration, clamped_by): (SessionDuration, Option<Clamp>),
        permission: Permission,
    ) -> Self {
        Self {
            role_arn: profile.role_arn.clone(),
            account: profile.account.clone(),
            session_name: caller.session_name_for(marks.request_id.short()),
            source_identity: caller.source_identity(),
            scope: permission.scope.marked(marks),
            duration,
            clamped_by,
            rules: permission.rules,
        }
    }

    /// The role to assume.
    #[must_use]
    pub fn role_arn(&self) -> &str {
        &self.role_arn
    }

    /// The role's account, 12 digits.
    #[must_use]
    pub fn account(&self) -> &str {
        &self.account
    }

    /// The role session's name.
    #[must_use]
    pub fn session_name(&self) -> &str {
        &self.session_name
    }

    /// The SourceIdentity. The session keeps it through every further role that it assumes.
    #[must_use]
    pub fn source_identity(&self) -> &str {
        &self.source_identity
    }

    /// The session's policies and tags.
    #[must_use]
    pub fn scope(&self) -> &SessionScope {
        &self.scope
    }

    /// How long the session lasts.
    #[must_use]
    pub fn duration(&self) -> SessionDuration {
        self.duration
    }

    /// What shortened the session, if anything did.
    #[must_use]
    pub fn clamped_by(&self) -> Option<Clamp> {
        self.clamped_by
    }
}

/// Why the policy refuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The catalogue has no such profile.
    #[error("no such profile")]
    UnknownProfile,
    /// No permit matched.
    #[error("no policy permits it")]
    NoPermit,
    /// A forbid matched.
    #[error("a policy forbids it")]
    Forbidden,
    /// A policy could not be evaluated on this request.
    #[error("a policy failed to evaluate")]
    EvaluationFailed,
    /// A policy permits it, but the session cannot be scoped for this caller as the profile
    /// demands.
    #[error("{0}")]
    Unscopable(Unscopable),
}

/// The public reason of a refusal without one of its own.
pub(super) const NO_PERMIT: &str = "No policy permits this.";

/// A refusal, its rules and its public reasons.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("denied: {refusal}")]
pub struct Denial {
    refusal: Refusal,
    rules: Vec<String>,
    reasons: Vec<String>,
    is_permitted: bool,
}

impl Denial {
    pub(super) fn new(refusal: Refusal, rules: Vec<String>, reasons: Vec<String>) -> Self {
        Self { refusal, rules, reasons, is_permitted: false }
    }

    /// The same denial, with whether a permit matches in spite of it.
    pub(super) fn in_spite_of_permits(self, is_permitted: bool) -> Self {
        Self { is_permitted, ..self }
    }

    /// Whether a permit matches, so that only forbids or the scope stand in the way.
    #[must_use]
    pub fn is_permitted(&self) -> bool {
        self.is_permitted
    }

    /// A refusal without rules or reasons.
    pub(super) fn of(refusal: Refusal) -> Self {
        Self::new(refusal, Vec::new(), Vec::new())
    }

    /// A permit matches, so the caller may know which scopes the profile has.
    pub(super) fn unscopable(why: Unscopable, rules: Vec<String>, scopes: &[ScopeSummary]) -> Self {
        let names: Vec<&str> = scopes.iter().map(|scope| scope.name.as_str()).collect();
        let reason = match (why, names.as_slice()) {
            (Unscopable::NoSuchScope, []) => "This profile has no scopes.".to_owned(),
            (Unscopable::NoSuchScope, names) => {
                format!("This profile has no such scope. It has: {}.", names.join(", "))
            }
            _ => "This profile cannot be given to you as it is set up. Tell your administrators the RequestId.".to_owned(),
        };
        Self::new(Refusal::Unscopable(why), rules, vec![reason]).in_spite_of_permits(true)
    }

    /// Why.
    #[must_use]
    pub fn refusal(&self) -> Refusal {
        self.refusal
    }

    /// The deciding policies' own `@reason`s.
    #[must_use]
    pub fn reasons(&self) -> &[String] {
        &self.reasons
    }

    /// The deciding policies' own `@reason`s. Without any, the message is the same for every
    /// refusal, so that nobody learns which profiles exist.
    #[must_use]
    pub fn public_message(&self) -> Cow<'static, str> {
        if self.reasons.is_empty() { NO_PERMIT.into() } else { self.reasons.join(" ").into() }
    }
}
