//! Break-glass: access that a person takes without waiting for another one.

use super::{AccessDraft, Requester, whole};
use crate::caller::Caller;
use crate::claims::{Reason, Ticket};
use crate::request::{ProfileName, SessionDuration};
use serde::ser::Error;
use serde::{Serialize, Serializer};
use serde_with::skip_serializing_none;
use time::format_description::well_known::Rfc3339;
use time::{Duration, UtcDateTime};

/// How long an emergency lasts. No session outlasts it.
pub const EMERGENCY: Duration = Duration::hours(4);
/// From one emergency of a principal to the next.
pub const BETWEEN_EMERGENCIES: Duration = Duration::hours(24);
/// The shortest reason, in characters.
const SHORTEST_REASON: usize = 20;

/// What somebody took for an emergency. Serialized, it is as that person and the audit line see it.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Emergency {
    /// Who.
    #[serde(skip)]
    pub requester: Requester,
    /// Which profile.
    pub profile: ProfileName,
    /// Why: at least 20 characters.
    pub reason: Reason,
    /// The ticket that says more.
    pub ticket: Option<Ticket>,
    /// When it began.
    #[serde(serialize_with = "rfc3339")]
    pub began_at: UtcDateTime,
    /// When it ends.
    #[serde(serialize_with = "rfc3339")]
    pub ends_at: UtcDateTime,
}

impl Emergency {
    /// An emergency that begins at `now`; `None` if the reason is too short.
    #[must_use]
    pub fn new(caller: &Caller, draft: AccessDraft, now: UtcDateTime) -> Option<Self> {
        let began_at = whole(now);
        let is_long_enough = draft.reason.as_str().chars().count() >= SHORTEST_REASON;
        is_long_enough.then(|| Self {
            requester: Requester::of(caller),
            profile: draft.profile,
            reason: draft.reason,
            ticket: draft.ticket,
            began_at,
            ends_at: began_at + EMERGENCY,
        })
    }

    /// How long a session may last that begins at `now`, for this caller and profile; `None` if
    /// the emergency is somebody else's, for another profile, or leaves no time for a session.
    #[must_use]
    pub fn longest_session(
        &self,
        caller: &Caller,
        profile: &ProfileName,
        now: UtcDateTime,
    ) -> Option<SessionDuration> {
        let is_for_it = self.requester.is(caller) && self.profile == *profile;
        let left = u32::try_from((self.ends_at - now).whole_seconds()).ok()?;
        SessionDuration::from_seconds(left).filter(|_| is_for_it)
    }
}

fn rfc3339<S: Serializer>(at: &UtcDateTime, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&at.format(&Rfc3339).map_err(S::Error::custom)?)
}

#[cfg(test)]
mod tests {
    use super::super::tests::{NOW, caller, draft, profile};
    use super::*;

    const ALICE: &str = "arn:aws:iam::123456789012:user/alice";

    fn emergency() -> Emergency {
        Emergency::new(&caller(ALICE), draft("production", "the database is on fire"), NOW).unwrap()
    }

    #[test]
    fn a_reason_has_twenty_characters() {
        for (reason, expected) in [("nineteen characters", false), ("exactly 20 character", true)] {
            let emergency = Emergency::new(&caller(ALICE), draft("production", reason), NOW);
            assert_eq!(emergency.is_some(), expected, "{reason}");
        }
    }

    /// THREAT: a session that begins at the end of an emergency outlasts it.
    /// PREVENTION: a session is no longer than what is left, and none begins when less than STS's
    /// minimum is left.
    #[test]
    fn security_no_session_outlasts_the_emergency() {
        let (emergency, production) = (emergency(), profile("production"));
        let longest = |after: Duration| {
            let longest = emergency.longest_session(&caller(ALICE), &production, NOW + after);
            longest.map(SessionDuration::seconds)
        };
        assert_eq!(longest(Duration::ZERO), Some(14_400));
        assert_eq!(longest(EMERGENCY - Duration::seconds(900)), Some(900));
        assert_eq!(longest(EMERGENCY - Duration::seconds(899)), None);
        assert_eq!(longest(EMERGENCY), None);
        assert_eq!(longest(Duration::days(1)), None);
    }

    /// THREAT: an emergency opens another profile, or serves another principal.
    /// PREVENTION: it names both, and both are compared.
    #[test]
    fn security_an_emergency_is_for_one_principal_and_one_profile() {
        let emergency = emergency();
        let alice = caller(ALICE);
        assert!(emergency.longest_session(&alice, &profile("production"), NOW).is_some());
        assert!(emergency.longest_session(&alice, &profile("vault"), NOW).is_none());
        let bob = caller(&ALICE.replace("alice", "bob"));
        assert!(emergency.longest_session(&bob, &profile("production"), NOW).is_none());
    }
}
