//! Access that one person requests and another approves: the states of a request, and who may decide
//! it.
//!
//! ```text
//! pending            --approve-->  approved     until the end of the claim window
//! pending, approved  --deny----->  denied
//! pending, approved  --withdraw->  withdrawn
//! pending, approved  --time----->  expired
//! ```
//!
//! Invariants:
//! - A request is approved at most once, from `pending`. Until it expires, pending or approved, it
//!   can be denied or withdrawn, which ends it. The grants table holds this with conditional writes;
//!   [`AccessRequest::change`] is the same rule, for one that has been read.
//! - Nobody decides a request of their own, and only people request and decide: IAM users, and
//!   sessions whose names identify people. Anybody who may assume a role could otherwise approve as
//!   the role what they request as themselves, because the event does not say who assumed it.
//!
//! Pure: no clock, no I/O.

mod draft;
mod emergency;

pub use draft::{AccessDraft, NoBody};
pub use emergency::{BETWEEN_EMERGENCIES, EMERGENCY, Emergency};

use crate::alphabet::is_digits;
use crate::caller::{Caller, CallerKind};
use crate::claims::{Reason, Ticket};
use crate::digest::digest_bits;
use crate::request::{ProfileName, RequestId, SessionDuration};
use serde::Serialize;
use std::fmt;
use time::{Duration, UtcDateTime};

/// How long a request waits for a decision.
pub const PENDING: Duration = Duration::hours(24);
/// The claim window: how long an approval can be turned into sessions.
pub const CLAIM_WINDOW: Duration = Duration::hours(8);

/// The id of a request: where it is in the table, and which of the requests that were ever there.
///
/// As text: 16 and 8 hexadecimal digits, joined by a hyphen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AccessId {
    place: u64,
    nonce: u32,
}

impl AccessId {
    /// The id of the request that `principal` makes for `profile` in the invocation `request_id`.
    #[must_use]
    pub fn new(principal: &str, profile: &ProfileName, request_id: &RequestId) -> Self {
        let nonce = u32::from_str_radix(request_id.short(), 16).unwrap_or_default();
        Self { place: place(principal, profile), nonce }
    }

    /// Reads an id.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (place, nonce) = text.split_once('-')?;
        let id = Self {
            place: u64::from_str_radix(place, 16).ok()?,
            nonce: u32::from_str_radix(nonce, 16).ok()?,
        };
        // One spelling only: no sign, no upper case, no other length.
        (id.to_string() == text).then_some(id)
    }

    /// The part of the id that principal and profile determine.
    #[must_use]
    pub fn place(self) -> String {
        format!("{:016x}", self.place)
    }
}

impl fmt::Display for AccessId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:016x}-{:08x}", self.place, self.nonce)
    }
}

impl Serialize for AccessId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Where the request of `principal` for `profile` is: one at a time. Neither of them has a line feed.
fn place(principal: &str, profile: &ProfileName) -> u64 {
    digest_bits(&format!("{principal}\n{profile}"))
}

/// The place of the request of `principal` for `profile`, as text.
pub(crate) fn place_of(principal: &str, profile: &ProfileName) -> String {
    AccessId { place: place(principal, profile), nonce: 0 }.place()
}

/// Who requests access: what policies read of a caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Requester {
    /// The principal.
    pub arn: String,
    /// The account, 12 digits.
    pub account: String,
    /// The short name.
    pub name: String,
    /// `user` or `assumed-role`.
    pub kind: String,
    /// The session's name, where it identifies a person.
    pub session_name: Option<String>,
    /// The AWS Organization.
    pub org: Option<String>,
    /// IAM's unique id.
    pub unique_id: Option<String>,
}

impl Requester {
    /// The requester that `caller` is.
    #[must_use]
    pub fn of(caller: &Caller) -> Self {
        Self {
            arn: caller.principal().to_string(),
            account: caller.account().to_owned(),
            name: caller.name().to_owned(),
            kind: caller.kind().name().to_owned(),
            session_name: caller.session_name().map(str::to_owned),
            org: caller.org().map(str::to_owned),
            unique_id: caller.unique_id().map(str::to_owned),
        }
    }

    /// Whether `caller` could be the same person. Names compare without case and up to the first `@`,
    /// across permission sets, kinds of callers and accounts: rather a refusal too many.
    #[must_use]
    pub fn may_be(&self, caller: &Caller) -> bool {
        let same = |one: &str, other: &str| one.to_lowercase() == other.to_lowercase();
        let local = |name: &'_ str| name.split('@').next().unwrap_or(name).to_lowercase();
        let same_user = caller.kind() == CallerKind::User
            && caller.unique_id().is_some()
            && caller.unique_id() == self.unique_id.as_deref();
        same(&self.arn, caller.principal().as_str())
            || local(&self.name) == local(caller.name())
            || same_user
    }

    /// Whether `caller` is this principal. IAM may give the name of a deleted user to a new one: for
    /// users the unique id has to be the same, too, if the requester's is known.
    /// Source: "IAM identifiers" in the IAM user guide, section "Unique identifiers".
    #[must_use]
    pub fn is(&self, caller: &Caller) -> bool {
        let is_other_user = caller.kind() == CallerKind::User
            && self.unique_id.is_some()
            && self.unique_id.as_deref() != caller.unique_id();
        self.has_arn_of(caller) && !is_other_user
    }

    /// Whether `caller` has the requester's ARN. A user who was made again has it, too.
    #[must_use]
    pub fn has_arn_of(&self, caller: &Caller) -> bool {
        self.arn == caller.principal().as_str()
    }
}

/// Whether the identity of `caller` is that of a person: an IAM user, or a session whose name
/// identifies one.
#[must_use]
pub fn is_person(caller: &Caller) -> bool {
    caller.kind() == CallerKind::User || caller.session_name().is_some()
}

/// The state of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Nobody has decided it.
    Pending,
    /// Somebody approved it.
    Approved,
    /// Somebody refused it.
    Denied,
    /// The requester took it back.
    Withdrawn,
}

impl State {
    /// The state's name in the table and in replies.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Approved => "approved",
            Self::Denied => "denied",
            Self::Withdrawn => "withdrawn",
        }
    }

    /// The state of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        [Self::Pending, Self::Approved, Self::Denied, Self::Withdrawn]
            .into_iter()
            .find(|state| state.name() == name)
    }

    /// Whether time ends it.
    #[must_use]
    pub fn can_expire(self) -> bool {
        matches!(self, Self::Pending | Self::Approved)
    }
}

/// What can happen to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// Another person approves it.
    Approve,
    /// Another person refuses it, or takes an approval back.
    Deny,
    /// The requester takes it back, approved or not.
    Withdraw,
}

impl Change {
    /// The change's name in paths and logs.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Approve => "approve",
            Self::Deny => "deny",
            Self::Withdraw => "withdraw",
        }
    }

    /// The state that it leads to.
    #[must_use]
    pub fn leads_to(self) -> State {
        match self {
            Self::Approve => State::Approved,
            Self::Deny => State::Denied,
            Self::Withdraw => State::Withdrawn,
        }
    }

    /// The states that it can change.
    #[must_use]
    pub fn starts_from(self) -> &'static [State] {
        match self {
            Self::Approve => &[State::Pending],
            Self::Deny | Self::Withdraw => &[State::Pending, State::Approved],
        }
    }
}

/// The request does not permit this change any more, or has expired.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the request is not open any more")]
pub struct Closed;

/// One request for access.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessRequest {
    /// Its id.
    pub id: AccessId,
    /// Who asks.
    pub requester: Requester,
    /// For which profile.
    pub profile: ProfileName,
    /// Why.
    pub reason: Reason,
    /// The ticket that says more.
    pub ticket: Option<Ticket>,
    /// The longest session that is asked for.
    pub duration: SessionDuration,
    /// Its state.
    pub state: State,
    /// When it was made.
    pub created_at: UtcDateTime,
    /// When it expires: pending, or approved.
    pub expires_at: UtcDateTime,
    /// The principal who decided it.
    pub decided_by: Option<String>,
    /// When that was.
    pub decided_at: Option<UtcDateTime>,
    /// The last denial of a request of this principal for this profile: of this one, or of one before
    /// it. A new request does not know of it until it is read again.
    pub last_denial: Option<LastDenial>,
}

/// Who denied a request, and when. The next one shows it, so that no approver decides without it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastDenial {
    /// The principal who denied.
    pub by: String,
    /// When.
    pub at: UtcDateTime,
}

impl AccessRequest {
    /// A new request of `caller`. Times are whole seconds.
    #[must_use]
    pub fn new(
        caller: &Caller,
        draft: AccessDraft,
        duration: SessionDuration,
        request_id: &RequestId,
        now: UtcDateTime,
    ) -> Self {
        let created_at = whole(now);
        Self {
            id: AccessId::new(caller.principal().as_str(), &draft.profile, request_id),
            requester: Requester::of(caller),
            profile: draft.profile,
            reason: draft.reason,
            ticket: draft.ticket,
            duration,
            state: State::Pending,
            created_at,
            expires_at: created_at + PENDING,
            decided_by: None,
            decided_at: None,
            last_denial: None,
        }
    }

    /// Whether `change` is still possible at `now`.
    #[must_use]
    pub fn permits(&self, change: Change, now: UtcDateTime) -> bool {
        change.starts_from().contains(&self.state) && now < self.expires_at
    }

    /// Whether it stands in the way of a new request for the same profile.
    #[must_use]
    pub fn is_in_force(&self, now: UtcDateTime) -> bool {
        self.state.can_expire() && now < self.expires_at
    }

    /// The request after `change` by `by`.
    ///
    /// # Errors
    /// [`Closed`] unless it permits the change.
    pub fn change(self, change: Change, by: &str, now: UtcDateTime) -> Result<Self, Closed> {
        if !self.permits(change, now) {
            return Err(Closed);
        }
        let decided_at = whole(now);
        Ok(Self {
            state: change.leads_to(),
            expires_at: match change {
                Change::Approve => decided_at + CLAIM_WINDOW,
                Change::Deny | Change::Withdraw => self.expires_at,
            },
            decided_by: Some(by.to_owned()),
            decided_at: Some(decided_at),
            last_denial: match change {
                Change::Deny => Some(LastDenial { by: by.to_owned(), at: decided_at }),
                Change::Approve | Change::Withdraw => self.last_denial,
            },
            ..self
        })
    }

    /// The approval that this request would become if `by` approved it at `now`.
    #[must_use]
    pub fn if_approved(&self, by: &str, now: UtcDateTime) -> Approval {
        let approved_at = whole(now);
        self.approved_by(by.to_owned(), approved_at, approved_at + CLAIM_WINDOW)
    }

    /// The approval, if it is in force at `now` for this caller and profile.
    #[must_use]
    pub fn approval(
        &self,
        caller: &Caller,
        profile: &ProfileName,
        now: UtcDateTime,
    ) -> Option<Approval> {
        let is_for_it = self.requester.is(caller) && self.profile == *profile;
        if self.state != State::Approved || now >= self.expires_at || !is_for_it {
            return None;
        }
        let approval =
            self.approved_by(self.decided_by.clone()?, self.decided_at?, self.expires_at);
        Some(Approval { id: Some(self.id), ..approval })
    }

    fn approved_by(
        &self,
        by: String,
        approved_at: UtcDateTime,
        expires_at: UtcDateTime,
    ) -> Approval {
        Approval {
            id: None,
            by,
            reason: self.reason.clone(),
            ticket: self.ticket.clone(),
            duration: self.duration,
            approved_at,
            expires_at,
        }
    }
}

/// An approval in force, as policies see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Approval {
    /// The request that was approved; `None` for an approval that is only supposed.
    pub id: Option<AccessId>,
    /// The principal who approved.
    pub by: String,
    /// The requester's reason.
    pub reason: Reason,
    /// The requester's ticket.
    pub ticket: Option<Ticket>,
    /// The longest session that was approved.
    pub duration: SessionDuration,
    /// When it was approved.
    pub approved_at: UtcDateTime,
    /// The end of the claim window.
    pub expires_at: UtcDateTime,
}

fn whole(at: UtcDateTime) -> UtcDateTime {
    at.replace_nanosecond(0).unwrap_or(at)
}

/// A number of the table as a time.
pub(crate) fn moment(seconds: &str) -> Option<UtcDateTime> {
    is_digits(seconds).then(|| UtcDateTime::from_unix_timestamp(seconds.parse().ok()?).ok())?
}

#[cfg(test)]
mod tests;
