//! Requests for access and emergencies: making them, listing them, deciding them; and what holds for a
//! vend.
//!
//! Invariants: the policy decides who may request and who may approve. A request that a caller may
//! neither own nor approve looks like one that does not exist.

use super::{App, InFlight};
use crate::access::{
    AccessDraft, AccessId, AccessRequest, Approval, Change, Emergency, NoBody, is_person,
};
use crate::caller::Caller;
use crate::error::Error;
use crate::event::UnreadableInput;
use crate::grants::{AccessError, Grants, GrantsTable, GrantsUnavailable};
use crate::policy::{Approved, Explanation, Factor, Facts, Policy, Refusal};
use crate::request::{InvalidRequest, ProfileName, RouteError, VendRequest};
use crate::response::{AccessView, May};
use time::UtcDateTime;

const SHORT_REASON: UnreadableInput =
    UnreadableInput::Malformed("The reason for an emergency has at least 20 characters.");
const FIXED_LENGTH: UnreadableInput =
    UnreadableInput::Malformed("An emergency lasts four hours: it takes no duration.");

/// What the grants table holds for a caller and a profile. What no policy about the profile reads is
/// not asked for.
#[derive(Debug, Clone, Default)]
pub(super) struct Held {
    approval: Asked<Approval>,
    emergency: Asked<Emergency>,
}

#[derive(Debug, Clone, Default)]
enum Asked<T> {
    #[default]
    Not,
    /// There is no table.
    Off,
    Found(Option<T>),
}

impl Held {
    pub(super) fn approved(&self) -> Approved<'_> {
        match &self.approval {
            Asked::Not | Asked::Off => Approved::Off,
            Asked::Found(None) => Approved::Nothing,
            Asked::Found(Some(approval)) => Approved::Yes(approval),
        }
    }

    pub(super) fn emergency(&self) -> Option<&Emergency> {
        match &self.emergency {
            Asked::Found(Some(emergency)) => Some(emergency),
            Asked::Not | Asked::Off | Asked::Found(None) => None,
        }
    }
}

/// What `read` returns, if it is `wanted`.
async fn asked<T, R: Future<Output = Result<Option<T>, GrantsUnavailable>>>(
    wanted: bool,
    read: impl FnOnce() -> R,
) -> Result<Option<Asked<T>>, GrantsUnavailable> {
    if wanted { Ok(Some(Asked::Found(read().await?))) } else { Ok(None) }
}

impl App {
    /// Asks the grants table for what a policy about the profile reads and `held` does not know: at
    /// most one read for each, at once.
    pub(super) async fn held(
        &self,
        mut held: Held,
        policy: &Policy,
        caller: &Caller,
        profile: &ProfileName,
        now: UtcDateTime,
    ) -> Result<Held, GrantsUnavailable> {
        let approval = matches!(held.approval, Asked::Not) && policy.mentions_approval(profile);
        let emergency = matches!(held.emergency, Asked::Not) && policy.mentions_emergency(profile);
        if !approval && !emergency {
            return Ok(held);
        }
        let Grants::Table(table) = &self.services.grants else {
            return Ok(Held { approval: Asked::Off, emergency: Asked::Off });
        };
        let approvals = asked(approval, || table.approval(caller, profile, now));
        let emergencies = asked(emergency, || table.emergency(caller.principal()));
        let (approval, emergency) =
            Box::pin(async { tokio::try_join!(approvals, emergencies) }).await?;
        held.approval = approval.unwrap_or(held.approval);
        held.emergency = emergency.unwrap_or(held.emergency);
        Ok(held)
    }

    pub(super) async fn break_glass(
        &self,
        request: &mut InFlight<'_>,
        caller: &Caller,
    ) -> Result<Emergency, Error> {
        let draft = AccessDraft::parse(&request.event)?;
        let (table, now) = (self.grants_table()?, request.now);
        if draft.duration.is_some() {
            return Err(InvalidRequest::from(FIXED_LENGTH).into());
        }
        let emergency =
            Emergency::new(caller, draft, now).ok_or(InvalidRequest::from(SHORT_REASON))?;
        if !is_person(caller) {
            return Err(AccessError::NotAPerson.into());
        }
        let policy = self.policy(request).await?;
        let rules = policy.may_break_glass(caller, &emergency, now)?;
        request.record.rules(rules);
        table.take(&emergency).await?;
        request.record.glass_broken(&emergency);
        Ok(emergency)
    }

    pub(super) async fn request_access(
        &self,
        request: &mut InFlight<'_>,
        caller: &Caller,
    ) -> Result<AccessView, Error> {
        let draft = AccessDraft::parse(&request.event)?;
        let table = self.grants_table()?;
        if !is_person(caller) {
            return Err(AccessError::NotAPerson.into());
        }
        let policy = self.policy(request).await?;
        let (profile, now) = (draft.profile.clone(), request.now);
        let asked = VendRequest { duration: draft.duration, ..VendRequest::of(profile) };
        request.record.asked(&asked);
        let duration = draft.duration.unwrap_or(policy.default_duration());
        let access = AccessRequest::new(caller, draft, duration, &request.request_id, now);
        let facts = Facts { approval: Approved::Requested(&access), ..Facts::default() };
        let explained = policy.explain(caller, &asked, facts, now, tokio::task::yield_now).await;
        would_help(explained)?;
        request.record.access("request", &access);
        table.create(&access, now).await?;
        Ok(AccessView::new(access, vec![May::Withdraw], now))
    }

    /// The caller's own requests, and those in force that the caller may decide.
    pub(super) async fn list_access(
        &self,
        request: &mut InFlight<'_>,
        caller: &Caller,
    ) -> Result<Vec<AccessView>, Error> {
        let table = self.grants_table()?;
        let policy = self.policy(request).await?;
        let (now, mut views) = (request.now, Vec::new());
        for access in table.newest().await.map_err(AccessError::from)? {
            let is_own = access.requester.has_arn_of(caller);
            let candidates: &[_] = if !access.is_in_force(now) {
                &[]
            } else if is_own {
                &[(Change::Withdraw, May::Withdraw)]
            } else if another_person_may_decide(&policy, caller, &access, now).is_ok() {
                &[(Change::Approve, May::Approve), (Change::Deny, May::Deny)]
            } else {
                &[]
            };
            let possible = candidates.iter().filter(|(change, _)| access.permits(*change, now));
            let may: Vec<_> = possible.map(|(_, may)| *may).collect();
            if is_own || !may.is_empty() {
                views.push(AccessView::new(access, may, now));
            }
            tokio::task::yield_now().await;
        }
        Ok(views)
    }

    pub(super) async fn change_access(
        &self,
        request: &mut InFlight<'_>,
        caller: &Caller,
        change: Change,
    ) -> Result<AccessView, Error> {
        NoBody::parse(&request.event)?;
        let table = self.grants_table()?;
        let now = request.now;
        let id = access_id(&request.event.path()).ok_or(AccessError::Unknown)?;
        let access = table.find(id).await?;
        // First, so that the audit line of a refusal says which request it was.
        request.record.access(change.name(), &access);
        let is_own = access.requester.has_arn_of(caller);
        if change == Change::Withdraw {
            if !is_own {
                return Err(AccessError::Unknown.into());
            }
        } else {
            let policy = self.policy(request).await?;
            if is_own {
                return Err(AccessError::OwnRequest.into());
            }
            let rules = another_person_may_decide(&policy, caller, &access, now)?;
            request.record.rules(rules);
        }
        let changed = table.change(access, change, caller.principal(), now).await?;
        request.record.access(change.name(), &changed);
        Ok(AccessView::new(changed, Vec::new(), now))
    }

    fn grants_table(&self) -> Result<&GrantsTable, Error> {
        match &self.services.grants {
            Grants::Table(table) => Ok(table),
            Grants::Off => Err(RouteError::NotFound.into()),
        }
    }
}

/// The permits by which `caller` may decide a request of somebody else.
///
/// The policy comes first: only those with a matching permit learn that there is such a request, also
/// from the reason of a `forbid`.
fn another_person_may_decide(
    policy: &Policy,
    caller: &Caller,
    access: &AccessRequest,
    now: UtcDateTime,
) -> Result<Vec<String>, Error> {
    let rules = policy.may_decide(caller, access, now).map_err(|denial| {
        let is_told = denial.is_permitted() && !denial.reasons().is_empty();
        if denial.refusal() == Refusal::Forbidden && is_told {
            Error::Denied(denial)
        } else {
            Error::Access(AccessError::Unknown)
        }
    })?;
    if !is_person(caller) {
        Err(AccessError::NotAPerson.into())
    } else if access.requester.may_be(caller) {
        Err(AccessError::OwnRequest.into())
    } else {
        Ok(rules)
    }
}

/// Refuses a request for access that no approval would turn into credentials.
fn would_help(explained: Explanation) -> Result<(), Error> {
    if explained.allowed {
        Err(AccessError::NotNeeded.into())
    } else if explained.missing.contains(&Factor::Approval) {
        Ok(())
    } else {
        Err(explained.into_denial().into())
    }
}

/// The id in `/v1/requests/ID/approve` and the like.
fn access_id(path: &str) -> Option<AccessId> {
    AccessId::parse(path.strip_prefix("/v1/requests/")?.split('/').next()?)
}
