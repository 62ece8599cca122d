//! Microsoft Intune, by Microsoft Graph v1.0.
//!
//! - Compliant: `complianceState` is `compliant`. `inGracePeriod` means not compliant but not yet
//!   blocked; `configManager` means that another system knows.
//! - Managed: `managementAgent` is a channel through which Intune itself manages the device, and no
//!   retirement, wipe or deletion is pending. (`managementState` would say so directly, but exists
//!   only in the beta API.)
//!
//! A device that is not managed is not compliant.
//!
//! Sources: Microsoft Graph v1.0 reference, `managedDevice`, `complianceState`,
//! `managementAgentType`, `deviceActionResult`; "Microsoft Graph national cloud deployments" for
//! hosts and scopes.

use super::BaseUrl;
use super::http::{Http, HttpError};
use super::oauth::TokenEndpoint;
use super::posture::{self, PostureError};
use crate::device::Device;
use secrecy::SecretString;
use serde::Deserialize;

const SELECT: &str = "serialNumber,azureADDeviceId,complianceState,managementAgent,deviceActionResults,userPrincipalName,\
                      lastSyncDateTime,osVersion";
/// The channels through which Intune manages a device. Exchange, Configuration Manager alone and
/// Jamf are not among them.
const MANAGING_AGENTS: [&str; 7] = [
    "mdm",
    "easMdm",
    "intuneClient",
    "easIntuneClient",
    "configurationManagerClientMdm",
    "configurationManagerClientMdmEas",
    "googleCloudDevicePolicyController",
];
/// Actions that end the management of a device.
const ENDING_ACTIONS: [&str; 3] = ["retire", "wipe", "delete"];
/// Graph and the token service of each cloud.
const CLOUDS: [(&str, &str); 4] = [
    ("graph.microsoft.com", "login.microsoftonline.com"),
    ("graph.microsoft.us", "login.microsoftonline.us"),
    ("dod-graph.microsoft.us", "login.microsoftonline.us"),
    ("microsoftgraph.chinacloudapi.cn", "login.chinacloudapi.cn"),
];

#[derive(Deserialize)]
struct Devices {
    value: Vec<ManagedDevice>,
    /// Present if there are more pages.
    #[serde(rename = "@odata.nextLink")]
    next_link: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ManagedDevice {
    serial_number: Option<String>,
    #[serde(rename = "azureADDeviceId")]
    azure_ad_device_id: Option<String>,
    compliance_state: Option<String>,
    management_agent: Option<String>,
    device_action_results: Option<Vec<ActionResult>>,
    user_principal_name: Option<String>,
    last_sync_date_time: Option<String>,
    os_version: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ActionResult {
    action_name: Option<String>,
    action_state: Option<String>,
}

/// The token endpoint of a tenant. On loopback the stand-in for Graph serves it, too.
pub(super) fn token_endpoint(base: &BaseUrl, tenant: &str) -> Result<TokenEndpoint, &'static str> {
    let is_word = |part: &str| {
        !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    if tenant.len() > 253 || !tenant.split('.').all(is_word) {
        return Err("the tenant is neither a GUID nor a domain name");
    }
    let path = format!("/{tenant}/oauth2/v2.0/token");
    if base.is_loopback() {
        return Ok(TokenEndpoint {
            url: base.at(&path, &[]),
            scope: Some("https://graph.microsoft.com/.default".to_owned()),
        });
    }
    let cloud = CLOUDS.iter().find(|(graph, _)| *graph == base.host());
    let (_, login) = cloud.ok_or("the base URL is none of Microsoft Graph's")?;
    let login = BaseUrl::parse(&format!("https://{login}"))?;
    Ok(TokenEndpoint {
        url: login.at(&path, &[]),
        scope: Some(format!("{}/.default", base.origin())),
    })
}

pub(super) async fn find(
    http: &Http,
    base: &BaseUrl,
    token: &SecretString,
    id: &str,
) -> Result<Device, HttpError> {
    let property = if is_guid(id) { "azureADDeviceId" } else { "serialNumber" };
    let filter = format!("{property} eq {}", quoted(id));
    let url = base
        .at("/v1.0/deviceManagement/managedDevices", &[("$filter", &filter), ("$select", SELECT)]);
    let found: Devices = http.get(url, token).await?;
    if found.next_link.is_some() {
        return Err(PostureError::AmbiguousDevice.into());
    }
    let device = posture::only(found.value.into_iter().filter(|device| device.is(id)))?;
    let managed = device.is_managed();
    Ok(Device {
        provider: "intune",
        managed,
        compliant: managed && device.compliance_state.as_deref() == Some("compliant"),
        owner: posture::owner(device.user_principal_name),
        last_seen: posture::timestamp(device.last_sync_date_time.as_deref()),
        os_version: posture::version(device.os_version),
    })
}

/// A string in a filter. Device identifiers need no escaping today; this keeps a wider alphabet
/// safe.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

fn is_guid(id: &str) -> bool {
    let lengths = id.split('-').map(str::len);
    lengths.eq([8, 4, 4, 4, 12]) && id.bytes().all(|byte| byte == b'-' || byte.is_ascii_hexdigit())
}

impl ManagedDevice {
    fn is(&self, id: &str) -> bool {
        let known = if is_guid(id) { &self.azure_ad_device_id } else { &self.serial_number };
        known.as_ref().is_some_and(|known| known.eq_ignore_ascii_case(id))
    }

    fn is_managed(&self) -> bool {
        let by_intune =
            self.management_agent.as_deref().is_some_and(|agent| MANAGING_AGENTS.contains(&agent));
        by_intune && !self.device_action_results.iter().flatten().any(ActionResult::ends_management)
    }
}

impl ActionResult {
    fn ends_management(&self) -> bool {
        let ending = self.action_name.as_deref().is_some_and(|name| ENDING_ACTIONS.contains(&name));
        ending && matches!(self.action_state.as_deref(), Some("pending" | "active"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(base: &str, tenant: &str) -> Option<(String, String)> {
        let endpoint = token_endpoint(&BaseUrl::parse(base).unwrap(), tenant).ok()?;
        Some((endpoint.url.to_string(), endpoint.scope.unwrap()))
    }

    #[test]
    fn each_cloud_has_its_own_token_service_and_scope() {
        for (graph, login) in CLOUDS {
            let expected = (
                format!("https://{login}/t/oauth2/v2.0/token"),
                format!("https://{graph}/.default"),
            );
            assert_eq!(endpoint(&format!("https://{graph}/"), "t"), Some(expected));
        }
    }

    /// THREAT: a client secret goes to a host that is none of Microsoft's, or to another path of
    /// it. PREVENTION: the token service is one of a fixed list, and a tenant is a GUID or a domain
    /// name.
    #[test]
    fn security_the_secret_goes_only_to_known_token_services() {
        for base in [
            "https://graph.microsoft.com.example.com",
            "https://example.com",
            "https://graph.microsoft.de",
        ] {
            assert_eq!(endpoint(base, "t"), None, "{base}");
        }
        for tenant in [
            "",
            ".",
            "..",
            "a..b",
            "../x",
            "a/b",
            "a?b",
            "a#b",
            "a@b",
            "a b",
            "a%2fb",
            &"a".repeat(254),
        ] {
            assert_eq!(endpoint("https://graph.microsoft.com", tenant), None, "{tenant}");
        }
        assert!(endpoint("https://graph.microsoft.com", "example.onmicrosoft.com").is_some());
    }

    /// THREAT: an identifier with a quote in it ends the `OData` string and adds a term that
    /// matches another device. PREVENTION: identifiers have no such characters, and strings are
    /// quoted and escaped all the same.
    #[test]
    fn security_odata_strings_are_escaped() {
        assert_eq!(quoted("5CG1234XYZ"), "'5CG1234XYZ'");
        assert_eq!(quoted("X' or '1' eq '1"), "'X'' or ''1'' eq ''1'");
    }

    #[test]
    fn a_guid_is_told_from_a_serial_number() {
        assert!(is_guid("0a1b2c3d-4E5F-6789-abcd-ef0123456789"));
        for other in [
            "",
            "5CG1234XYZ",
            "0a1b2c3d-4e5f-6789-abcd-ef012345678",
            "0a1b2c3d-4e5f-6789-abcd-ef012345678g",
            "----",
        ] {
            assert!(!is_guid(other), "{other}");
        }
    }
}
