//! Kandji, now Iru.
//!
//! Its device list does not report compliance. This module defines:
//!
//! - managed: `mdm_enabled` and not `is_removed`;
//! - compliant: managed, not `is_missing`, not in lost mode, checked in within seven days, and with
//!   the agent installed, except on platforms without an agent.
//!
//! So compliant means that Kandji can enforce its blueprint, not that every item of it succeeded.
//! Policies can demand a more recent check-in through `last_seen`.
//!
//! Sources: Kandji API reference, "List Devices", also as MScottBlake/kandji-openapi has it.

use super::BaseUrl;
use super::http::{Http, HttpError};
use super::posture;
use crate::clock::age;
use crate::device::Device;
use secrecy::SecretString;
use serde::Deserialize;
use serde_json::Value;
use time::{Duration, UtcDateTime};

/// An older check-in does not count.
const RECENT: Duration = Duration::days(7);
/// The most devices the list returns.
const LIMIT: &str = "300";
const WITHOUT_AGENT: [&str; 3] = ["iPhone", "iPad", "AppleTV"];

#[derive(Deserialize)]
struct Listed {
    serial_number: Option<String>,
    platform: Option<String>,
    os_version: Option<String>,
    last_check_in: Option<String>,
    lost_mode_status: Option<String>,
    mdm_enabled: Option<bool>,
    agent_installed: Option<bool>,
    is_missing: Option<bool>,
    is_removed: Option<bool>,
    /// An object; an empty string if nobody is assigned.
    user: Option<Value>,
}

pub(super) async fn find(
    http: &Http,
    base: &BaseUrl,
    token: &SecretString,
    id: &str,
    now: UtcDateTime,
) -> Result<Device, HttpError> {
    // The filter matches every device whose serial number contains the text, so the results are
    // compared again.
    let url = base.at("/api/v1/devices", &[("serial_number", id), ("limit", LIMIT)]);
    let found: Vec<Listed> = http.get(url, token).await?;
    let device = posture::only(found.into_iter().filter(|device| device.is(id)))?;
    let last_seen = posture::timestamp(device.last_check_in.as_deref());
    let seen_recently = last_seen.is_some_and(|at| age(at, now) <= RECENT);
    Ok(Device {
        provider: "kandji",
        managed: device.is_managed(),
        compliant: device.is_managed() && device.is_in_order() && seen_recently,
        last_seen,
        owner: posture::owner(device.email()),
        os_version: posture::version(device.os_version),
    })
}

impl Listed {
    fn is(&self, id: &str) -> bool {
        self.serial_number.as_ref().is_some_and(|known| known.eq_ignore_ascii_case(id))
    }

    fn email(&self) -> Option<String> {
        Some(self.user.as_ref()?.get("email")?.as_str()?.to_owned())
    }

    fn is_managed(&self) -> bool {
        self.mdm_enabled == Some(true) && self.is_removed == Some(false)
    }

    fn is_in_order(&self) -> bool {
        let needs_agent =
            !self.platform.as_deref().is_some_and(|platform| WITHOUT_AGENT.contains(&platform));
        let is_lost = self.lost_mode_status.as_ref().is_some_and(|status| !status.is_empty());
        self.is_missing == Some(false)
            && !is_lost
            && (self.agent_installed == Some(true) || !needs_agent)
    }
}
