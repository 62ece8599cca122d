//! The device check: looks up the device that a request names, and refuses it where a device is
//! required.
//!
//! Invariant: where a device is required, only one that its management system calls managed and
//! compliant passes. Naming none is a refusal; a system that does not answer is a failure. Where a
//! device is optional, one that could not be looked up counts as none, and the policies decide.

use super::{Mdm, MdmCredential, MdmSettings, Posture, PostureError};
use crate::device::{Device, DeviceRefused};
use crate::https::Https;
use crate::request::DeviceId;
use crate::secret::CachedSecret;
use secrecy::SecretString;
use time::{Duration, UtcDateTime};

/// The settings of the device check.
#[derive(Debug)]
pub enum DeviceSettings {
    /// There is no device management.
    Disabled,
    /// A device is looked up if the request names one; the policies decide what it is worth.
    Optional(MdmSettings, MdmSecret),
    /// Every request for credentials must name a managed and compliant device.
    Required(MdmSettings, MdmSecret),
}

/// Where the credential for the device management is.
#[derive(Debug)]
pub enum MdmSecret {
    /// In Secrets Manager, under this name or ARN, cached for this long.
    SecretsManager(String, Duration),
    /// In the environment.
    Environment(SecretString),
}

/// The device check.
#[derive(Debug)]
pub enum DeviceCheck {
    /// There is no device management.
    Disabled,
    /// A device is looked up if the request names one.
    Optional(Mdm),
    /// Every request for credentials must name a managed and compliant device.
    Required(Mdm),
}

/// The result of looking up the caller's device.
#[derive(Debug)]
pub enum DeviceLookUp {
    /// No look-up: the request names no device, or there is no device management.
    Skipped,
    /// No look-up: the request names no device, though one is required.
    Missing,
    /// The device management knows the device.
    Known(Posture),
    /// The look-up failed.
    Failed(PostureError),
}

/// Why a request does not pass the device check.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DeviceError {
    /// The device is refused.
    #[error(transparent)]
    Refused(#[from] DeviceRefused),
    /// The device management did not answer.
    #[error("device management is out of reach: {0}")]
    Unavailable(PostureError),
}

impl DeviceLookUp {
    /// The device, if the management knows it.
    #[must_use]
    pub fn device(&self) -> Option<&Device> {
        match self {
            Self::Known(posture) => Some(&posture.device),
            Self::Skipped | Self::Missing | Self::Failed(_) => None,
        }
    }

    /// The result in one word, for metrics; `None` if no device was looked for.
    #[must_use]
    pub fn word(&self) -> Option<&'static str> {
        match self {
            Self::Skipped => None,
            Self::Missing => Some("missing"),
            Self::Known(posture) if !posture.device.managed => Some("unmanaged"),
            Self::Known(posture) if !posture.device.compliant => Some("noncompliant"),
            Self::Known(_) => Some("compliant"),
            Self::Failed(PostureError::UnknownDevice | PostureError::AmbiguousDevice) => {
                Some("unknown")
            }
            Self::Failed(PostureError::Secret(_) | PostureError::Upstream { .. }) => {
                Some("unavailable")
            }
        }
    }

    /// Refuses everything but a managed and compliant device.
    fn require(&self) -> Result<(), DeviceError> {
        match self {
            Self::Skipped | Self::Missing => Err(DeviceRefused::Missing.into()),
            Self::Known(posture) if !posture.device.managed => Err(DeviceRefused::Unmanaged.into()),
            Self::Known(posture) if !posture.device.compliant => {
                Err(DeviceRefused::NotCompliant.into())
            }
            Self::Known(_) => Ok(()),
            Self::Failed(PostureError::UnknownDevice) => Err(DeviceRefused::Unknown.into()),
            Self::Failed(PostureError::AmbiguousDevice) => Err(DeviceRefused::Ambiguous.into()),
            Self::Failed(error) => Err(DeviceError::Unavailable(error.clone())),
        }
    }
}

impl DeviceCheck {
    /// The check that `settings` ask for, its secret in the region, at the endpoint and with the
    /// credentials of `aws`.
    ///
    /// # Errors
    /// Names the setting that does not work.
    pub fn new(
        settings: &DeviceSettings,
        aws: &aws_config::SdkConfig,
        https: &Https,
    ) -> Result<Self, &'static str> {
        let open = |mdm: &MdmSettings, secret| Mdm::new(mdm.clone(), cached(secret, aws), https);
        match settings {
            DeviceSettings::Disabled => Ok(Self::Disabled),
            DeviceSettings::Optional(mdm, secret) => open(mdm, secret).map(Self::Optional),
            DeviceSettings::Required(mdm, secret) => open(mdm, secret).map(Self::Required),
        }
    }

    /// Loads the credential before the first request. A failure is only logged.
    pub(crate) async fn warm(&self, now: UtcDateTime) {
        if let Some(mdm) = self.mdm() {
            mdm.warm(now).await;
        }
    }

    /// The secret that holds the credential for the device management.
    pub(crate) fn secret(&self) -> Option<&CachedSecret<MdmCredential>> {
        self.mdm().map(Mdm::secret)
    }

    /// Looks up the device that a request names.
    pub(crate) async fn look_up(
        &self,
        device: Option<&DeviceId>,
        now: UtcDateTime,
    ) -> DeviceLookUp {
        match (self, device) {
            (Self::Disabled, _) | (Self::Optional(_), None) => DeviceLookUp::Skipped,
            (Self::Required(_), None) => DeviceLookUp::Missing,
            (Self::Optional(mdm) | Self::Required(mdm), Some(device)) => mdm
                .posture(device, now)
                .await
                .map_or_else(DeviceLookUp::Failed, DeviceLookUp::Known),
        }
    }

    /// Refuses what must be refused where a device is required.
    pub(crate) fn verify(&self, look_up: &DeviceLookUp) -> Result<(), DeviceError> {
        match self {
            Self::Disabled | Self::Optional(_) => Ok(()),
            Self::Required(_) => look_up.require(),
        }
    }

    fn mdm(&self) -> Option<&Mdm> {
        match self {
            Self::Disabled => None,
            Self::Optional(mdm) | Self::Required(mdm) => Some(mdm),
        }
    }
}

fn cached(secret: &MdmSecret, aws: &aws_config::SdkConfig) -> CachedSecret<MdmCredential> {
    match secret {
        MdmSecret::SecretsManager(id, ttl) => CachedSecret::from_secrets_manager(aws, id, *ttl),
        MdmSecret::Environment(token) => {
            tracing::warn!(
                "SENTINEL_MDM_API_TOKEN is deprecated: put the token into Secrets Manager and set MDM_SECRET_ARN"
            );
            CachedSecret::fixed(token.clone())
        }
    }
}
