//! The services that the function talks to, made from its settings.

mod readings;

pub(crate) use readings::Reported;
pub use readings::ServiceReadings;

use crate::caller_proof::CallerProof;
use crate::client_token::ClientTokenCheck;
use crate::config::{Config, ConfigError};
use crate::mdm::DeviceCheck;
use crate::policy_store::{PolicyStore, ReloadError};
use crate::rate_limit::RateLimiter;
use crate::sts::Sts;
use time::UtcDateTime;

/// How long the start waits for the services.
const WARM_UP: std::time::Duration = std::time::Duration::from_secs(2);

/// One client per service, shared by all requests.
#[derive(Debug)]
pub struct Services {
    /// The policy in force.
    pub policies: PolicyStore,
    /// The rate limiter.
    pub limiter: RateLimiter,
    /// The optional proof of identity.
    pub caller_proof: CallerProof,
    /// The optional second factor.
    pub client_tokens: ClientTokenCheck,
    /// The device check.
    pub devices: DeviceCheck,
    /// The issuer of credentials.
    pub sts: Sts,
}

impl Services {
    /// The services that `config` asks for, in the region, at the endpoints and with the
    /// credentials of `aws`; the policy as it is at `now`.
    ///
    /// # Errors
    /// Every problem that keeps a service from being made, the policy's included.
    pub async fn open(
        config: &Config,
        aws: &aws_config::SdkConfig,
        now: UtcDateTime,
    ) -> Result<Self, ConfigError> {
        let policies = PolicyStore::open(&config.policy, aws, now).await;
        let devices = DeviceCheck::new(&config.device, aws, &config.https);
        let (policies, devices) = match (policies, devices) {
            (Ok(policies), Ok(devices)) => (policies, devices),
            (policies, devices) => {
                let mut problems = policies.err().map(lines).unwrap_or_default();
                problems.extend(devices.err().map(str::to_owned));
                return Err(ConfigError(problems));
            }
        };
        Ok(Self {
            policies,
            limiter: RateLimiter::new(&config.rate_limit, aws),
            caller_proof: CallerProof::new(&config.caller_proof, aws),
            client_tokens: ClientTokenCheck::new(&config.client_token, aws),
            devices,
            sts: Sts::new(aws),
        })
    }

    /// Opens the connections and loads the secrets, all at once, so that the first request does not
    /// wait for them. Logs each failure; the request that needs the service tries again.
    pub async fn warm(&self, now: UtcDateTime) {
        let all = async {
            tokio::join!(
                self.limiter.warm(now),
                self.sts.warm(),
                self.devices.warm(now),
                self.client_tokens.warm(now)
            )
        };
        if tokio::time::timeout(WARM_UP, all).await.is_err() {
            tracing::warn!("a service did not answer during the start; requests will try again");
        }
    }
}

fn lines(error: ReloadError) -> Vec<String> {
    match error {
        ReloadError::Bundle(bundle) => bundle.0,
        error => vec![error.to_string()],
    }
}
