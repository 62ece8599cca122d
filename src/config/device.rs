//! The settings of the device check.

use super::jittered;
use super::variables::Variables;
use crate::mdm::{BaseUrl, DeviceSettings, MdmSecret, MdmSettings, Provider};
use std::time::Duration as Real;
use time::Duration;

pub(super) fn read(variables: &mut Variables) -> DeviceSettings {
    let required = variables.flag("SENTINEL_REQUIRE_DEVICE");
    let (provider, base_url, secret) =
        (provider(variables), base_url(variables), secret(variables));
    let timeout =
        Real::from_millis(variables.number("SENTINEL_MDM_TIMEOUT_MS", 100..=8_000, 3_000).into());
    let posture_ttl =
        Duration::seconds(variables.number("SENTINEL_MDM_POSTURE_TTL", 0..=3_600, 60).into());
    let provider = match provider {
        Ok(Some(provider)) => provider,
        Ok(None) => {
            without_provider(variables, required, base_url.is_some(), secret.is_some());
            return DeviceSettings::Disabled;
        }
        Err(Recorded) => return DeviceSettings::Disabled,
    };
    match (base_url.or_else(|| default_base_url(&provider)), secret) {
        (Some(base_url), Some(secret)) => {
            let settings = MdmSettings { provider, base_url, timeout, posture_ttl };
            if required {
                DeviceSettings::Required(settings, secret)
            } else {
                DeviceSettings::Optional(settings, secret)
            }
        }
        (None, _) => {
            variables.conflict("SENTINEL_MDM_BASE_URL", "is not set, but SENTINEL_MDM_PROVIDER is");
            DeviceSettings::Disabled
        }
        (_, None) => {
            variables.conflict("MDM_SECRET_ARN", "is not set, but SENTINEL_MDM_PROVIDER is");
            DeviceSettings::Disabled
        }
    }
}

/// A setting without effect is a problem: somebody relies on it.
fn without_provider(variables: &mut Variables, required: bool, base_url: bool, secret: bool) {
    for (name, is_set) in [
        ("SENTINEL_REQUIRE_DEVICE", required),
        ("SENTINEL_MDM_BASE_URL", base_url),
        ("MDM_SECRET_ARN", secret),
    ] {
        if is_set {
            variables.conflict(name, "is set, but SENTINEL_MDM_PROVIDER is not");
        }
    }
}

/// The value is invalid, and the problem is recorded.
struct Recorded;

fn provider(variables: &mut Variables) -> Result<Option<Provider>, Recorded> {
    const NAME: &str = "SENTINEL_MDM_PROVIDER";
    let tenant_id = variables.text("SENTINEL_MDM_TENANT_ID");
    match (variables.text(NAME).as_deref(), tenant_id) {
        (None | Some("none"), _) => Ok(None),
        (Some("jamf"), _) => Ok(Some(Provider::Jamf)),
        (Some("kandji"), _) => Ok(Some(Provider::Kandji)),
        (Some("intune"), Some(tenant_id)) => Ok(Some(Provider::Intune { tenant_id })),
        (Some("intune"), None) => {
            variables.conflict("SENTINEL_MDM_TENANT_ID", "is not set, but intune needs it");
            Err(Recorded)
        }
        (Some(_), _) => {
            variables.problem(NAME, "is not one of none, jamf, intune, kandji");
            Err(Recorded)
        }
    }
}

fn base_url(variables: &mut Variables) -> Option<BaseUrl> {
    const NAME: &str = "SENTINEL_MDM_BASE_URL";
    let text = variables.text(NAME)?;
    BaseUrl::parse(&text)
        .map_err(|problem| variables.problem(NAME, &format!("is not usable: {problem}")))
        .ok()
}

/// Microsoft Graph has one address for all customers; the other products have one per customer.
fn default_base_url(provider: &Provider) -> Option<BaseUrl> {
    match provider {
        Provider::Intune { .. } => BaseUrl::parse("https://graph.microsoft.com").ok(),
        Provider::Jamf | Provider::Kandji => None,
    }
}

fn secret(variables: &mut Variables) -> Option<MdmSecret> {
    let ttl =
        Duration::seconds(variables.number("SENTINEL_MDM_SECRET_TTL", 60..=86_400, 3_600).into());
    let (arn, alias) =
        (variables.text("MDM_SECRET_ARN"), variables.text("SENTINEL_MDM_API_SECRET_ID"));
    let token = variables.text("SENTINEL_MDM_API_TOKEN");
    if arn.is_some() && alias.is_some() {
        variables
            .problem("SENTINEL_MDM_API_SECRET_ID", "and MDM_SECRET_ARN are both set: keep one");
    }
    match (arn.or(alias), token) {
        (Some(id), _) => Some(MdmSecret::SecretsManager(id, jittered(ttl))),
        (None, Some(token)) => Some(MdmSecret::Environment(token.into())),
        (None, None) => None,
    }
}
