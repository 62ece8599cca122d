//! The optional second factor: a token that callers send in `X-Sentinel-Token`, beside their IAM
//! identity.

mod tokens;

pub use tokens::{ClientTokenInvalid, ClientTokens};

use crate::secret::{CachedSecret, SecretError};
use time::{Duration, UtcDateTime};

/// The settings of the second factor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClientTokenSettings {
    /// Callers need no token.
    NotRequired,
    /// Callers need one of the tokens in a secret.
    Required {
        /// The secret's name or ARN.
        secret: String,
        /// How long the tokens are cached.
        ttl: Duration,
    },
}

/// Why a request's token is not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClientTokenError {
    /// The token is missing or wrong.
    #[error(transparent)]
    Invalid(#[from] ClientTokenInvalid),
    /// The valid tokens are not known.
    #[error("the client tokens are out of reach: {0}")]
    Unavailable(#[from] SecretError),
}

/// Checks the second factor.
#[derive(Debug)]
pub enum ClientTokenCheck {
    /// Callers need no token.
    NotRequired,
    /// Callers need one of these.
    Required(CachedSecret<ClientTokens>),
}

impl ClientTokenCheck {
    /// The check that `settings` ask for, its secret in the region, at the endpoint and with the
    /// credentials of `aws`.
    #[must_use]
    pub fn new(settings: &ClientTokenSettings, aws: &aws_config::SdkConfig) -> Self {
        match settings {
            ClientTokenSettings::NotRequired => Self::NotRequired,
            ClientTokenSettings::Required { secret, ttl } => {
                Self::Required(CachedSecret::from_secrets_manager(aws, secret, *ttl))
            }
        }
    }

    /// Loads the tokens before the first request. The cache logs a failure.
    pub(crate) async fn warm(&self, now: UtcDateTime) {
        if let Self::Required(secret) = self {
            let _ = secret.value(now).await;
        }
    }

    /// The secret that holds the tokens.
    pub(crate) fn secret(&self) -> Option<&CachedSecret<ClientTokens>> {
        match self {
            Self::NotRequired => None,
            Self::Required(secret) => Some(secret),
        }
    }

    /// Checks the token that a request carries.
    ///
    /// A wrong token is checked once more against the secret as it is now, at most once a minute: a
    /// token that was just added works at once.
    pub(crate) async fn check(
        &self,
        presented: Option<&str>,
        now: UtcDateTime,
    ) -> Result<(), ClientTokenError> {
        let Self::Required(secret) = self else {
            return Ok(());
        };
        if secret.value(now).await?.value.verify(presented).is_ok() {
            return Ok(());
        }
        Ok(secret.refreshed(now).await?.value.verify(presented)?)
    }
}
