//! Jamf Pro.
//!
//! - Managed: `general.remoteManagement.managed`.
//! - Compliant: Jamf Pro's device compliance has at least one applicable record, and all applicable
//!   ones say `COMPLIANT`.
//!
//! Without such records (the feature is not set up, the device is in no compliance group, the state
//! is `UNKNOWN`) the device is not compliant: neither management nor a recent check-in proves disk
//! encryption or patches.
//!
//! Sources: Jamf Pro API reference, `computers-inventory` (filter fields, sections),
//! `conditional-access` (compliance records), "Filtering with RSQL", "Client Credentials", and the
//! changelogs of 11.23 and 11.30 on the versions of the inventory.

use super::BaseUrl;
use super::http::{Http, HttpError};
use super::oauth::TokenEndpoint;
use super::posture;
use crate::device::Device;
use secrecy::SecretString;
use serde::Deserialize;

/// Version 1 is deprecated since June 2025 and may disappear; servers before 11.23 have no version
/// 3.
const INVENTORIES: [&str; 2] = ["/api/v3/computers-inventory", "/api/v1/computers-inventory"];

#[derive(Deserialize)]
struct Inventory {
    results: Vec<Computer>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Computer {
    id: String,
    udid: Option<String>,
    general: Option<General>,
    hardware: Option<Hardware>,
    operating_system: Option<OperatingSystem>,
    user_and_location: Option<UserAndLocation>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct General {
    last_contact_time: Option<String>,
    remote_management: Option<RemoteManagement>,
}

#[derive(Deserialize)]
struct RemoteManagement {
    managed: Option<bool>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Hardware {
    serial_number: Option<String>,
}

#[derive(Deserialize)]
struct OperatingSystem {
    version: Option<String>,
}

#[derive(Deserialize)]
struct UserAndLocation {
    email: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Compliance {
    applicable: Option<bool>,
    compliance_state: Option<String>,
}

pub(super) fn token_endpoint(base: &BaseUrl) -> TokenEndpoint {
    TokenEndpoint { url: base.at("/api/oauth/token", &[]), scope: None }
}

pub(super) async fn find(
    http: &Http,
    base: &BaseUrl,
    token: &SecretString,
    id: &str,
) -> Result<Device, HttpError> {
    let found = inventory(http, base, token, id).await?.results;
    let computer = posture::only(found.into_iter().filter(|computer| computer.is(id)))?;
    let managed = computer.is_managed();
    let compliant = managed && is_compliant(http, base, token, &computer.id).await?;
    let general = computer.general.as_ref();
    Ok(Device {
        provider: "jamf",
        managed,
        compliant,
        last_seen: posture::timestamp(
            general.and_then(|general| general.last_contact_time.as_deref()),
        ),
        owner: posture::owner(computer.user_and_location.and_then(|user| user.email)),
        os_version: posture::version(computer.operating_system.and_then(|system| system.version)),
    })
}

/// The computers with this serial number or UDID, from the newest inventory version that the server
/// has.
async fn inventory(
    http: &Http,
    base: &BaseUrl,
    token: &SecretString,
    id: &str,
) -> Result<Inventory, HttpError> {
    let quoted = quoted(id);
    let filter = format!("hardware.serialNumber=={quoted},udid=={quoted}");
    let query = [
        ("section", "GENERAL"),
        ("section", "HARDWARE"),
        ("section", "OPERATING_SYSTEM"),
        ("section", "USER_AND_LOCATION"),
        ("page", "0"),
        ("page-size", "2"),
        ("filter", &filter),
    ];
    let mut answer = Err(HttpError::NotFound);
    for path in INVENTORIES {
        answer = http.get(base.at(path, &query), token).await;
        if !matches!(answer, Err(HttpError::NotFound)) {
            break;
        }
    }
    answer
}

/// An RSQL value. Device identifiers need no escaping today; this keeps a wider alphabet safe.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

async fn is_compliant(
    http: &Http,
    base: &BaseUrl,
    token: &SecretString,
    id: &str,
) -> Result<bool, HttpError> {
    if id.is_empty() || !id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
        return Ok(false);
    }
    let path = format!("/api/v1/conditional-access/device-compliance-information/computer/{id}");
    let records: Vec<Compliance> = match http.get(base.at(&path, &[]), token).await {
        Err(HttpError::NotFound) => return Ok(false),
        answer => answer?,
    };
    let mut applicable = records.iter().filter(|record| record.applicable == Some(true)).peekable();
    Ok(applicable.peek().is_some()
        && applicable.all(|record| record.compliance_state.as_deref() == Some("COMPLIANT")))
}

impl Computer {
    fn is(&self, id: &str) -> bool {
        let serial = self.hardware.as_ref().and_then(|hardware| hardware.serial_number.as_deref());
        [serial, self.udid.as_deref()]
            .into_iter()
            .flatten()
            .any(|known| known.eq_ignore_ascii_case(id))
    }

    fn is_managed(&self) -> bool {
        let management =
            self.general.as_ref().and_then(|general| general.remote_management.as_ref());
        management.and_then(|management| management.managed) == Some(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// THREAT: an identifier with a quote in it ends the RSQL value and adds a term that matches
    /// another device. PREVENTION: identifiers have no such characters, and values are quoted and
    /// escaped all the same.
    #[test]
    fn security_rsql_values_are_escaped() {
        assert_eq!(quoted("C02XL0GTJGH5"), r#""C02XL0GTJGH5""#);
        assert_eq!(quoted(r#"X",udid=="*"#), r#""X\",udid==\"*""#);
        assert_eq!(quoted(r#"X\""#), r#""X\\\"""#);
    }
}
