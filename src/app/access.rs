//! Requests for access: making them, listing them, deciding them; and what is approved for a vend.
//!
//! Invariants: the policy decides who may request and who may approve. A request that a caller may
//! neither own nor approve looks like one that does not exist.

use super::{App, InFlight};
use crate::access::{AccessDraft, AccessId, AccessRequest, Approval, Change, NoBody, is_person};
use crate::caller::Caller;
use crate::error::Error;
use crate::grants::{AccessError, Grants, GrantsTable, GrantsUnavailable};
use crate::policy::{Approved, Explanation, Factor, Facts, Policy, Refusal};
use crate::request::{ProfileName, RouteError, VendRequest};
use crate::response::{AccessView, May};
use time::UtcDateTime;

/// What the grants table holds for a caller and a profile.
#[derive(Debug, Clone)]
pub(super) enum Held {
    /// Nothing was asked: no policy about the profile reads it.
    NotAsked,
    /// Nobody can approve anything.
    Off,
    /// This approval, or none.
    Approval(Option<Approval>),
}

impl Held {
    pub(super) fn approved(&self) -> Approved<'_> {
        match self {
            Self::NotAsked | Self::Off => Approved::Off,
            Self::Approval(None) => Approved::Nothing,
            Self::Approval(Some(approval)) => Approved::Yes(approval),
        }
    }
}

impl App {
    /// Asks the grants table, if a policy about the profile reads what it holds: one read.
    pub(super) async fn held(
        &self,
        policy: &Policy,
        caller: &Caller,
        profile: &ProfileName,
        now: UtcDateTime,
    ) -> Result<Held, GrantsUnavailable> {
        match &self.services.grants {
            _ if !policy.mentions_approval(profile) => Ok(Held::NotAsked),
            Grants::Off => Ok(Held::Off),
            Grants::Table(table) => {
                Box::pin(table.approval(caller.principal(), profile, now)).await.map(Held::Approval)
            }
        }
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
        let asked = VendRequest { profile, duration: draft.duration, device: None };
        request.record.asked(&asked);
        let facts = Facts { device: None, approval: Approved::Nothing };
        let explained = policy.explain(caller, &asked, facts, now, tokio::task::yield_now).await;
        would_help(explained)?;
        let duration = draft.duration.unwrap_or(policy.default_duration());
        let access = AccessRequest::new(caller, draft, duration, &request.request_id, now);
        request.record.access("request", &access);
        table.create(&access, now).await?;
        Ok(AccessView::new(access, vec![May::Withdraw], now))
    }

    /// The caller's own requests, and the pending ones that the caller may decide.
    pub(super) async fn list_access(
        &self,
        request: &mut InFlight<'_>,
        caller: &Caller,
    ) -> Result<Vec<AccessView>, Error> {
        let table = self.grants_table()?;
        let policy = self.policy(request).await?;
        let (now, mut views) = (request.now, Vec::new());
        for access in table.newest().await.map_err(AccessError::from)? {
            let is_own = access.requester.arn == caller.principal().as_str();
            let may = match access.is_open(now) {
                true if is_own => vec![May::Withdraw],
                true if another_person_may_decide(&policy, caller, &access, now).is_ok() => {
                    vec![May::Approve, May::Deny]
                }
                _ => Vec::new(),
            };
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
        let is_own = access.requester.arn == caller.principal().as_str();
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
        request.record.access(change.name(), &access);
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
/// The policy comes first: only those whom it permits learn that there is such a request.
fn another_person_may_decide(
    policy: &Policy,
    caller: &Caller,
    access: &AccessRequest,
    now: UtcDateTime,
) -> Result<Vec<String>, Error> {
    let rules = policy.may_decide(caller, access, now).map_err(|denial| {
        if denial.refusal() == Refusal::Forbidden && !denial.reasons().is_empty() {
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
