//! The decision: who may have which profile, and when.
//!
//! A bundle is a catalogue (`profiles.toml`) and Cedar policies, checked as a whole when it is loaded; one that has any
//! error never loads. Invariants: without a matching `permit` there is no grant; a policy that fails to evaluate refuses the
//! request, as Cedar would otherwise skip a `forbid` that fails; and a [`Grant`] can be made nowhere but here, while nothing
//! else can be turned into credentials.

mod annotations;
mod bundle;
mod catalogue;
mod dangling;
mod decision;
mod explanation;
mod question;

pub use bundle::BundleError;
pub use decision::{Clamp, Decision, Denial, Grant, Refusal, Rehearsal};
pub use explanation::{Explanation, Factor};

use crate::caller::{Caller, NamedSessionRoles};
use crate::device::Device;
use crate::request::{ProfileName, RequestId, SessionDuration, VendRequest};
use bundle::{Bundle, policy_name};
use catalogue::Profile;
use cedar_policy::{AuthorizationError, Authorizer, PolicyId, Response};
use question::Circumstances;
use serde::Serialize;
use std::path::Path;
use time::UtcDateTime;

/// The loaded bundle, ready to decide.
#[derive(Debug)]
pub struct Policy {
    bundle: Bundle,
    default_duration: SessionDuration,
    authorizer: Authorizer,
}

/// A profile as its possible users see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ProfileSummary {
    /// The name to ask for.
    pub name: ProfileName,
    /// What it is for.
    pub description: String,
    /// The longest session it gives, in seconds.
    pub max_duration: u32,
}

impl Policy {
    /// Loads the bundle in `directory`: `profiles.toml` and `*.cedar`. Which callers there can be depends on `named`.
    pub fn from_directory(
        directory: &Path,
        default_duration: SessionDuration,
        named: &NamedSessionRoles,
    ) -> Result<Self, BundleError> {
        let bundle = Bundle::from_directory(directory, named)?;
        Ok(Self { bundle, default_duration, authorizer: Authorizer::new() })
    }

    /// Remarks on a bundle that loads, such as a rule about a profile that does not exist.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        &self.bundle.warnings
    }

    /// How many profiles the catalogue has.
    #[must_use]
    pub fn profile_count(&self) -> usize {
        self.bundle.catalogue.len()
    }

    /// The session's length when the caller names none.
    #[must_use]
    pub fn default_duration(&self) -> SessionDuration {
        self.default_duration
    }

    /// Decides one request, from `device` if it is known. `request_id` goes into the session's name and tags.
    #[must_use]
    pub fn decide(
        &self,
        caller: &Caller,
        request: &VendRequest,
        device: Option<&Device>,
        request_id: &RequestId,
        now: UtcDateTime,
    ) -> Decision {
        let Some(profile) = self.bundle.catalogue.get(&request.profile) else {
            return Decision::Deny(Denial::new(Refusal::UnknownProfile, Vec::new(), Vec::new()));
        };
        let (duration, clamped_by) = self.wished(request, profile);
        let circumstances = Circumstances { duration, device, now };
        match self.evaluate(caller, &request.profile, profile, circumstances) {
            Ok(permission) => {
                let (duration, clamped_by) = permission.clamp(duration, clamped_by);
                let rules = permission.rules;
                let grant = Grant::new(caller, &request.profile, profile, request_id, duration, clamped_by, rules);
                Decision::Allow(Box::new(grant))
            }
            Err(denial) => Decision::Deny(denial),
        }
    }

    /// What the policies in shadow mode would change about a request.
    #[must_use]
    pub fn rehearse(&self, caller: &Caller, request: &VendRequest, device: Option<&Device>, now: UtcDateTime) -> Rehearsal {
        let Some(profile) = self.bundle.catalogue.get(&request.profile).filter(|_| self.bundle.has_shadow()) else {
            return Rehearsal::Nothing;
        };
        let duration = self.wished(request, profile).0;
        let Some((question, entities)) =
            question::ask(caller, &request.profile, profile, Circumstances { duration, device, now })
        else {
            return Rehearsal::Nothing;
        };
        let response = self.authorizer.is_authorized(&question, &self.bundle.with_shadow, &entities);
        let is_shadow = |id: &&&PolicyId| self.bundle.with_shadow.policy(id).is_some_and(annotations::is_shadow);
        let rules: Vec<String> = deciding(&response).iter().filter(is_shadow).map(|id| policy_name(id)).collect();
        match refusal(&response) {
            _ if rules.is_empty() => Rehearsal::Nothing,
            None => Rehearsal::WouldAllow(rules),
            Some(_) => Rehearsal::WouldDeny(rules),
        }
    }

    /// The profiles `caller` could be granted now, by name, without a device.
    #[must_use]
    pub fn grantable(&self, caller: &Caller, now: UtcDateTime) -> Vec<ProfileSummary> {
        let summary = |(name, profile): (&ProfileName, &Profile)| {
            let circumstances = Circumstances { duration: clamp(self.default_duration, profile).0, device: None, now };
            let permission = self.evaluate(caller, name, profile, circumstances).ok()?;
            let longest = permission.clamp(profile.longest_session(), None).0;
            let (name, description) = (name.clone(), profile.description.clone());
            Some(ProfileSummary { name, description, max_duration: longest.seconds() })
        };
        self.bundle.catalogue.iter().filter_map(summary).collect()
    }

    /// The duration that a request asks for, as far as the profile gives it, and what shortened it.
    fn wished(&self, request: &VendRequest, profile: &Profile) -> (SessionDuration, Option<Clamp>) {
        clamp(request.duration.unwrap_or(self.default_duration), profile)
    }

    /// What the matching permits allow, or why it is denied.
    fn evaluate(
        &self,
        caller: &Caller,
        name: &ProfileName,
        profile: &Profile,
        circumstances: Circumstances<'_>,
    ) -> Result<Permission, Denial> {
        let Some((request, entities)) = question::ask(caller, name, profile, circumstances) else {
            return Err(Denial::new(Refusal::EvaluationFailed, Vec::new(), Vec::new()));
        };
        let response = self.authorizer.is_authorized(&request, &self.bundle.policies, &entities);
        let deciding = deciding(&response);
        let rules = deciding.iter().map(|id| policy_name(id)).collect();
        match refusal(&response) {
            None => {
                let permits = deciding.iter().filter_map(|id| self.bundle.policies.policy(id));
                Ok(Permission { rules, longest: permits.map(longest_session).max().unwrap_or(SessionDuration::MIN) })
            }
            Some(Refusal::Forbidden) => {
                let reason = |id: &&PolicyId| self.bundle.policies.policy(id)?.annotation("reason").map(str::to_owned);
                Err(Denial::new(Refusal::Forbidden, rules, deciding.iter().filter_map(reason).collect()))
            }
            Some(refusal) => Err(Denial::new(refusal, rules, Vec::new())),
        }
    }
}

/// What the matching permits allow together.
struct Permission {
    rules: Vec<String>,
    /// The longest session that one of them gives.
    longest: SessionDuration,
}

impl Permission {
    fn clamp(&self, duration: SessionDuration, clamped_by: Option<Clamp>) -> (SessionDuration, Option<Clamp>) {
        if duration <= self.longest { (duration, clamped_by) } else { (self.longest, Some(Clamp::Policy)) }
    }
}

fn longest_session(permit: &cedar_policy::Policy) -> SessionDuration {
    annotations::max_duration(permit).unwrap_or(SessionDuration::CHAINED_MAX)
}

/// The policies that made the decision, in order: those that failed to evaluate, if any did.
fn deciding(response: &Response) -> Vec<&PolicyId> {
    let failed = response.diagnostics().errors().map(|AuthorizationError::PolicyEvaluationError(error)| error.policy_id());
    let mut deciding: Vec<&PolicyId> = failed.collect();
    if deciding.is_empty() {
        deciding.extend(response.diagnostics().reason());
    }
    deciding.sort();
    deciding
}

fn refusal(response: &Response) -> Option<Refusal> {
    let diagnostics = response.diagnostics();
    if diagnostics.errors().next().is_some() {
        Some(Refusal::EvaluationFailed)
    } else if response.decision() == cedar_policy::Decision::Allow {
        None
    } else if diagnostics.reason().next().is_some() {
        Some(Refusal::Forbidden)
    } else {
        Some(Refusal::NoPermit)
    }
}

/// The duration granted for a wish, and what shortened it.
fn clamp(wish: SessionDuration, profile: &Profile) -> (SessionDuration, Option<Clamp>) {
    let longest = profile.longest_session();
    if wish <= longest {
        (wish, None)
    } else if longest < SessionDuration::CHAINED_MAX {
        (longest, Some(Clamp::Profile))
    } else {
        (longest, Some(Clamp::RoleChaining))
    }
}

#[cfg(test)]
mod tests;
