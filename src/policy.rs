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
mod rules;
mod scope;
mod session_policy;
mod template;
mod text;
mod unique;

pub use bundle::BundleError;
pub use decision::{Clamp, Decision, Denial, Grant, Refusal, Rehearsal};
pub use explanation::{Explanation, Factor};
pub use scope::{SessionScope, Unscopable};
pub use text::BundleText;

use crate::caller::{Caller, NamedSessionRoles};
use crate::device::Device;
use crate::request::{ProfileName, RequestId, SessionDuration, VendRequest};
use bundle::Bundle;
use catalogue::Profile;
use question::{Circumstances, Question};
use serde::Serialize;
use time::UtcDateTime;

/// What holds for every bundle.
#[derive(Debug, Clone)]
pub struct Terms {
    /// The session's length when the caller names none.
    pub default_duration: SessionDuration,
    /// On which depends which callers there can be.
    pub named_session_roles: NamedSessionRoles,
}

/// The loaded bundle, ready to decide.
#[derive(Debug)]
pub struct Policy {
    bundle: Bundle,
    default_duration: SessionDuration,
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
    /// Checks a bundle, and makes it ready.
    ///
    /// On a thread of its own, because Cedar's parser and validator descend as deep as a policy is nested, and a stack that
    /// overflows ends the process.
    pub fn load(text: &BundleText, terms: &Terms) -> Result<Self, BundleError> {
        const STACK: usize = 32 * 1024 * 1024;
        let parse = || Bundle::parse(text, &terms.named_session_roles);
        let bundle = std::thread::scope(|scope| {
            let thread = std::thread::Builder::new().stack_size(STACK).spawn_scoped(scope, parse);
            let thread = thread.map_err(|error| {
                BundleError(vec![format!("there is no thread to load it: {error}")])
            })?;
            thread.join().unwrap_or_else(|_| {
                Err(BundleError(vec!["loading it failed, a defect of this program".to_owned()]))
            })
        })?;
        Ok(Self { bundle, default_duration: terms.default_duration })
    }

    /// The [digest](BundleText::digest) of the text it was loaded from.
    #[must_use]
    pub fn digest(&self) -> &str {
        &self.bundle.digest
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
        let granted =
            self.evaluate(caller, &request.profile, profile, circumstances).map(|permission| {
                let clamped = permission.clamp(duration, clamped_by);
                Grant::new(caller, (&request.profile, profile), request_id, clamped, permission)
            });
        granted.map_or_else(Decision::Deny, |grant| Decision::Allow(Box::new(grant)))
    }

    /// What the policies in shadow mode would change about a request.
    #[must_use]
    pub fn rehearse(
        &self,
        caller: &Caller,
        request: &VendRequest,
        device: Option<&Device>,
        now: UtcDateTime,
    ) -> Rehearsal {
        let (Some(profile), Some(rules)) =
            (self.bundle.catalogue.get(&request.profile), &self.bundle.with_shadow)
        else {
            return Rehearsal::Nothing;
        };
        let duration = self.wished(request, profile).0;
        let Some(question) = Question::new(
            caller,
            &request.profile,
            profile,
            Circumstances { duration, device, now },
        ) else {
            return Rehearsal::Nothing;
        };
        let verdict = rules.judge(&question);
        match (verdict.shadows(rules), verdict.refusal) {
            (shadows, _) if shadows.is_empty() => Rehearsal::Nothing,
            (shadows, None) => Rehearsal::WouldAllow(shadows),
            (shadows, Some(_)) => Rehearsal::WouldDeny(shadows),
        }
    }

    /// The profiles `caller` could be granted now, by name, without a device.
    #[must_use]
    pub fn grantable(&self, caller: &Caller, now: UtcDateTime) -> Vec<ProfileSummary> {
        let summary = |(name, profile): (&ProfileName, &Profile)| {
            let circumstances = Circumstances {
                duration: clamp(self.default_duration, profile).0,
                device: None,
                now,
            };
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
        let Some(question) = Question::new(caller, name, profile, circumstances) else {
            return Err(Denial::new(Refusal::EvaluationFailed, Vec::new(), Vec::new()));
        };
        let verdict = self.bundle.rules.judge(&question);
        let (rules, deciding) = (verdict.rules(), self.bundle.rules.named(&verdict.deciding));
        match verdict.refusal {
            None => match profile.scope.narrow(caller) {
                Ok(scope) => Ok(Permission {
                    rules,
                    scope,
                    longest: deciding.map(longest_session).max().unwrap_or(SessionDuration::MIN),
                }),
                Err(why) => Err(Denial::unscopable(why, rules)),
            },
            Some(Refusal::Forbidden) => {
                let reasons = deciding
                    .filter_map(|forbid| forbid.annotation("reason").map(str::to_owned))
                    .collect();
                Err(Denial::new(Refusal::Forbidden, rules, reasons))
            }
            Some(refusal) => Err(Denial::new(refusal, rules, Vec::new())),
        }
    }
}

/// What the matching permits allow together.
struct Permission {
    rules: Vec<String>,
    scope: SessionScope,
    /// The longest session that one of them gives.
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
