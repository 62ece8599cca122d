//! The caller's own dry run: would this be granted, and if not, what is missing?
//!
//! What is missing is found by asking again: with a device of the caller's own that is in order, at other hours of the coming
//! week, and with both. Invariant: nothing is told but public reasons, durations and the kinds of what is missing; no rule's name
//! or text, and of a profile that does not exist the same as of one that nothing permits.

use super::question::Circumstances;
use super::{Clamp, Policy};
use crate::caller::Caller;
use crate::device::Device;
use crate::error::Error;
use crate::request::{ProfileName, SessionDuration, VendRequest};
use serde::Serialize;
use time::{Duration, UtcDateTime};

/// The hours of a week.
const WEEK: i64 = 7 * 24;

/// What would come of a request for credentials.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// The profile asked for.
    pub profile: ProfileName,
    /// Whether it would be granted.
    pub allowed: bool,
    /// Why not, in the policies' own public words.
    pub reasons: Vec<String>,
    /// How long the session would last, if it would be granted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration: Option<SessionDuration>,
    /// What would make that shorter than the wish.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clamped_by: Option<Clamp>,
    /// What would make a refusal a grant.
    pub missing: Vec<Factor>,
}

/// Something that a request lacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Factor {
    /// A device of the caller's own that is managed, compliant and lately seen.
    Device,
    /// Another hour, or another day.
    Time,
}

impl Explanation {
    /// A refusal for want of a device, whatever the policies say.
    pub(crate) fn without_device(profile: ProfileName, refusal: &Error) -> Self {
        let reasons = vec![refusal.public().message.into_owned()];
        Self {
            profile,
            allowed: false,
            reasons,
            duration: None,
            clamped_by: None,
            missing: vec![Factor::Device],
        }
    }
}

impl Policy {
    /// What would come of a request at `now`, from `device` if it is known.
    #[must_use]
    pub fn explain(
        &self,
        caller: &Caller,
        request: &VendRequest,
        device: Option<&Device>,
        now: UtcDateTime,
    ) -> Explanation {
        let denied = |reasons, missing| Explanation {
            profile: request.profile.clone(),
            allowed: false,
            reasons,
            duration: None,
            clamped_by: None,
            missing,
        };
        let Some(profile) = self.bundle.catalogue.get(&request.profile) else {
            return denied(Vec::new(), Vec::new());
        };
        let (duration, clamped_by) = self.wished(request, profile);
        let at = |device: Option<&Device>, now| {
            self.evaluate(
                caller,
                &request.profile,
                profile,
                Circumstances { duration, device, now },
            )
        };
        match at(device, now) {
            Ok(permission) => {
                let (duration, clamped_by) = permission.clamp(duration, clamped_by);
                Explanation {
                    allowed: true,
                    duration: Some(duration),
                    clamped_by,
                    ..denied(Vec::new(), Vec::new())
                }
            }
            Err(denial) => {
                let granted = |with_device: bool, now| {
                    let own = with_device.then(|| in_order(caller, now));
                    at(own.as_ref().or(device), now).is_ok()
                };
                let hours = if self.bundle.time_matters { WEEK } else { 0 };
                denied(denial.reasons().to_vec(), missing(granted, now, hours))
            }
        }
    }
}

/// The least that would have to be different.
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

/// A device of the caller's own that no reasonable rule objects to.
fn in_order(caller: &Caller, now: UtcDateTime) -> Device {
    Device {
        managed: true,
        compliant: true,
        owner: Some(caller.name().to_ascii_lowercase()),
        last_seen: Some(now),
        os_version: None,
        provider: "jamf",
    }
}
