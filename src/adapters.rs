//! What the function talks to, made from its settings.

mod client_tokens;
mod devices;
mod readings;

pub use client_tokens::{ClientTokenCheck, ClientTokenSetting};
pub use devices::{DeviceCheck, DeviceLookUp, DeviceRefused};
pub(crate) use readings::Told;

use crate::config::{Config, ConfigError};
use crate::policy_store::PolicyStore;
use crate::rate_limit::RateLimiter;
use crate::sts::Sts;
use time::UtcDateTime;

/// How long the start waits for the services.
const WARM_UP: std::time::Duration = std::time::Duration::from_secs(2);

/// One client per service, shared by all requests.
#[derive(Debug)]
pub struct Adapters {
    /// What decides.
    pub policies: PolicyStore,
    /// Who is admitted.
    pub limiter: RateLimiter,
    /// Whether callers must carry a token.
    pub client_tokens: ClientTokenCheck,
    /// What is asked of devices.
    pub devices: DeviceCheck,
    /// Who issues.
    pub sts: Sts,
}

impl Adapters {
    /// The clients that `config` asks for, on the region, endpoints and credentials of `aws`, and the policy at `now`.
    ///
    /// # Errors
    /// What keeps a client from being made, or that there is no policy.
    pub async fn open(
        config: &Config,
        aws: &aws_config::SdkConfig,
        now: UtcDateTime,
    ) -> Result<Self, ConfigError> {
        let policies = PolicyStore::open(&config.policy, aws, now).await;
        let devices = DeviceCheck::new(&config.device, aws);
        let (policies, devices) = match (policies, devices) {
            (Ok(policies), Ok(devices)) => (policies, devices),
            (policies, devices) => {
                let problems = [
                    policies.err().map(|error| error.to_string()),
                    devices.err().map(str::to_owned),
                ];
                return Err(ConfigError(problems.into_iter().flatten().collect()));
            }
        };
        Ok(Self {
            policies,
            limiter: RateLimiter::new(&config.rate_limit, aws),
            client_tokens: ClientTokenCheck::new(&config.client_token, aws),
            devices,
            sts: Sts::new(aws),
        })
    }

    /// Opens the connections and loads the secrets, all at once, so that the first request does not wait for them. What fails is
    /// logged, and tried again by the request that needs it.
    pub async fn warm(&self, now: UtcDateTime) {
        let client_tokens = async {
            if let ClientTokenCheck::Required(secret) = &self.client_tokens {
                // A failure is logged by the cache.
                let _ = secret.value(now).await;
            }
        };
        let all = async {
            tokio::join!(
                self.limiter.warm(now),
                self.sts.warm(),
                self.devices.warm(now),
                client_tokens
            )
        };
        if tokio::time::timeout(WARM_UP, all).await.is_err() {
            tracing::warn!("a service did not answer during the start; requests go on trying");
        }
    }
}
