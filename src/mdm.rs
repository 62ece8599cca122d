//! Device posture: what the organisation's device-management system (MDM) knows of the device that
//! a request names.
//!
//! Invariant: a posture comes from the MDM, within one time limit for the whole look-up, and
//! describes exactly one device, whose identifier is the requested one. Anything else is a
//! [`PostureError`]. Postures of compliant devices are cached for a short time, those of other
//! devices never: a device that was just repaired passes at once.

mod base_url;
mod check;
mod credential;
mod http;
mod intune;
mod jamf;
mod kandji;
mod oauth;
mod posture;

pub use base_url::BaseUrl;
pub use check::{DeviceCheck, DeviceError, DeviceLookUp, DeviceSettings, MdmSecret};
pub use credential::MdmCredential;
pub use posture::{Posture, PostureError, PostureSource};

use self::http::{Http, HttpError};
use crate::clock::age;
use crate::device::Device;
use crate::https::Https;
use crate::lock::lock;
use crate::request::DeviceId;
use crate::secret::{CachedSecret, SecretError, Served};
use lru::LruCache;
use oauth::{AccessTokens, TokenEndpoint};
use secrecy::SecretString;
use std::fmt;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex};
use time::UtcDateTime;

/// The bound of the posture cache.
const MAX_CACHED: NonZeroUsize = NonZeroUsize::new(1_000).unwrap();

/// The system that manages the devices.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Provider {
    /// Jamf Pro; the base URL is the server's.
    Jamf,
    /// Microsoft Intune; the base URL is Microsoft Graph's.
    Intune {
        /// The Entra tenant: its GUID or one of its domain names.
        tenant_id: String,
    },
    /// Kandji, now Iru; the base URL is the tenant's API URL.
    Kandji,
}

impl Provider {
    /// The provider's name in settings, policies and logs.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Jamf => "jamf",
            Self::Intune { .. } => "intune",
            Self::Kandji => "kandji",
        }
    }
}

/// The settings of the device-management system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MdmSettings {
    /// The product.
    pub provider: Provider,
    /// The address of its API.
    pub base_url: BaseUrl,
    /// The time limit of one look-up, secret and access token included.
    pub timeout: std::time::Duration,
    /// How long the posture of a compliant device is cached.
    pub posture_ttl: time::Duration,
}

/// The device-management system.
pub struct Mdm {
    settings: MdmSettings,
    secret: CachedSecret<MdmCredential>,
    /// `None` if the provider takes no client credentials.
    token_endpoint: Option<TokenEndpoint>,
    access_tokens: AccessTokens,
    http: Http,
    postures: Mutex<LruCache<String, CachedPosture>>,
}

struct CachedPosture {
    posture: Posture,
    since: UtcDateTime,
}

impl fmt::Debug for Mdm {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Mdm").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl Mdm {
    /// The system with these settings; `secret` is read when it is needed.
    ///
    /// # Errors
    /// Names the setting that does not work.
    pub fn new(
        settings: MdmSettings,
        secret: CachedSecret<MdmCredential>,
        https: &Https,
    ) -> Result<Self, &'static str> {
        let token_endpoint = match &settings.provider {
            Provider::Jamf => Some(jamf::token_endpoint(&settings.base_url)),
            Provider::Intune { tenant_id } => {
                Some(intune::token_endpoint(&settings.base_url, tenant_id)?)
            }
            Provider::Kandji => None,
        };
        let http = Http::new(https);
        let postures = Mutex::new(LruCache::new(MAX_CACHED));
        Ok(Self {
            settings,
            secret,
            token_endpoint,
            access_tokens: AccessTokens::default(),
            http,
            postures,
        })
    }

    /// The secret that holds the credential.
    pub(crate) fn secret(&self) -> &CachedSecret<MdmCredential> {
        &self.secret
    }

    /// Loads the secret, and an access token where one is needed, before the first request. A
    /// failure is only logged: the first request tries again.
    pub async fn warm(&self, now: UtcDateTime) {
        let ready = self.bounded(async {
            let secret = self.secret.value(now).await?;
            Ok(self.token(&secret, now).await?)
        });
        if let Err(error) = ready.await {
            tracing::warn!(%error, provider = self.settings.provider.name(), "device postures may not be available");
        }
    }

    /// The posture of a device at `now`.
    pub async fn posture(
        &self,
        device: &DeviceId,
        now: UtcDateTime,
    ) -> Result<Posture, PostureError> {
        if let Some(posture) = self.recall(device, now) {
            return Ok(posture);
        }
        let posture = self.bounded(self.look_up(device, now)).await?;
        self.remember(device, &posture, now);
        Ok(posture)
    }

    /// The result, or an error when the time limit is over.
    async fn bounded<T>(
        &self,
        result: impl Future<Output = Result<T, PostureError>>,
    ) -> Result<T, PostureError> {
        let in_time = tokio::time::timeout(self.settings.timeout, result).await;
        in_time.unwrap_or_else(|_| Err(PostureError::upstream("time-out")))
    }

    async fn look_up(&self, device: &DeviceId, now: UtcDateTime) -> Result<Posture, PostureError> {
        let secret = self.secret.value(now).await?;
        match self.ask(device, &secret, now).await {
            Ok(device) => {
                Ok(Posture { device, secret: secret.freshness, source: PostureSource::Mdm })
            }
            Err(HttpError::Unauthorized) => self.look_up_again(device, &secret, now).await,
            Err(failure) => Err(failure.into()),
        }
    }

    /// The MDM rejected the credential, as it does after a rotation. Tries once more with a freshly
    /// read one.
    async fn look_up_again(
        &self,
        device: &DeviceId,
        rejected: &Served<MdmCredential>,
        now: UtcDateTime,
    ) -> Result<Posture, PostureError> {
        let secret = self.secret.refreshed(now).await?;
        let is_plain_token = matches!(*secret.value, MdmCredential::Token(_));
        if is_plain_token && Arc::ptr_eq(&secret.value, &rejected.value) {
            return Err(HttpError::Unauthorized.into());
        }
        let device = self.ask(device, &secret, now).await?;
        Ok(Posture { device, secret: secret.freshness, source: PostureSource::Mdm })
    }

    async fn ask(
        &self,
        device: &DeviceId,
        secret: &Served<MdmCredential>,
        now: UtcDateTime,
    ) -> Result<Device, HttpError> {
        let token = self.token(secret, now).await?;
        let (http, base, id) = (&self.http, &self.settings.base_url, device.as_str());
        let found = match self.settings.provider {
            Provider::Jamf => jamf::find(http, base, &token, id).await,
            Provider::Intune { .. } => intune::find(http, base, &token, id).await,
            Provider::Kandji => kandji::find(http, base, &token, id, now).await,
        };
        if matches!(found, Err(HttpError::Unauthorized)) {
            self.access_tokens.forget(&token);
        }
        found
    }

    /// The bearer token: the secret itself, or the access token it is exchanged for.
    async fn token(
        &self,
        secret: &Served<MdmCredential>,
        now: UtcDateTime,
    ) -> Result<Arc<SecretString>, HttpError> {
        match (&*secret.value, &self.token_endpoint) {
            (MdmCredential::Token(token), _) => Ok(Arc::new(token.clone())),
            (MdmCredential::OAuth { client_id, client_secret }, Some(endpoint)) => {
                self.access_tokens
                    .token(&self.http, endpoint, (client_id, client_secret), now)
                    .await
            }
            (MdmCredential::OAuth { .. }, None) => Err(PostureError::Secret(
                SecretError::Malformed("this provider takes a token, not client credentials"),
            )
            .into()),
        }
    }

    fn recall(&self, device: &DeviceId, now: UtcDateTime) -> Option<Posture> {
        let mut postures = lock(&self.postures);
        let cached = postures
            .get(&key(device))
            .filter(|cached| age(cached.since, now) < self.settings.posture_ttl)?;
        Some(Posture { source: PostureSource::Cache, ..cached.posture.clone() })
    }

    fn remember(&self, device: &DeviceId, posture: &Posture, now: UtcDateTime) {
        let mut postures = lock(&self.postures);
        if posture.device.managed && posture.device.compliant {
            postures.put(key(device), CachedPosture { posture: posture.clone(), since: now });
        } else {
            postures.pop(&key(device));
        }
    }
}

/// The cache's key: identifiers are compared without regard to case.
fn key(device: &DeviceId) -> String {
    device.as_str().to_ascii_lowercase()
}
