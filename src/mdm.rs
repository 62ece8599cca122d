//! Device posture: what the organisation's device-management system knows of the device a caller says to be on.
//!
//! Invariant: a posture comes from the system, within one time-out for everything a look-up needs, and is of exactly one device
//! whose identifier is the one asked for. Whatever else happens is a [`PostureError`], which is a refusal. Postures of compliant
//! devices are remembered for a short while; of others never, so that a device that was put in order is seen at once.

mod base_url;
mod http;
mod intune;
mod jamf;
mod kandji;
mod oauth;
mod posture;

pub use base_url::BaseUrl;
pub use posture::{Posture, PostureError, PostureSource};

use crate::device::Device;
use crate::request::DeviceId;
use crate::secret::{CachedSecret, MdmCredential, SecretError, Served};
use http::{Failure, Http};
use lru::LruCache;
use oauth::{AccessTokens, TokenEndpoint};
use secrecy::SecretString;
use std::fmt;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use time::UtcDateTime;

/// How many postures are remembered.
const MAX_REMEMBERED: NonZeroUsize = NonZeroUsize::new(1_000).unwrap();

/// Which system manages the devices.
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
    /// The provider as settings, policies and logs spell it.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Jamf => "jamf",
            Self::Intune { .. } => "intune",
            Self::Kandji => "kandji",
        }
    }
}

/// How the system is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MdmSettings {
    /// Which system it is.
    pub provider: Provider,
    /// Where it is.
    pub base_url: BaseUrl,
    /// How long one look-up may take, with everything it needs.
    pub timeout: std::time::Duration,
    /// How long the posture of a compliant device is remembered.
    pub posture_ttl: time::Duration,
}

/// The device-management system.
pub struct Mdm {
    settings: MdmSettings,
    secret: CachedSecret<MdmCredential>,
    /// None if the provider takes no client credentials.
    token_endpoint: Option<TokenEndpoint>,
    access_tokens: AccessTokens,
    http: Http,
    remembered: Mutex<LruCache<String, Remembered>>,
}

struct Remembered {
    posture: Posture,
    since: UtcDateTime,
}

impl fmt::Debug for Mdm {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Mdm").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl Mdm {
    /// The system with these settings; the secret is asked for when it is needed. The error says which setting is wrong.
    pub fn new(
        settings: MdmSettings,
        secret: CachedSecret<MdmCredential>,
    ) -> Result<Self, &'static str> {
        let token_endpoint = match &settings.provider {
            Provider::Jamf => Some(jamf::token_endpoint(&settings.base_url)),
            Provider::Intune { tenant_id } => {
                Some(intune::token_endpoint(&settings.base_url, tenant_id)?)
            }
            Provider::Kandji => None,
        };
        let http = Http::new(&settings.base_url)?;
        let remembered = Mutex::new(LruCache::new(MAX_REMEMBERED));
        Ok(Self {
            settings,
            secret,
            token_endpoint,
            access_tokens: AccessTokens::default(),
            http,
            remembered,
        })
    }

    /// What the system is asked with.
    pub(crate) fn secret(&self) -> &CachedSecret<MdmCredential> {
        &self.secret
    }

    /// Loads the secret, and an access token where one is needed, ahead of the first request. A failure is only logged: the
    /// first request tries again.
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

    /// What is being waited for, or an error when the time is over.
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
            Err(Failure::Unauthorized) => self.look_up_again(device, &secret, now).await,
            Err(failure) => Err(failure.into()),
        }
    }

    /// After a rotation the cached secret, or the token it was exchanged for, is refused. A new one gets one more try.
    async fn look_up_again(
        &self,
        device: &DeviceId,
        refused: &Served<MdmCredential>,
        now: UtcDateTime,
    ) -> Result<Posture, PostureError> {
        let secret = self.secret.refreshed(now).await?;
        let is_plain_token = matches!(*secret.value, MdmCredential::Token(_));
        if is_plain_token && Arc::ptr_eq(&secret.value, &refused.value) {
            return Err(Failure::Unauthorized.into());
        }
        let device = self.ask(device, &secret, now).await?;
        Ok(Posture { device, secret: secret.freshness, source: PostureSource::Mdm })
    }

    async fn ask(
        &self,
        device: &DeviceId,
        secret: &Served<MdmCredential>,
        now: UtcDateTime,
    ) -> Result<Device, Failure> {
        let token = self.token(secret, now).await?;
        let (http, base, id) = (&self.http, &self.settings.base_url, device.as_str());
        let found = match self.settings.provider {
            Provider::Jamf => jamf::find(http, base, &token, id).await,
            Provider::Intune { .. } => intune::find(http, base, &token, id).await,
            Provider::Kandji => kandji::find(http, base, &token, id, now).await,
        };
        if matches!(found, Err(Failure::Unauthorized)) {
            self.access_tokens.forget(&token);
        }
        found
    }

    /// The bearer token: the secret itself, or what it is exchanged for.
    async fn token(
        &self,
        secret: &Served<MdmCredential>,
        now: UtcDateTime,
    ) -> Result<Arc<SecretString>, Failure> {
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
        let mut remembered = self.remembered();
        let held = remembered
            .get(&key(device))
            .filter(|held| now - held.since < self.settings.posture_ttl)?;
        Some(Posture { source: PostureSource::Cache, ..held.posture.clone() })
    }

    fn remember(&self, device: &DeviceId, posture: &Posture, now: UtcDateTime) {
        if posture.device.managed && posture.device.compliant {
            self.remembered().put(key(device), Remembered { posture: posture.clone(), since: now });
        } else {
            self.remembered().pop(&key(device));
        }
    }

    fn remembered(&self) -> MutexGuard<'_, LruCache<String, Remembered>> {
        self.remembered.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Identifiers are compared without regard to case.
fn key(device: &DeviceId) -> String {
    device.as_str().to_ascii_lowercase()
}
