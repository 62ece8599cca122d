//! The policy in force: from the package, or from SSM Parameter Store, where it may change at any time.
//!
//! Lambda freezes the process between requests, so the age of a bundle is judged when a request comes. In the last third of its
//! TTL a reload runs beside what the request waits for anyway; past the TTL the request waits for the reload, for a bounded time.
//! Invariants: while Parameter Store answers with a bundle that loads, no decision rests on one older than the TTL. There is one
//! reload at a time, and it replaces the bundle as a whole or not at all: when it fails, the last good one stays in force, with
//! a warning, and is told as stale.

mod parameters;

pub use parameters::{InvalidPath, ParameterPath};

use crate::age::{age, age_seconds};
use crate::policy::{BundleError, BundleText, Policy, Terms};
use crate::single_flight::{Errand, SingleFlight};
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use parameters::Parameters;
use serde::Serialize;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use time::{Duration, UtcDateTime};

/// How long a reload may take, all pages included, and how long a request waits for one.
const RELOAD: std::time::Duration = std::time::Duration::from_secs(3);
/// How often a start looks again, and after which pause.
const START_TRIES: u32 = 3;
const START_PAUSE: std::time::Duration = std::time::Duration::from_secs(1);
/// A reload that began this long ago is under way no more.
const ABANDONED: Duration = Duration::seconds(4);
/// After a failure Parameter Store is left alone for this long, or for the TTL if that is shorter.
const PAUSE: Duration = Duration::seconds(5);

/// Where the policy comes from.
#[derive(Debug, Clone)]
pub enum PolicySetting {
    /// From a directory, which does not change while the function runs.
    Directory(Arc<Policy>),
    /// From the parameters below a path.
    Parameters {
        /// The path.
        path: ParameterPath,
        /// How long a bundle is relied on.
        ttl: Duration,
        /// What holds for every bundle there.
        terms: Terms,
    },
}

/// Why a bundle could not be had.
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
    /// What is there does not load.
    #[error(transparent)]
    Bundle(#[from] BundleError),
}

/// The policy in force. Clones share it.
#[derive(Clone)]
pub struct PolicyStore(Arc<Inner>);

struct Inner {
    source: Source,
    state: Mutex<State>,
    failures: AtomicU64,
}

enum Source {
    Directory,
    Parameters { parameters: Parameters, ttl: Duration, terms: Terms },
}

struct State {
    held: Arc<Policy>,
    /// When the text of `held` was last known to be what is there.
    since: UtcDateTime,
    /// The reload that brought it.
    newest: Errand,
    reloading: SingleFlight<()>,
    failed_at: Option<UtcDateTime>,
}

type Reload = Shared<BoxFuture<'static, ()>>;

/// What is known of the policy in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PolicyHealth {
    /// `directory` or `ssm`.
    pub source: &'static str,
    /// How many profiles the catalogue has.
    pub profiles: usize,
    /// The digest of its text.
    pub digest: String,
    /// Seconds since it was last known to be what is there: since the start for a directory.
    pub age_seconds: u64,
    /// Whether that is longer than the TTL because reloads fail.
    pub stale: bool,
}

impl fmt::Debug for PolicyStore {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("PolicyStore").field("held", &self.held().digest()).finish_non_exhaustive()
    }
}

impl PolicyStore {
    /// The policy as `setting` has it, on the region, endpoint and credentials of `aws`.
    ///
    /// # Errors
    /// Why there is no first bundle. Nothing can be decided without one, so this ends the start.
    pub async fn open(
        setting: &PolicySetting,
        aws: &aws_config::SdkConfig,
        now: UtcDateTime,
    ) -> Result<Self, ReloadError> {
        let (source, held) = match setting {
            PolicySetting::Directory(policy) => (Source::Directory, Arc::clone(policy)),
            PolicySetting::Parameters { path, ttl, terms } => {
                let parameters = Parameters::new(aws, path);
                let held = Arc::new(Policy::load(&first_text(&parameters).await?, terms)?);
                (Source::Parameters { parameters, ttl: *ttl, terms: terms.clone() }, held)
            }
        };
        announce(&held);
        let state = State {
            held,
            since: now,
            newest: Errand::default(),
            reloading: SingleFlight::new(ABANDONED),
            failed_at: None,
        };
        Ok(Self(Arc::new(Inner { source, state: Mutex::new(state), failures: AtomicU64::new(0) })))
    }

    /// Begins a reload, if it is time for one, beside whatever the request does next.
    pub fn renew(&self, now: UtcDateTime) {
        let _ = self.reload_if_due(now);
    }

    /// The policy to decide by at `now`.
    pub async fn current(&self, now: UtcDateTime) -> Arc<Policy> {
        if let Some(reload) = self.reload_if_due(now)
            && self.0.is_past_ttl(&self.0.lock(), now)
            && tokio::time::timeout(RELOAD, reload).await.is_err()
        {
            tracing::warn!("the policy is being reloaded for too long; the last good one decides");
        }
        self.held()
    }

    /// The policy in force, however old.
    #[must_use]
    pub fn held(&self) -> Arc<Policy> {
        Arc::clone(&self.0.lock().held)
    }

    /// What is known of it at `now`.
    #[must_use]
    pub fn health(&self, now: UtcDateTime) -> PolicyHealth {
        let state = self.0.lock();
        PolicyHealth {
            source: match self.0.source {
                Source::Directory => "directory",
                Source::Parameters { .. } => "ssm",
            },
            profiles: state.held.profile_count(),
            digest: state.held.digest().to_owned(),
            age_seconds: age_seconds(state.since, now),
            stale: self.0.is_past_ttl(&state, now) && state.failed_at.is_some(),
        }
    }

    /// Seconds, at `now`, since the policy in force was last known to be what Parameter Store has; none of a directory.
    #[must_use]
    pub fn age(&self, now: UtcDateTime) -> Option<u64> {
        match self.0.source {
            Source::Directory => None,
            Source::Parameters { .. } => Some(age_seconds(self.0.lock().since, now)),
        }
    }

    /// How many reloads have failed since the start.
    #[must_use]
    pub fn failures(&self) -> u64 {
        self.0.failures.load(Ordering::Relaxed)
    }

    /// The reload under way, or a new one; none if it is not time for one.
    fn reload_if_due(&self, now: UtcDateTime) -> Option<Reload> {
        let Source::Parameters { ttl, .. } = self.0.source else {
            return None;
        };
        let mut state = self.0.lock();
        let paused = state.failed_at.is_some_and(|at| age(at, now) < PAUSE.min(ttl));
        if paused || age(state.since, now) < ttl * 2 / 3 {
            return None;
        }
        let inner = Arc::clone(&self.0);
        Some(state.reloading.join(now, |errand| {
            let reload = inner.reload(errand, now).boxed().shared();
            // So that it goes on while the request that began it waits for something else.
            tokio::spawn(reload.clone());
            reload.boxed()
        }))
    }
}

impl Inner {
    fn is_past_ttl(&self, state: &State, now: UtcDateTime) -> bool {
        match self.source {
            Source::Directory => false,
            Source::Parameters { ttl, .. } => age(state.since, now) >= ttl,
        }
    }

    /// Asks for the bundle as it is, and swaps it in. `now` is when this began: what is read later may be older than it looks.
    async fn reload(self: Arc<Self>, errand: Errand, now: UtcDateTime) {
        let outcome = match &self.source {
            Source::Directory => return,
            Source::Parameters { parameters, terms, .. } => match parameters.text(RELOAD).await {
                Ok(text) => self.load(text, terms.clone()).await,
                Err(error) => Err(error),
            },
        };
        let mut state = self.lock();
        state.reloading.done(errand);
        // One that was held up must not undo a later one.
        if errand <= state.newest {
            return;
        }
        match outcome {
            Ok(fresh) => {
                if state.held.digest() != fresh.digest() {
                    announce(&fresh);
                }
                (state.held, state.since, state.newest, state.failed_at) =
                    (fresh, now, errand, None);
            }
            Err(error) => {
                self.failures.fetch_add(1, Ordering::Relaxed);
                // The pause begins when a reload ends.
                state.failed_at =
                    Some(if error == ReloadError::TimedOut { now + RELOAD } else { now });
                let age_seconds = age_seconds(state.since, now);
                tracing::warn!(%error, age_seconds, "the policy could not be reloaded; the last good one stays in force");
            }
        }
    }

    /// The policy of `text`: the one in force, if that has the same. A large one takes a while, in which others must not wait.
    async fn load(&self, text: BundleText, terms: Terms) -> Result<Arc<Policy>, ReloadError> {
        let held = Arc::clone(&self.lock().held);
        if held.digest() == text.digest() {
            return Ok(held);
        }
        let loaded = tokio::task::spawn_blocking(move || Policy::load(&text, &terms)).await;
        Ok(Arc::new(
            loaded.map_err(|_| ReloadError::Unavailable("it could not be loaded".to_owned()))??,
        ))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The first bundle's text. In the middle of a change, or of a throttling by many starts at once, a second look may do; Lambda
/// gives a start ten seconds.
async fn first_text(parameters: &Parameters) -> Result<BundleText, ReloadError> {
    let mut text = parameters.text(RELOAD).await;
    for _ in 0..START_TRIES {
        match &text {
            Err(ReloadError::Unavailable(_)) => {}
            Err(ReloadError::Bundle(error)) if error.is_mixture() => {}
            _ => break,
        }
        tokio::time::sleep(START_PAUSE).await;
        text = parameters.text(RELOAD).await;
    }
    text
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
