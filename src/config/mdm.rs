//! The settings of device posture.

use super::variables::Variables;
use crate::mdm::{BaseUrl, MdmSettings, Provider};
use secrecy::SecretString;
use std::time::Duration as Real;
use time::Duration;

/// Whether devices are looked up, and whether a request must come from one.
#[derive(Debug)]
pub enum DeviceSetting {
    /// There is no device management.
    Disabled,
    /// A device is looked up if the caller names one; the policies say what that is worth.
    Optional(MdmSettings, MdmSecret),
    /// Every request for credentials must name a device that is managed and compliant.
    Required(MdmSettings, MdmSecret),
}

/// Where the token of the device management is.
#[derive(Debug)]
pub enum MdmSecret {
    /// In Secrets Manager, under this name or ARN, read anew after this time.
    SecretsManager(String, Duration),
    /// In the environment.
    Environment(SecretString),
}

pub(super) fn read(variables: &mut Variables) -> DeviceSetting {
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
            return DeviceSetting::Disabled;
        }
        Err(Told) => return DeviceSetting::Disabled,
    };
    match (base_url.or_else(|| default_base_url(&provider)), secret) {
        (Some(base_url), Some(secret)) => {
            let settings = MdmSettings { provider, base_url, timeout, posture_ttl };
            if required {
                DeviceSetting::Required(settings, secret)
            } else {
                DeviceSetting::Optional(settings, secret)
            }
        }
        (None, _) => {
            variables.conflict("SENTINEL_MDM_BASE_URL", "is not set, but SENTINEL_MDM_PROVIDER is");
            DeviceSetting::Disabled
        }
        (_, None) => {
            variables.conflict("MDM_SECRET_ARN", "is not set, but SENTINEL_MDM_PROVIDER is");
            DeviceSetting::Disabled
        }
    }
}

/// Settings that mean something must not silently mean nothing.
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

/// The value is a problem that has been noted.
struct Told;

fn provider(variables: &mut Variables) -> Result<Option<Provider>, Told> {
    const NAME: &str = "SENTINEL_MDM_PROVIDER";
    let tenant_id = variables.text("SENTINEL_MDM_TENANT_ID");
    match (variables.text(NAME).as_deref(), tenant_id) {
        (None | Some("none"), _) => Ok(None),
        (Some("jamf"), _) => Ok(Some(Provider::Jamf)),
        (Some("kandji"), _) => Ok(Some(Provider::Kandji)),
        (Some("intune"), Some(tenant_id)) => Ok(Some(Provider::Intune { tenant_id })),
        (Some("intune"), None) => {
            variables.conflict("SENTINEL_MDM_TENANT_ID", "is not set, but intune needs it");
            Err(Told)
        }
        (Some(_), _) => {
            variables.problem(NAME, "is not one of none, jamf, intune, kandji");
            Err(Told)
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

/// Microsoft Graph is the same for everybody; the others are each customer's own.
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

/// Up to a twentieth shorter, so that instances that start together do not ask together ever after.
fn jittered(ttl: Duration) -> Duration {
    ttl - ttl * fastrand::i32(0..1_000) / 20_000
}
