//! The policy in force: from the package, or from SSM Parameter Store, where it may change at any
//! time.
//!
//! Lambda freezes the process between requests, so each request judges the bundle's age:
//!
//! | age | what happens |
//! |---|---|
//! | below two thirds of the TTL | nothing |
//! | the last third | a reload runs beside the request; the held bundle decides |
//! | past the TTL | the request waits for the reload, for a bounded time |
//! | past the maximum age | no decision: the request fails |
//!
//! Invariants: while Parameter Store answers with a bundle that loads, no decision rests on one
//! older than the TTL. A reload replaces the bundle as a whole or not at all. If it fails, the last
//! good bundle stays in force, with a warning, and `/v1/health` reports it as stale.

mod parameters;

pub use parameters::{InvalidPath, ParameterPath};

use crate::clock::age_seconds;
use crate::policy::{BundleError, BundleFiles, BundleOptions, Policy};
use crate::refreshed::{Outcome, Refreshed};
use crate::single_flight::Flight;
use parameters::{Parameters, first_policy};
use serde::Serialize;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use time::{Duration, UtcDateTime};

/// How long a reload may take, all pages included, and how long a request waits for one.
const RELOAD: std::time::Duration = std::time::Duration::from_secs(3);

/// The settings of the policy.
#[derive(Debug, Clone)]
pub struct PolicySettings {
    /// Where the bundle is.
    pub source: PolicySource,
    /// What applies to every bundle from there.
    pub options: BundleOptions,
}

/// Where the bundle is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PolicySource {
    /// In a directory, which does not change while the function runs.
    Directory(PathBuf),
    /// In the parameters below a path.
    Parameters {
        /// The path.
        path: ParameterPath,
        /// How long a bundle is used before it is read again.
        ttl: Duration,
        /// How long a bundle decides if it cannot be read again.
        max_age: Duration,
    },
}

/// Why no bundle could be loaded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReloadError {
    /// Parameter Store refused with this code: check the path and `ssm:GetParametersByPath`.
    #[error("Parameter Store refused with {0}")]
    Refused(String),
    /// Parameter Store did not answer.
    #[error("Parameter Store is out of reach: {0}")]
    Unavailable(String),
    /// Parameter Store did not answer in time.
    #[error("Parameter Store did not answer in time")]
    TimedOut,
    /// The bundle there does not load.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// Loading the bundle panicked.
    #[error("loading the policy panicked")]
    Panicked,
}

/// The policy in force. Clones share it.
#[derive(Clone)]
pub struct PolicyStore(Store);

#[derive(Clone)]
enum Store {
    Fixed {
        policy: Arc<Policy>,
        since: UtcDateTime,
    },
    Reloaded {
        policy: Refreshed<Parameters>,
        /// The policy of the start, which stands in until `policy` holds one.
        first: Arc<Policy>,
        ttl: Duration,
        max_age: Duration,
    },
}

/// The held policy is older than its maximum age, because reloads fail. It could still permit what
/// has been withdrawn since.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the policy could not be reloaded for {0} s, longer than its maximum age")]
pub struct PolicyTooOld(pub u64);

/// The state of the policy in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PolicyHealth {
    /// `directory` or `ssm`.
    pub source: &'static str,
    /// The number of profiles in the catalogue.
    pub profiles: usize,
    /// The digest of its files.
    pub digest: String,
    /// Seconds since the source was last known to hold it; since the start for a directory.
    pub age_seconds: u64,
    /// Whether it is older than the TTL because reloads fail.
    pub stale: bool,
    /// Whether it is past its maximum age, so that nothing is decided.
    #[serde(skip)]
    pub too_old: bool,
}

impl PolicySettings {
    /// Every problem of a bundle in a directory. Parameter Store is not asked.
    #[must_use]
    pub fn problems(&self) -> Vec<String> {
        match &self.source {
            PolicySource::Directory(directory) => {
                let loaded = BundleFiles::from_directory(directory)
                    .and_then(|files| Policy::load(&files, &self.options));
                loaded.err().map(|BundleError(problems)| problems).unwrap_or_default()
            }
            PolicySource::Parameters { .. } => Vec::new(),
        }
    }
}

/// Loads a bundle. A large one takes a while, so it happens beside the async threads.
async fn load(files: BundleFiles, options: BundleOptions) -> Result<Arc<Policy>, ReloadError> {
    let loaded = tokio::task::spawn_blocking(move || Policy::load(&files, &options)).await;
    Ok(Arc::new(loaded.map_err(|_| ReloadError::Panicked)??))
}

impl fmt::Debug for PolicyStore {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("PolicyStore").field("held", &self.held().digest()).finish_non_exhaustive()
    }
}

impl PolicyStore {
    /// Loads the bundle that `settings` name, in the region, at the endpoint and with the
    /// credentials of `aws`.
    ///
    /// # Errors
    /// Why there is no first bundle. Without one nothing can be decided, so the start fails.
    pub async fn open(
        settings: &PolicySettings,
        aws: &aws_config::SdkConfig,
        now: UtcDateTime,
    ) -> Result<Self, ReloadError> {
        match &settings.source {
            PolicySource::Directory(directory) => {
                let files = BundleFiles::from_directory(directory)?;
                Ok(Self::fixed(load(files, settings.options.clone()).await?, now))
            }
            PolicySource::Parameters { path, ttl, max_age } => {
                let parameters = Parameters::new(aws, path, settings.options.clone(), *ttl);
                let first = first_policy(&parameters).await?;
                announce(&first);
                let policy = Refreshed::holding(parameters, Arc::clone(&first), now);
                Ok(Self(Store::Reloaded { policy, first, ttl: *ttl, max_age: *max_age }))
            }
        }
    }

    /// A policy that never changes, loaded at `since`.
    #[must_use]
    pub fn fixed(policy: Arc<Policy>, since: UtcDateTime) -> Self {
        announce(&policy);
        Self(Store::Fixed { policy, since })
    }

    /// Begins a reload if one is due. It runs beside the request.
    pub fn renew(&self, now: UtcDateTime) {
        let _ = self.reload_if_due(now);
    }

    /// The policy that decides at `now`.
    ///
    /// # Errors
    /// The held policy is past its maximum age, and could not be reloaded.
    pub async fn current(&self, now: UtcDateTime) -> Result<Arc<Policy>, PolicyTooOld> {
        if let Some(reload) = self.reload_if_due(now)
            && self.is_past_ttl(now)
            && tokio::time::timeout(RELOAD, reload).await.is_err()
        {
            tracing::warn!("the policy reload takes too long; the last good policy decides");
        }
        if self.is_too_old(now) {
            return Err(PolicyTooOld(self.age(now).unwrap_or_default()));
        }
        Ok(self.held())
    }

    /// The policy in force, however old.
    #[must_use]
    pub fn held(&self) -> Arc<Policy> {
        match &self.0 {
            Store::Fixed { policy, .. } => Arc::clone(policy),
            Store::Reloaded { policy, first, .. } => {
                policy.held().unwrap_or_else(|| Arc::clone(first))
            }
        }
    }

    /// The state of the policy at `now`.
    #[must_use]
    pub fn health(&self, now: UtcDateTime) -> PolicyHealth {
        let held = self.held();
        let (source, age_seconds, failing) = match &self.0 {
            Store::Fixed { since, .. } => ("directory", age_seconds(*since, now), false),
            Store::Reloaded { policy, .. } => {
                ("ssm", self.age(now).unwrap_or_default(), policy.is_failing())
            }
        };
        PolicyHealth {
            source,
            profiles: held.profile_count(),
            digest: held.digest().to_owned(),
            age_seconds,
            stale: self.is_past_ttl(now) && failing,
            too_old: self.is_too_old(now),
        }
    }

    /// Seconds, at `now`, since Parameter Store was last known to hold this policy; `None` for a
    /// directory bundle.
    #[must_use]
    pub fn age(&self, now: UtcDateTime) -> Option<u64> {
        match &self.0 {
            Store::Fixed { .. } => None,
            Store::Reloaded { policy, .. } => policy.age_seconds(now),
        }
    }

    /// How many reloads have failed since the start.
    #[must_use]
    pub fn failures(&self) -> u64 {
        match &self.0 {
            Store::Fixed { .. } => 0,
            Store::Reloaded { policy, .. } => policy.failures(),
        }
    }

    /// The running reload or a new one; `None` if none is due.
    fn reload_if_due(&self, now: UtcDateTime) -> Option<Flight<Outcome<Parameters>>> {
        let Store::Reloaded { policy, ttl, .. } = &self.0 else {
            return None;
        };
        if policy.younger_than(*ttl * 2 / 3, now).is_some() {
            return None;
        }
        let reload = policy.read(now).ok()?;
        // The reload continues while this request waits for something else.
        tokio::spawn(reload.clone());
        Some(reload)
    }

    fn is_too_old(&self, now: UtcDateTime) -> bool {
        match &self.0 {
            Store::Fixed { .. } => false,
            Store::Reloaded { policy, max_age, .. } => {
                policy.age(now).is_none_or(|age| age > *max_age)
            }
        }
    }

    fn is_past_ttl(&self, now: UtcDateTime) -> bool {
        match &self.0 {
            Store::Fixed { .. } => false,
            Store::Reloaded { policy, ttl, .. } => policy.younger_than(*ttl, now).is_none(),
        }
    }
}

fn announce(policy: &Policy) {
    tracing::info!(
        digest = policy.digest(),
        profiles = policy.profile_count(),
        "this policy is in force"
    );
    for warning in policy.warnings() {
        tracing::warn!(warning, "policy bundle");
    }
}
