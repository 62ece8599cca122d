//! The services that the function talks to, made from its settings.

mod readings;

pub(crate) use readings::Reported;
pub use readings::ServiceReadings;

use crate::caller_proof::CallerProof;
use crate::client_token::ClientTokenCheck;
use crate::config::{Config, ConfigError};
use crate::grants::Grants;
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
    /// Requests for access, and approvals.
    pub grants: Grants,
    /// The issuer of credentials.
    pub sts: Sts,
}

/// The services but the policy. Some may turn out to be unusable.
struct Clients {
    limiter: Result<RateLimiter, &'static str>,
    caller_proof: CallerProof,
    client_tokens: ClientTokenCheck,
    devices: Result<DeviceCheck, &'static str>,
    grants: Grants,
    sts: Sts,
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
        Clients::new(config, aws).with(policies)
    }

    /// The same, with open connections and loaded secrets, so that the first request does not wait
    /// for them. The policy is parsed while they wait for the network.
    pub async fn open_warm(
        config: &Config,
        aws: &aws_config::SdkConfig,
        now: UtcDateTime,
    ) -> Result<Self, ConfigError> {
        let clients = Clients::new(config, aws);
        let policies = PolicyStore::open(&config.policy, aws, now);
        let ((), policies) = tokio::join!(biased; clients.warm(now), policies);
        clients.with(policies)
    }
}

impl Clients {
    fn new(config: &Config, aws: &aws_config::SdkConfig) -> Self {
        Self {
            limiter: RateLimiter::new(&config.rate_limit, aws),
            caller_proof: CallerProof::new(&config.caller_proof, aws),
            client_tokens: ClientTokenCheck::new(&config.client_token, aws),
            devices: DeviceCheck::new(&config.device, aws, &config.https),
            grants: Grants::new(&config.grants, aws),
            sts: Sts::new(aws),
        }
    }

    /// Opens all connections at once. Logs each failure; the request that needs the service tries
    /// again.
    async fn warm(&self, now: UtcDateTime) {
        let limiter = async {
            if let Ok(limiter) = &self.limiter {
                limiter.warm(now).await;
            }
        };
        let devices = async {
            if let Ok(devices) = &self.devices {
                devices.warm(now).await;
            }
        };
        let all = async {
            tokio::join!(
                limiter,
                self.sts.warm(),
                devices,
                self.client_tokens.warm(now),
                self.grants.warm()
            )
        };
        if tokio::time::timeout(WARM_UP, all).await.is_err() {
            tracing::warn!("a service did not answer during the start; requests will try again");
        }
    }

    fn with(self, policies: Result<PolicyStore, ReloadError>) -> Result<Services, ConfigError> {
        let Self { limiter, caller_proof, client_tokens, devices, grants, sts } = self;
        match (policies, limiter, devices) {
            (Ok(policies), Ok(limiter), Ok(devices)) => Ok(Services {
                policies,
                limiter,
                caller_proof,
                client_tokens,
                devices,
                grants,
                sts,
            }),
            (policies, limiter, devices) => {
                let mut problems = policies.err().map(lines).unwrap_or_default();
                problems.extend(limiter.err().into_iter().chain(devices.err()).map(str::to_owned));
                Err(ConfigError(problems))
            }
        }
    }
}

fn lines(error: ReloadError) -> Vec<String> {
    match error {
        ReloadError::Bundle(bundle) => bundle.0,
        error => vec![error.to_string()],
    }
}
