//! Decisions that are not about credentials: who may approve, and who may break the glass.
//!
//! Invariant: a permit counts only if its scope names the action.

use super::cedar_request::{Action, CedarRequest, RequestContext};
use super::facts::in_force;
use super::{Denial, Facts, Policy, Refusal, denial};
use crate::access::{AccessRequest, EMERGENCY, Emergency};
use crate::caller::Caller;
use crate::request::{ProfileName, SessionDuration, VendRequest};
use time::UtcDateTime;

impl Policy {
    /// Whether `caller` may approve or deny a request for access: the names of the permits.
    ///
    /// # Errors
    /// Why not. A profile that does not exist any more is a denial.
    pub fn may_decide(
        &self,
        caller: &Caller,
        access: &AccessRequest,
        now: UtcDateTime,
    ) -> Result<Vec<String>, Denial> {
        let action = Action::Approve(access);
        self.may(caller, &access.profile, access.duration, action, now)
    }

    /// Whether `caller` may take an emergency: the names of the permits.
    ///
    /// # Errors
    /// Why not. A profile whose policies do not read `context.emergency` is a denial: an emergency
    /// would not open it.
    pub fn may_break_glass(
        &self,
        caller: &Caller,
        emergency: &Emergency,
        now: UtcDateTime,
    ) -> Result<Vec<String>, Denial> {
        if !self.mentions_emergency(&emergency.profile) {
            return Err(Denial::of(Refusal::NoPermit));
        }
        let seconds = u32::try_from(EMERGENCY.whole_seconds()).ok();
        let duration = seconds.and_then(SessionDuration::from_seconds);
        let duration = duration.unwrap_or(SessionDuration::CHAINED_MAX);
        self.may(caller, &emergency.profile, duration, Action::BreakGlass(emergency), now)
    }

    /// The emergency in `facts`, if it is in force for this caller and profile.
    #[must_use]
    pub fn emergency_in_force<'a>(
        &self,
        caller: &Caller,
        request: &VendRequest,
        facts: Facts<'a>,
        now: UtcDateTime,
    ) -> Option<&'a Emergency> {
        let profile = self.bundle.catalogue.get(&request.profile)?;
        in_force(facts.emergency, caller, profile, now)
    }

    fn may(
        &self,
        caller: &Caller,
        profile: &ProfileName,
        duration: SessionDuration,
        action: Action<'_>,
        now: UtcDateTime,
    ) -> Result<Vec<String>, Denial> {
        let profile = self
            .bundle
            .catalogue
            .get(profile)
            .ok_or_else(|| Denial::of(Refusal::UnknownProfile))?;
        let context = RequestContext::of(action, duration, now);
        let asked = CedarRequest::new(caller, profile, context)
            .ok_or_else(|| Denial::of(Refusal::EvaluationFailed))?;
        let rules = &self.bundle.approving;
        let evaluation = rules.evaluate(&asked);
        match evaluation.refusal {
            None => Ok(evaluation.rules()),
            Some(refusal) => Err(denial(refusal, &evaluation, rules)),
        }
    }
}
