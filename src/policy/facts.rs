//! What a decision knows beside the caller and the request.

use super::catalogue::Profile;
use crate::access::{AccessRequest, Approval, Emergency};
use crate::caller::Caller;
use crate::device::Device;
use time::UtcDateTime;

/// What is known beside the caller and the request.
#[derive(Debug, Clone, Copy, Default)]
pub struct Facts<'a> {
    /// The caller's device, if it is known.
    pub device: Option<&'a Device>,
    /// What another person has approved.
    pub approval: Approved<'a>,
    /// The emergency that the caller took.
    pub emergency: Option<&'a Emergency>,
}

/// What another person has approved for a caller and a profile.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Approved<'a> {
    /// Nobody can approve anything: there is no grants table.
    #[default]
    Off,
    /// Nothing.
    Nothing,
    /// Nothing yet: this request, which is being made.
    Requested(&'a AccessRequest),
    /// This.
    Yes(&'a Approval),
}

impl<'a> Approved<'a> {
    pub(super) fn approval(self) -> Option<&'a Approval> {
        match self {
            Self::Yes(approval) => Some(approval),
            Self::Off | Self::Nothing | Self::Requested(_) => None,
        }
    }
}

impl<'a> From<Option<&'a Device>> for Facts<'a> {
    fn from(device: Option<&'a Device>) -> Self {
        Self { device, approval: Approved::Off, emergency: None }
    }
}

/// The emergency, if it is the caller's, for this profile, and leaves time for a session.
pub(super) fn in_force<'a>(
    emergency: Option<&'a Emergency>,
    caller: &Caller,
    profile: &Profile,
    now: UtcDateTime,
) -> Option<&'a Emergency> {
    emergency.filter(|emergency| emergency.longest_session(caller, &profile.name, now).is_some())
}
