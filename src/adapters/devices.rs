//! What is asked of the device a caller is on.
//!
//! Invariant: where a device is required, only one that its management system calls managed and compliant passes; naming none,
//! or a system that does not answer, is a refusal. Where it is optional, a device that could not be looked up is no device: the
//! policies decide what that is worth.

use crate::config::{DeviceSetting, MdmSecret};
use crate::device::Device;
use crate::error::{Error, Upstream};
use crate::mdm::{Mdm, MdmSettings, Posture, PostureError};
use crate::request::DeviceId;
use crate::secret::{CachedSecret, MdmCredential};
use time::UtcDateTime;

/// What is asked of devices.
#[derive(Debug)]
pub enum DeviceCheck {
    /// Nothing: there is no device management.
    Disabled,
    /// A device is looked up if the caller names one.
    Optional(Mdm),
    /// Every request for credentials must name a managed and compliant device.
    Required(Mdm),
}

/// Why a device is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DeviceRefused {
    /// The request names none.
    #[error("no device_id, and a device is required")]
    Missing,
    /// The system does not know it, or knows several.
    #[error("device refused: {0}")]
    Unverified(PostureError),
    /// It is not under management.
    #[error("device refused: it is not managed")]
    Unmanaged,
    /// It does not comply.
    #[error("device refused: it is not compliant")]
    NotCompliant,
}

/// What came of looking for the caller's device.
#[derive(Debug)]
pub enum DeviceLookUp {
    /// It was not looked for: the caller names none, or there is no device management.
    None,
    /// It is known.
    Known(Posture),
    /// It could not be looked up, and need not be known.
    Unknown(PostureError),
}

impl DeviceLookUp {
    /// The device, if it is known.
    #[must_use]
    pub fn known(&self) -> Option<&Device> {
        match self {
            Self::Known(posture) => Some(&posture.device),
            Self::None | Self::Unknown(_) => None,
        }
    }
}

impl DeviceCheck {
    pub(super) fn new(
        setting: &DeviceSetting,
        aws: &aws_config::SdkConfig,
    ) -> Result<Self, &'static str> {
        match setting {
            DeviceSetting::Disabled => Ok(Self::Disabled),
            DeviceSetting::Optional(settings, secret) => {
                mdm(settings, secret, aws).map(Self::Optional)
            }
            DeviceSetting::Required(settings, secret) => {
                mdm(settings, secret, aws).map(Self::Required)
            }
        }
    }

    pub(super) async fn warm(&self, now: UtcDateTime) {
        if let Self::Optional(mdm) | Self::Required(mdm) = self {
            mdm.warm(now).await;
        }
    }

    /// What the device management is asked with, if there is one.
    pub(super) fn secret(&self) -> Option<&CachedSecret<MdmCredential>> {
        match self {
            Self::Disabled => None,
            Self::Optional(mdm) | Self::Required(mdm) => Some(mdm.secret()),
        }
    }

    /// Looks up the device that a request names, and refuses what must be refused.
    pub(crate) async fn check(
        &self,
        device: Option<&DeviceId>,
        now: UtcDateTime,
    ) -> Result<DeviceLookUp, Error> {
        match (self, device) {
            (Self::Disabled, _) | (Self::Optional(_), None) => Ok(DeviceLookUp::None),
            (Self::Optional(mdm), Some(device)) => Ok(mdm
                .posture(device, now)
                .await
                .map_or_else(DeviceLookUp::Unknown, DeviceLookUp::Known)),
            (Self::Required(_), None) => Err(DeviceRefused::Missing.into()),
            (Self::Required(mdm), Some(device)) => {
                required(mdm.posture(device, now).await).map(DeviceLookUp::Known)
            }
        }
    }
}

fn required(posture: Result<Posture, PostureError>) -> Result<Posture, Error> {
    match posture {
        Ok(posture) if !posture.device.managed => Err(DeviceRefused::Unmanaged.into()),
        Ok(posture) if !posture.device.compliant => Err(DeviceRefused::NotCompliant.into()),
        Ok(posture) => Ok(posture),
        Err(error @ (PostureError::UnknownDevice | PostureError::AmbiguousDevice)) => {
            Err(DeviceRefused::Unverified(error).into())
        }
        Err(error @ (PostureError::Secret(_) | PostureError::Upstream { .. })) => {
            Err(Upstream::Unavailable { service: "device management", cause: error.to_string() }
                .into())
        }
    }
}

fn mdm(
    settings: &MdmSettings,
    secret: &MdmSecret,
    aws: &aws_config::SdkConfig,
) -> Result<Mdm, &'static str> {
    let secret = match secret {
        MdmSecret::SecretsManager(id, ttl) => CachedSecret::from_secrets_manager(aws, id, *ttl),
        MdmSecret::Environment(token) => CachedSecret::fixed(token.clone()),
    };
    Mdm::new(settings.clone(), secret)
}
