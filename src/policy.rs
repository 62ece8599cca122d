//! The decision: who may have which profile, and when.
//!
//! A bundle is a catalogue (`profiles.toml`) and Cedar policies. It is checked as a whole, and does
//! not load with an error.
//!
//! Invariants:
//! - Without a matching `permit` there is no grant.
//! - A policy that fails to evaluate refuses the request. Cedar alone would skip it, even if it is
//!   a `forbid`.
//! - Only this module makes a [`Grant`], and only a grant can be turned into credentials.

mod annotations;
mod bundle;
mod catalogue;
mod cedar_request;
mod claimed_only;
mod decision;
mod explanation;
mod facts;
mod files;
mod iam_json;
mod may;
mod mentions;
mod named_scope;
mod patterns;
mod policy_arns;
mod references;
mod rules;
mod scope;
mod session_policy;
mod template;
mod temporal;

pub use bundle::BundleError;
pub use decision::{Clamp, Decision, Denial, Grant, Refusal, Shadow};
pub use explanation::{Explanation, Factor};
pub use facts::{Approved, Facts};
pub use files::BundleFiles;
pub use scope::{SessionScope, Unscopable};

use crate::caller::{Caller, NamedSessionRoles};
use crate::request::{ProfileName, RequestId, ScopeName, SessionDuration, VendRequest};
use bundle::Bundle;
use catalogue::Profile;
use cedar_request::{Action, CedarRequest, RequestContext};
use facts::in_force;
use rules::{Evaluation, Rules};
use scope::Marks;
use serde::Serialize;
use time::UtcDateTime;

/// The settings that apply to every bundle.
#[derive(Debug, Clone)]
pub struct BundleOptions {
    /// The session's length when the caller names none.
    pub default_duration: SessionDuration,
    /// Roles whose session names identify people.
    pub named_session_roles: NamedSessionRoles,
}

/// A loaded bundle, ready to decide.
#[derive(Debug)]
pub struct Policy {
    bundle: Bundle,
    default_duration: SessionDuration,
}

/// A profile, as `/v1/profiles` shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ProfileSummary {
    /// The name to request.
    pub name: ProfileName,
    /// What it is for.
    pub description: String,
    /// The longest session, in seconds.
    pub max_duration: u32,
    /// The scopes to ask for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub scopes: Vec<ScopeSummary>,
}

/// A scope of a profile, as `/v1/profiles` shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ScopeSummary {
    /// The name to ask for.
    pub name: ScopeName,
    /// What it is for.
    pub description: String,
}

impl Policy {
    /// Checks a bundle and loads it.
    ///
    /// This runs on a thread with a large stack: Cedar's parser and validator recurse as deep as a
    /// policy is nested, and a stack overflow would end the process.
    pub fn load(files: &BundleFiles, options: &BundleOptions) -> Result<Self, BundleError> {
        const STACK: usize = 32 * 1024 * 1024;
        let parse = || Bundle::parse(files, &options.named_session_roles);
        let bundle = std::thread::scope(|scope| {
            let thread = std::thread::Builder::new().stack_size(STACK).spawn_scoped(scope, parse);
            let thread = thread.map_err(|error| {
                BundleError(vec![format!("there is no thread to load it: {error}")])
            })?;
            thread.join().unwrap_or_else(|_| {
                Err(BundleError(vec!["loading it failed, a defect of this program".to_owned()]))
            })
        })?;
        Ok(Self { bundle, default_duration: options.default_duration })
    }

    /// The [digest](BundleFiles::digest) of its files.
    #[must_use]
    pub fn digest(&self) -> &str {
        &self.bundle.digest
    }

    /// Remarks that do not keep the bundle from loading, such as a `permit` for a profile that does
    /// not exist.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        &self.bundle.warnings
    }

    /// The policies that decide about credentials: all but those in shadow mode.
    #[must_use]
    pub fn vending_rules(&self) -> &cedar_policy::PolicySet {
        self.bundle.rules.all()
    }

    /// The policies that decide who may approve.
    #[must_use]
    pub fn approving_rules(&self) -> &cedar_policy::PolicySet {
        self.bundle.approving.all()
    }

    /// The number of profiles in the catalogue.
    #[must_use]
    pub fn profile_count(&self) -> usize {
        self.bundle.catalogue.len()
    }

    /// The session's length when the caller names none.
    #[must_use]
    pub fn default_duration(&self) -> SessionDuration {
        self.default_duration
    }

    /// Whether a policy about `profile` reads `context.approval`.
    #[must_use]
    pub fn mentions_approval(&self, profile: &ProfileName) -> bool {
        self.bundle.mentions.approval.contains(profile)
    }

    /// Whether a policy about `profile` reads `context.emergency`.
    #[must_use]
    pub fn mentions_emergency(&self, profile: &ProfileName) -> bool {
        self.bundle.mentions.emergency.contains(profile)
    }

    /// Decides one request, with `facts`, which may be the caller's device alone. `request_id`
    /// becomes part of the session's name and tags.
    ///
    /// Also returns what the policies in shadow mode would decide.
    #[must_use]
    pub fn decide<'a>(
        &self,
        caller: &Caller,
        request: &VendRequest,
        facts: impl Into<Facts<'a>>,
        request_id: &RequestId,
        now: UtcDateTime,
    ) -> (Decision, Shadow) {
        let denied = |refusal| (Decision::Deny(Denial::of(refusal)), Shadow::Nothing);
        let Some(profile) = self.bundle.catalogue.get(&request.profile) else {
            return denied(Refusal::UnknownProfile);
        };
        let facts = facts.into();
        let (duration, clamped_by) = self.requested(caller, request, profile, &facts, now);
        let context = RequestContext {
            device: facts.device,
            approval: facts.approval.approval(),
            emergency: in_force(facts.emergency, caller, profile, now),
            ..RequestContext::of(Action::Vend(Some(request)), duration, now)
        };
        let Some(asked) = CedarRequest::new(caller, profile, context) else {
            return denied(Refusal::EvaluationFailed);
        };
        let scope = request.scope.as_ref();
        let decision = match self.evaluate(caller, profile, scope, &asked) {
            Ok(permission) => {
                let marks = Marks {
                    profile: &profile.name,
                    request_id,
                    approval: context.approval.and_then(|approval| approval.id),
                    emergency: context.emergency.map(|emergency| emergency.began_at),
                    scope,
                    claims: &request.claims,
                };
                let clamped = permission.clamp(duration, clamped_by);
                Decision::Allow(Box::new(Grant::new(caller, profile, &marks, clamped, permission)))
            }
            Err(denial) => Decision::Deny(denial),
        };
        (decision, self.shadow(&asked))
    }

    /// The profiles that `caller` could be granted now without a device, an approval, a scope or a
    /// claim, by name.
    ///
    /// Awaits `between` after each evaluation, so that a time limit can end a long list.
    pub async fn grantable(
        &self,
        caller: &Caller,
        now: UtcDateTime,
        between: impl AsyncFn(),
    ) -> Vec<ProfileSummary> {
        let mut grantable = Vec::new();
        for profile in self.bundle.catalogue.values() {
            let duration = clamp(self.default_duration, profile).0;
            let context = RequestContext::of(Action::Vend(None), duration, now);
            if let Ok(permission) = self.permission(caller, profile, context) {
                let longest = permission.clamp(profile.longest_session(), None).0;
                grantable.push(ProfileSummary {
                    name: profile.name.clone(),
                    description: profile.description.clone(),
                    max_duration: longest.seconds(),
                    scopes: profile.scope.summaries(),
                });
            }
            between().await;
        }
        grantable
    }

    /// The requested duration within the limits of the profile, the approval and the emergency, and
    /// what shortened it.
    fn requested(
        &self,
        caller: &Caller,
        request: &VendRequest,
        profile: &Profile,
        facts: &Facts<'_>,
        now: UtcDateTime,
    ) -> (SessionDuration, Option<Clamp>) {
        let mut clamped = clamp(request.duration.unwrap_or(self.default_duration), profile);
        let approved = facts.approval.approval().map(|approval| approval.duration);
        let left = facts
            .emergency
            .and_then(|emergency| emergency.longest_session(caller, &profile.name, now));
        for (longest, clamp) in [(approved, Clamp::Approval), (left, Clamp::Emergency)] {
            if let Some(longest) = longest.filter(|longest| *longest < clamped.0) {
                clamped = (longest, Some(clamp));
            }
        }
        clamped
    }

    /// What the matching permits allow, or why the request is denied.
    fn permission(
        &self,
        caller: &Caller,
        profile: &Profile,
        context: RequestContext<'_>,
    ) -> Result<Permission, Denial> {
        let asked = CedarRequest::new(caller, profile, context)
            .ok_or_else(|| Denial::of(Refusal::EvaluationFailed))?;
        self.evaluate(caller, profile, context.action.scope(), &asked)
    }

    fn evaluate(
        &self,
        caller: &Caller,
        profile: &Profile,
        scope: Option<&ScopeName>,
        asked: &CedarRequest,
    ) -> Result<Permission, Denial> {
        let evaluation = self.bundle.rules.evaluate(asked);
        let (rules, deciding) = (evaluation.rules(), self.bundle.rules.named(&evaluation.deciding));
        match evaluation.refusal {
            None => {
                let longest = deciding.map(longest_session).max().unwrap_or(SessionDuration::MIN);
                match profile.scope.narrow(caller, scope) {
                    Ok(scope) => Ok(Permission { rules, scope, longest }),
                    Err(why) => Err(Denial::unscopable(why, rules, &profile.scope.summaries())),
                }
            }
            Some(refusal) => Err(denial(refusal, &evaluation, &self.bundle.rules)),
        }
    }

    /// What the policies in shadow mode would decide.
    fn shadow(&self, asked: &CedarRequest) -> Shadow {
        let Some(rules) = &self.bundle.with_shadow else {
            return Shadow::Nothing;
        };
        let evaluation = rules.evaluate(asked);
        match (evaluation.shadows(rules), evaluation.refusal) {
            (shadows, _) if shadows.is_empty() => Shadow::Nothing,
            (shadows, None) => Shadow::WouldAllow(shadows),
            (shadows, Some(_)) => Shadow::WouldDeny(shadows),
        }
    }
}

/// The denial that an evaluation of `all` ends in.
fn denial(refusal: Refusal, evaluation: &Evaluation, all: &Rules) -> Denial {
    let reason =
        |policy: &cedar_policy::Policy| annotations::value(policy, "reason").map(str::to_owned);
    let reasons = match refusal {
        Refusal::Forbidden => all.named(&evaluation.deciding).filter_map(reason).collect(),
        _ => Vec::new(),
    };
    let denial = Denial::new(refusal, evaluation.rules(), reasons);
    denial.in_spite_of_permits(evaluation.is_permitted)
}

/// What the matching permits allow together.
struct Permission {
    rules: Vec<String>,
    scope: SessionScope,
    /// The longest session that one of them allows.
    longest: SessionDuration,
}

impl Permission {
    fn clamp(
        &self,
        duration: SessionDuration,
        clamped_by: Option<Clamp>,
    ) -> (SessionDuration, Option<Clamp>) {
        if duration <= self.longest {
            (duration, clamped_by)
        } else {
            (self.longest, Some(Clamp::Policy))
        }
    }
}

fn longest_session(permit: &cedar_policy::Policy) -> SessionDuration {
    annotations::max_duration(permit).unwrap_or(SessionDuration::CHAINED_MAX)
}

/// The granted duration for a requested one, and what shortened it.
fn clamp(requested: SessionDuration, profile: &Profile) -> (SessionDuration, Option<Clamp>) {
    let longest = profile.longest_session();
    if requested <= longest {
        (requested, None)
    } else if longest < SessionDuration::CHAINED_MAX {
        (longest, Some(Clamp::Profile))
    } else {
        (longest, Some(Clamp::RoleChaining))
    }
}

#[cfg(test)]
mod tests;
