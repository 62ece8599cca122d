//! Secrets from Secrets Manager, cached.
//!
//! - Within its TTL the cached value is served.
//! - After that one request reads it again, and all others wait for that read.
//! - If Secrets Manager does not answer, the old value serves for one more TTL, with a warning. After
//!   that, or without an old value, the request fails.
//! - If Secrets Manager says that the secret is gone or access denied, the old value ends with its
//!   TTL.
//!
//! Invariant: a secret is a type that prints `[REDACTED]`, has no `==`, and is zeroed when it is
//! dropped.

mod source;

use crate::clock::age;
use crate::lock::lock;
use crate::refreshed::Refreshed;
use serde::Serialize;
use source::{SecretSource, Text};
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use time::{Duration, UtcDateTime};

/// How often a caller who found a value rejected can make the cache read it again.
const FORCED_INTERVAL: Duration = Duration::seconds(60);

/// A value that can be read from a secret's text.
pub trait FromSecret: Sized + Send + Sync + 'static {
    /// Reads the text; the error says what is wrong with it, and never quotes it.
    fn from_secret(text: &str) -> Result<Self, &'static str>;
}

/// Why there is no value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// Secrets Manager refused with this code: check the ARN and `secretsmanager:GetSecretValue`.
    #[error("Secrets Manager refused with {0}")]
    Refused(String),
    /// Secrets Manager did not answer.
    #[error("Secrets Manager is out of reach: {0}")]
    Unavailable(String),
    /// The secret does not have the expected form.
    #[error("the secret is malformed: {0}")]
    Malformed(&'static str),
}

impl SecretError {
    /// Whether somebody has taken the secret away: it is deleted, its key does not decrypt it, or the
    /// permission to read it is gone.
    /// Source: the Secrets Manager API reference on `GetSecretValue`, "Errors".
    fn is_withdrawal(&self) -> bool {
        const CODES: [&str; 4] = [
            "AccessDeniedException",
            "DecryptionFailure",
            "InvalidRequestException",
            "ResourceNotFoundException",
        ];
        matches!(self, Self::Refused(code) if CODES.contains(&code.as_str()))
    }
}

/// A value and its freshness.
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
    /// It is.
    Fresh,
    /// It is older, because Secrets Manager did not return a new one.
    Stale,
}

/// A cached secret. Clones share the cache.
pub struct CachedSecret<T: FromSecret> {
    cache: Refreshed<SecretSource<T>>,
    ttl: Duration,
    forced_at: Arc<Mutex<Option<UtcDateTime>>>,
    /// Whether the secret was withdrawn since the last successful read.
    withdrawn: Arc<AtomicBool>,
}

impl<T: FromSecret> Clone for CachedSecret<T> {
    fn clone(&self) -> Self {
        Self {
            cache: self.cache.clone(),
            ttl: self.ttl,
            forced_at: Arc::clone(&self.forced_at),
            withdrawn: Arc::clone(&self.withdrawn),
        }
    }
}

impl<T: FromSecret> fmt::Debug for CachedSecret<T> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("CachedSecret([REDACTED])")
    }
}

impl<T: FromSecret> CachedSecret<T> {
    /// The secret with this name or ARN, in the region, at the endpoint and with the credentials of
    /// `config`.
    #[must_use]
    pub fn from_secrets_manager(config: &aws_config::SdkConfig, id: &str, ttl: Duration) -> Self {
        Self::new(Text::secrets_manager(config, id), ttl)
    }

    /// A secret that was given at the start and does not change.
    #[must_use]
    pub fn fixed(text: secrecy::SecretString) -> Self {
        Self::new(Text::Fixed(text), Duration::MAX)
    }

    fn new(text: Text, ttl: Duration) -> Self {
        let cache = Refreshed::empty(SecretSource::new(text));
        Self { cache, ttl, forced_at: Arc::default(), withdrawn: Arc::default() }
    }

    /// The value at `now`.
    pub async fn value(&self, now: UtcDateTime) -> Result<Served<T>, SecretError> {
        if let Some(value) = self.cache.younger_than(self.ttl, now) {
            return Ok(Served { value, freshness: Freshness::Fresh });
        }
        let read = match self.cache.read(now) {
            Ok(flight) => flight.await,
            Err(error) => Err(error),
        };
        self.served(read, now)
    }

    /// The value, read again because somebody found the cached one rejected. At most once a minute;
    /// in between, the cached one.
    pub async fn refreshed(&self, now: UtcDateTime) -> Result<Served<T>, SecretError> {
        if self.may_force(now) {
            let read = self.cache.read_at_once(now).await;
            self.served(read, now)
        } else {
            self.value(now).await
        }
    }

    /// The held value's age at `now` in seconds; `None` if nothing is held or the secret never
    /// changes.
    pub(crate) fn age(&self, now: UtcDateTime) -> Option<u64> {
        self.cache.age_seconds(now).filter(|_| self.cache.source().changes())
    }

    /// How many reads have failed since the start.
    pub(crate) fn failures(&self) -> u64 {
        self.cache.failures()
    }

    fn may_force(&self, now: UtcDateTime) -> bool {
        let mut forced_at = lock(&self.forced_at);
        let may = forced_at.is_none_or(|at| age(at, now) >= FORCED_INTERVAL);
        if may {
            *forced_at = Some(now);
        }
        may
    }

    /// The read value; after a failure the old one, for one TTL beyond its own.
    fn served(
        &self,
        read: Result<Arc<T>, SecretError>,
        now: UtcDateTime,
    ) -> Result<Served<T>, SecretError> {
        let error = match read {
            Ok(value) => {
                self.withdrawn.store(false, Relaxed);
                return Ok(Served { value, freshness: Freshness::Fresh });
            }
            Err(error) => error,
        };
        // Somebody has taken the secret away. An outage after that does not bring it back.
        if self.withdrawn.fetch_or(error.is_withdrawal(), Relaxed) || error.is_withdrawal() {
            return Err(error);
        }
        let old = self.cache.younger_than(self.ttl.saturating_mul(2), now).ok_or(error)?;
        Ok(Served { value: old, freshness: Freshness::Stale })
    }
}
