//! The caller's own dry run: would a request be granted, and what is missing if not.
//!
//! What is missing is found by evaluating the request again: with a compliant device of the
//! caller's own, at other hours of the coming week, and with both. Invariant: the answer holds only
//! public reasons, durations and kinds of missing things. It holds no rule's name or text, and a
//! profile that does not exist looks like one that nothing permits.

use super::cedar_request::RequestContext;
use super::{Clamp, Policy};
use crate::caller::Caller;
use crate::device::Device;
use crate::request::{ProfileName, SessionDuration, VendRequest};
use serde::Serialize;
use time::{Duration, UtcDateTime};

/// The hours of a week.
const WEEK: i64 = 7 * 24;

/// The result that a request for credentials would have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// The requested profile.
    pub profile: ProfileName,
    /// Whether it would be granted.
    pub allowed: bool,
    /// Why not: the policies' own `@reason`s.
    pub reasons: Vec<String>,
    /// How long the session would last, if the request would be granted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration: Option<SessionDuration>,
    /// What would make the session shorter than requested.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clamped_by: Option<Clamp>,
    /// What would turn the refusal into a grant.
    pub missing: Vec<Factor>,
}

/// Something that a request lacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Factor {
    /// A device of the caller's own that is managed, compliant and recently seen.
    Device,
    /// Another hour, or another day.
    Time,
}

impl Explanation {
    /// A refusal because a device is required, whatever the policies decide.
    pub(crate) fn without_device(profile: ProfileName, reason: String) -> Self {
        Self { reasons: vec![reason], missing: vec![Factor::Device], ..Self::denied(profile) }
    }

    fn denied(profile: ProfileName) -> Self {
        Self {
            profile,
            allowed: false,
            reasons: Vec::new(),
            duration: None,
            clamped_by: None,
            missing: Vec::new(),
        }
    }
}

impl Policy {
    /// The result that a request at `now` would have, with `device` if it is known.
    #[must_use]
    pub fn explain(
        &self,
        caller: &Caller,
        request: &VendRequest,
        device: Option<&Device>,
        now: UtcDateTime,
    ) -> Explanation {
        let denied = Explanation::denied(request.profile.clone());
        let Some(profile) = self.bundle.catalogue.get(&request.profile) else {
            return denied;
        };
        let (duration, clamped_by) = self.requested(request, profile);
        let at = |device: Option<&Device>, now| {
            self.permission(caller, profile, RequestContext { duration, device, now })
        };
        match at(device, now) {
            Ok(permission) => {
                let (duration, clamped_by) = permission.clamp(duration, clamped_by);
                Explanation { allowed: true, duration: Some(duration), clamped_by, ..denied }
            }
            Err(denial) => {
                let granted = |with_device: bool, now| {
                    let own = with_device.then(|| compliant(caller, now));
                    at(own.as_ref().or(device), now).is_ok()
                };
                let hours = if self.bundle.reads_time { WEEK } else { 0 };
                let missing = missing(granted, now, hours);
                Explanation { reasons: denial.reasons().to_vec(), missing, ..denied }
            }
        }
    }
}

/// The fewest things that would turn the refusal into a grant.
fn missing(
    granted: impl Fn(bool, UtcDateTime) -> bool,
    now: UtcDateTime,
    hours: i64,
) -> Vec<Factor> {
    let sometime =
        |with_device| (1..=hours).any(|hour| granted(with_device, now + Duration::hours(hour)));
    if granted(true, now) {
        vec![Factor::Device]
    } else if sometime(false) {
        vec![Factor::Time]
    } else if sometime(true) {
        vec![Factor::Device, Factor::Time]
    } else {
        Vec::new()
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
