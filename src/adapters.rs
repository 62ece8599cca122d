//! What the function talks to, made from its settings.

use crate::config::Config;
use crate::error::Error;
use crate::rate_limit::RateLimiter;
use crate::secret::{CachedSecret, ClientTokens};
use crate::sts::Sts;
use time::{Duration, UtcDateTime};

/// How long client tokens are cached. A token that is not among them has them asked for anew, once a minute at most.
const CLIENT_TOKEN_TTL: Duration = Duration::hours(1);

/// One client per service, shared by all requests.
#[derive(Debug)]
pub struct Adapters {
    /// Who is admitted.
    pub limiter: RateLimiter,
    /// Whether callers must carry a token.
    pub client_tokens: ClientTokenCheck,
    /// Who issues.
    pub sts: Sts,
}

impl Adapters {
    /// The clients that `config` asks for, on the region, endpoints and credentials of `aws`.
    #[must_use]
    pub fn new(config: &Config, aws: &aws_config::SdkConfig) -> Self {
        Self {
            limiter: RateLimiter::new(&config.rate_limit, aws),
            client_tokens: ClientTokenCheck::new(&config.client_token, aws),
            sts: Sts::new(aws),
        }
    }
}

/// How long the start waits for the services.
const WARM_UP: std::time::Duration = std::time::Duration::from_secs(2);

impl Adapters {
    /// Opens the connections and loads the secrets, all at once, so that the first request does not wait for them. What fails is
    /// logged, and tried again by the request that needs it.
    pub async fn warm(&self, now: UtcDateTime) {
        let client_tokens = async {
            if let ClientTokenCheck::Required(secret) = &self.client_tokens {
                // A failure is logged by the cache.
                let _ = secret.value(now).await;
            }
        };
        let all = async { tokio::join!(self.limiter.warm(now), self.sts.warm(), client_tokens) };
        if tokio::time::timeout(WARM_UP, all).await.is_err() {
            tracing::warn!("a service did not answer during the start; requests go on trying");
        }
    }
}

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
            ClientTokenSetting::Required(id) => Self::Required(CachedSecret::from_secrets_manager(aws, id, CLIENT_TOKEN_TTL)),
        }
    }

    /// Checks the token that a request carries. A wrong one is checked again against the secret as it is now, so that a token
    /// just added to it works at once.
    pub(crate) async fn check(&self, presented: Option<&str>, now: UtcDateTime) -> Result<(), Error> {
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
