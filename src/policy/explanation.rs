//! The caller's own dry run: would a request be granted, and what is missing if not.
//!
//! What is missing is found by evaluating the request again: with a compliant device of the caller's
//! own, with an approval, at the times of the coming week at which a policy can change its answer, and
//! with several of these.
//! Invariant: the answer holds only public reasons, durations and kinds of missing things. It holds
//! no rule's name or text. A profile that does not exist looks like one that nothing permits.

use super::cedar_request::{Action, CedarRequest, RequestContext};
use super::decision::NO_PERMIT;
use super::facts::in_force;
use super::temporal::Boundaries;
use super::{Approved, Clamp, Denial, Facts, Permission, Policy, Profile, Refusal};
use crate::access::{Approval, CLAIM_WINDOW};
use crate::caller::Caller;
use crate::claims::{Reason, Ticket};
use crate::device::Device;
use crate::request::{ProfileName, SessionDuration, VendRequest};
use serde::Serialize;
use std::collections::BTreeSet;
use time::UtcDateTime;

/// The result that a request for credentials would have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// The requested profile.
    pub profile: ProfileName,
    /// Whether it would be granted.
    pub allowed: bool,
    /// Why not: the policies' own `@reason`s, or that no policy permits it.
    pub reasons: Vec<String>,
    /// How long the session would last, if the request would be granted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration: Option<SessionDuration>,
    /// What would make the session shorter than requested.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clamped_by: Option<Clamp>,
    /// What would suffice: with all of these the request would be granted.
    pub missing: Vec<Factor>,
    /// What would still stand in the way with a device and at another time: the `@reason`s of the
    /// policies that would refuse even then.
    pub obstacles: Vec<String>,
}

/// Something that a request lacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Factor {
    /// A device of the caller's own that is managed, compliant and recently seen.
    Device,
    /// The approval of another person.
    Approval,
    /// Another hour, or another day.
    Time,
}

impl Explanation {
    /// A refusal because a device is required, whatever the policies decide.
    pub(crate) fn without_device(profile: ProfileName, reason: String) -> Self {
        Self { reasons: vec![reason], missing: vec![Factor::Device], ..Self::denied(profile) }
    }

    /// The denial of a request that nothing would turn into a grant.
    pub(crate) fn into_denial(self) -> Denial {
        let reasons = self.reasons.into_iter().filter(|reason| reason != NO_PERMIT).collect();
        Denial::new(Refusal::NoPermit, Vec::new(), reasons)
    }

    fn denied(profile: ProfileName) -> Self {
        Self {
            profile,
            allowed: false,
            reasons: vec![NO_PERMIT.to_owned()],
            duration: None,
            clamped_by: None,
            missing: Vec::new(),
            obstacles: Vec::new(),
        }
    }
}

impl Policy {
    /// The result that a request at `now` would have, with `facts`, which may be the caller's device
    /// alone.
    ///
    /// Awaits `between` after each evaluation, so that a time limit can end a long search.
    pub async fn explain<'a>(
        &self,
        caller: &Caller,
        request: &VendRequest,
        facts: impl Into<Facts<'a>>,
        now: UtcDateTime,
        between: impl AsyncFn(),
    ) -> Explanation {
        let denied = Explanation::denied(request.profile.clone());
        let Some(profile) = self.bundle.catalogue.get(&request.profile) else {
            return denied;
        };
        let facts = facts.into();
        let (duration, clamped_by) = self.requested(caller, request, profile, &facts, now);
        let mut dry_run =
            DryRun { policy: self, caller, profile, request, duration, facts, permitted: None };
        match dry_run.evaluate(&[], now) {
            Ok(permission) => {
                let (duration, clamped_by) = permission.clamp(duration, clamped_by);
                let duration = Some(duration);
                Explanation { allowed: true, reasons: Vec::new(), duration, clamped_by, ..denied }
            }
            Err(denial) => {
                let missing = dry_run.missing(now, between).await;
                let reasons = denial.reasons().to_vec();
                match (missing, dry_run.permitted) {
                    (missing @ [_, ..], _) if reasons.is_empty() => {
                        Explanation { missing: missing.to_vec(), ..denied }
                    }
                    (missing @ [_, ..], _) => {
                        Explanation { reasons, missing: missing.to_vec(), ..denied }
                    }
                    ([], Some(obstacles)) => Explanation { reasons, obstacles, ..denied },
                    ([], None) => denied,
                }
            }
        }
    }
}

/// Evaluations of one request under different circumstances.
struct DryRun<'a> {
    policy: &'a Policy,
    caller: &'a Caller,
    profile: &'a Profile,
    request: &'a VendRequest,
    duration: SessionDuration,
    facts: Facts<'a>,
    /// The reasons of the newest refusal in spite of a matching permit; `None` if no permit ever
    /// matched.
    permitted: Option<Vec<String>>,
}

/// What could be missing, the fewest things first.
const MISSING: [&[Factor]; 7] = [
    &[Factor::Device],
    &[Factor::Approval],
    &[Factor::Time],
    &[Factor::Device, Factor::Approval],
    &[Factor::Device, Factor::Time],
    &[Factor::Approval, Factor::Time],
    &[Factor::Device, Factor::Approval, Factor::Time],
];

impl DryRun<'_> {
    /// The fewest things that would turn the refusal into a grant.
    async fn missing(&mut self, now: UtcDateTime, between: impl AsyncFn()) -> &'static [Factor] {
        let times = self.boundaries(now, &between).await.in_the_week_after(now);
        let (today, approvable) = (BTreeSet::from([now]), self.is_approvable());
        for missing in MISSING {
            if missing.contains(&Factor::Approval) && !approvable {
                continue;
            }
            let times = if missing.contains(&Factor::Time) { &times } else { &today };
            if self.is_granted_at(missing, times, &between).await {
                return missing;
            }
        }
        &[]
    }

    /// Whether an approval could change anything.
    fn is_approvable(&self) -> bool {
        matches!(self.facts.approval, Approved::Nothing | Approved::Requested(_))
            && self.policy.mentions_approval(&self.profile.name)
    }

    async fn is_granted_at(
        &mut self,
        added: &[Factor],
        times: &BTreeSet<UtcDateTime>,
        between: &impl AsyncFn(),
    ) -> bool {
        for now in times {
            if self.evaluate(added, *now).is_ok() {
                return true;
            }
            between().await;
        }
        false
    }

    fn evaluate(&mut self, added: &[Factor], now: UtcDateTime) -> Result<Permission, Denial> {
        let has = |factor| added.contains(&factor);
        let compliant = has(Factor::Device).then(|| compliant(self.caller, now));
        let supposed = match self.facts.approval {
            Approved::Requested(request) => Some(request.if_approved(APPROVER, now)),
            Approved::Off | Approved::Nothing | Approved::Yes(_) => approved(self.duration, now),
        };
        let approved = supposed.filter(|_| has(Factor::Approval));
        let context = RequestContext {
            device: compliant.as_ref().or(self.facts.device),
            approval: approved.as_ref().or(self.facts.approval.approval()),
            emergency: in_force(self.facts.emergency, self.caller, self.profile, now),
            ..RequestContext::of(Action::Vend(Some(self.request)), self.duration, now)
        };
        let result = self.policy.permission(self.caller, self.profile, context);
        if let Err(denial) = &result
            && denial.is_permitted()
        {
            self.permitted = Some(denial.reasons().to_vec());
        }
        result
    }

    /// The times at which the policies that can apply to this request change their answers.
    async fn boundaries(&self, now: UtcDateTime, between: &impl AsyncFn()) -> Boundaries {
        let mut boundaries = Boundaries::default();
        let context = RequestContext::of(Action::Vend(Some(self.request)), self.duration, now);
        if let Some(request) = CedarRequest::new(self.caller, self.profile, context) {
            for policy in self.policy.bundle.rules.applicable(&request) {
                boundaries.add(policy);
                between().await;
            }
        }
        boundaries
    }
}

/// A device of the caller's own that no reasonable rule refuses.
fn compliant(caller: &Caller, now: UtcDateTime) -> Device {
    Device {
        managed: true,
        compliant: true,
        owner: Some(caller.name().to_ascii_lowercase()),
        last_seen: Some(now),
        os_version: None,
        provider: "jamf",
    }
}

/// The principal of an approval that is only supposed.
const APPROVER: &str = "arn:aws:iam::000000000000:user/approver";

/// An approval that no reasonable rule refuses, of a request that nobody has made yet.
fn approved(duration: SessionDuration, now: UtcDateTime) -> Option<Approval> {
    Some(Approval {
        id: None,
        by: APPROVER.to_owned(),
        reason: Reason::parse("supposed")?,
        ticket: Ticket::parse("supposed"),
        duration,
        approved_at: now,
        expires_at: now + CLAIM_WINDOW,
    })
}
