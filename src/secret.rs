//! Secrets from Secrets Manager, cached.
//!
//! A value is asked for once per TTL, by one request however many wait for it, and no lock is held while it is under way. If
//! Secrets Manager fails, the old value serves for one more TTL, with a warning; after that, and without an old value, there is an
//! error. Invariant: a secret is a type that prints `[REDACTED]`, has no `==`, and is zeroed when it is dropped.

mod client_tokens;
mod mdm_credential;
mod source;

pub use client_tokens::{ClientTokenInvalid, ClientTokens};
pub use mdm_credential::MdmCredential;

use crate::age::{age, age_seconds};
use crate::single_flight::{Errand, SingleFlight};
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use serde::Serialize;
use source::Source;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use time::{Duration, UtcDateTime};

/// After a failure Secrets Manager is left alone for this long.
const PAUSE: Duration = Duration::seconds(10);
/// A caller who has found a value rejected can have it asked for anew this often.
const FORCED_INTERVAL: Duration = Duration::seconds(60);

/// A refresh that began this long ago is under way no more: Secrets Manager is given three seconds.
const ABANDONED: Duration = Duration::seconds(4);

/// What a secret's text must be turned into.
pub trait FromSecret: Sized + Send + Sync + 'static {
    /// Reads the text; the error says what is wrong with it, and never quotes it.
    fn from_secret(text: &str) -> Result<Self, &'static str>;
}

/// Why there is no value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// Secrets Manager refuses, with this code: check the ARN and `secretsmanager:GetSecretValue`.
    #[error("Secrets Manager refused with {0}")]
    Refused(String),
    /// Secrets Manager did not answer.
    #[error("Secrets Manager is out of reach: {0}")]
    Unavailable(String),
    /// The secret is not what it should be.
    #[error("the secret is malformed: {0}")]
    Malformed(&'static str),
}

/// A value, and how far it can be trusted to be current.
#[derive(Debug)]
pub struct Served<T> {
    /// The value.
    pub value: Arc<T>,
    /// Whether it is within its TTL.
    pub freshness: Freshness,
}

/// Whether a cached value is within its TTL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Freshness {
    /// Yes.
    Fresh,
    /// No: Secrets Manager did not give a new one.
    Stale,
}

/// A cached secret. Clones share the cache.
pub struct CachedSecret<T>(Arc<Inner<T>>);

struct Inner<T> {
    source: Source,
    ttl: Duration,
    state: Mutex<State<T>>,
    failures: AtomicU64,
}

struct State<T> {
    held: Option<Held<T>>,
    /// The refresh that brought it.
    newest: Errand,
    refreshing: SingleFlight<Result<Arc<T>, SecretError>>,
    failed_at: Option<(UtcDateTime, SecretError)>,
    forced_at: Option<UtcDateTime>,
}

struct Held<T> {
    value: Arc<T>,
    since: UtcDateTime,
}

type Refresh<T> = Shared<BoxFuture<'static, Result<Arc<T>, SecretError>>>;

impl<T> Clone for CachedSecret<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> fmt::Debug for CachedSecret<T> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("CachedSecret([REDACTED])")
    }
}

impl<T: FromSecret> CachedSecret<T> {
    /// The secret with this name or ARN, on the region, endpoint and credentials of `config`.
    #[must_use]
    pub fn from_secrets_manager(config: &aws_config::SdkConfig, id: &str, ttl: Duration) -> Self {
        Self::new(Source::secrets_manager(config, id), ttl)
    }

    /// A secret that was given at the start and does not change.
    #[must_use]
    pub fn fixed(text: secrecy::SecretString) -> Self {
        Self::new(Source::Fixed(text), Duration::MAX)
    }

    fn new(source: Source, ttl: Duration) -> Self {
        let state = State {
            held: None,
            newest: Errand::default(),
            refreshing: SingleFlight::new(ABANDONED),
            failed_at: None,
            forced_at: None,
        };
        Self(Arc::new(Inner { source, ttl, state: Mutex::new(state), failures: AtomicU64::new(0) }))
    }

    /// The value at `now`.
    pub async fn value(&self, now: UtcDateTime) -> Result<Served<T>, SecretError> {
        let refresh = {
            let mut state = self.0.lock();
            if let Some(held) = state.held.as_ref().filter(|held| age(held.since, now) < self.0.ttl)
            {
                return Ok(Served { value: Arc::clone(&held.value), freshness: Freshness::Fresh });
            }
            if let Some((_, error)) =
                state.failed_at.clone().filter(|(at, _)| age(*at, now) < PAUSE)
            {
                return self.0.stale(&state, now).ok_or(error);
            }
            state.join(&self.0, now)
        };
        self.settled(refresh, now).await
    }

    /// Seconds, at `now`, since the value that is held was read; none if there is none, or if it does not change.
    pub(crate) fn age(&self, now: UtcDateTime) -> Option<u64> {
        let since = self
            .0
            .lock()
            .held
            .as_ref()
            .map(|held| held.since)
            .filter(|_| self.0.source.changes())?;
        Some(age_seconds(since, now))
    }

    /// How often it could not be read, since the start.
    pub(crate) fn failures(&self) -> u64 {
        self.0.failures.load(Ordering::Relaxed)
    }

    /// The value, asked for anew because somebody has found the cached one rejected. At most once a minute; in between, the
    /// cached one.
    pub async fn refreshed(&self, now: UtcDateTime) -> Result<Served<T>, SecretError> {
        let refresh = {
            let mut state = self.0.lock();
            if state.forced_at.is_some_and(|at| age(at, now) < FORCED_INTERVAL) {
                None
            } else {
                state.forced_at = Some(now);
                Some(state.join(&self.0, now))
            }
        };
        match refresh {
            Some(refresh) => self.settled(refresh, now).await,
            None => self.value(now).await,
        }
    }

    async fn settled(
        &self,
        refresh: Refresh<T>,
        now: UtcDateTime,
    ) -> Result<Served<T>, SecretError> {
        match refresh.await {
            Ok(value) => Ok(Served { value, freshness: Freshness::Fresh }),
            Err(error) => self.0.stale(&self.0.lock(), now).ok_or(error),
        }
    }
}

impl<T: FromSecret> Inner<T> {
    /// The old value, for one TTL beyond its own.
    fn stale(&self, state: &State<T>, now: UtcDateTime) -> Option<Served<T>> {
        let held =
            state.held.as_ref().filter(|held| age(held.since, now) < self.ttl.saturating_mul(2))?;
        Some(Served { value: Arc::clone(&held.value), freshness: Freshness::Stale })
    }

    async fn fetch(
        self: Arc<Self>,
        errand: Errand,
        now: UtcDateTime,
    ) -> Result<Arc<T>, SecretError> {
        let text = self.source.text().await;
        let value = text.and_then(|text| {
            let value = T::from_secret(secrecy::ExposeSecret::expose_secret(&text));
            value.map(Arc::new).map_err(SecretError::Malformed)
        });
        let mut state = self.lock();
        state.refreshing.done(errand);
        // One that was held up must not undo a later one.
        if errand <= state.newest {
            return value;
        }
        match &value {
            Ok(value) => {
                state.newest = errand;
                state.held = Some(Held { value: Arc::clone(value), since: now });
                state.failed_at = None;
            }
            Err(error) => {
                self.failures.fetch_add(1, Ordering::Relaxed);
                tracing::warn!(%error, secret = self.source.name(), "a secret could not be refreshed; the old value serves for a while");
                state.failed_at = Some((now, error.clone()));
            }
        }
        value
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: FromSecret> State<T> {
    fn join(&mut self, inner: &Arc<Inner<T>>, now: UtcDateTime) -> Refresh<T> {
        self.refreshing.join(now, |errand| Arc::clone(inner).fetch(errand, now).boxed())
    }
}
