//! Whether callers must carry a token beside their IAM identity.

use crate::error::Error;
use crate::secret::{CachedSecret, ClientTokens};
use time::{Duration, UtcDateTime};

/// How long client tokens are cached. A token that is not among them has them asked for anew, once a minute at most.
const CLIENT_TOKEN_TTL: Duration = Duration::hours(1);

/// Which token callers must carry, as the settings have it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClientTokenSetting {
    /// None.
    NotRequired,
    /// One of those in the secret with this name or ARN.
    Required(String),
}

/// Whether callers must carry a token.
#[derive(Debug)]
pub enum ClientTokenCheck {
    /// No.
    NotRequired,
    /// One of these.
    Required(CachedSecret<ClientTokens>),
}

impl ClientTokenCheck {
    /// The check that `setting` asks for.
    #[must_use]
    pub fn new(setting: &ClientTokenSetting, aws: &aws_config::SdkConfig) -> Self {
        match setting {
            ClientTokenSetting::NotRequired => Self::NotRequired,
            ClientTokenSetting::Required(id) => {
                Self::Required(CachedSecret::from_secrets_manager(aws, id, CLIENT_TOKEN_TTL))
            }
        }
    }

    /// Checks the token that a request carries. A wrong one is checked again against the secret as it is now, so that a token
    /// just added to it works at once.
    pub(crate) async fn check(
        &self,
        presented: Option<&str>,
        now: UtcDateTime,
    ) -> Result<(), Error> {
        let Self::Required(secret) = self else {
            return Ok(());
        };
        let tokens = secret.value(now).await?.value;
        if tokens.verify(presented).is_ok() {
            return Ok(());
        }
        Ok(secret.refreshed(now).await?.value.verify(presented)?)
    }
}
