//! A value that is read from a source and read again when it grows old.
//!
//! Lambda freezes the process between requests, so no timer runs here: each request judges the
//! value's age from its own `now`.
//!
//! Invariants:
//! - One read at a time, however many requests wait for it, and no lock is held while it runs.
//! - A failed read keeps the held value, is counted, and gives the source a pause.
//! - A read that was held up never replaces the value of a newer one.

use crate::clock::{age, age_seconds};
use crate::lock::lock;
use crate::single_flight::{Attempt, Flight, SingleFlight};
use futures_util::FutureExt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use time::{Duration, UtcDateTime};

/// Where a value comes from.
pub(crate) trait Source: Send + Sync + 'static {
    /// What a read returns.
    type Value: Send + Sync + 'static;
    /// Why a read failed.
    type Error: Clone + Send + Sync + 'static;

    /// A read that began this long ago has been given up.
    const ABANDONED_AFTER: Duration;

    /// Reads the value. `held` is the last good one; a source may return it again if nothing
    /// changed.
    fn read(&self, held: Option<Arc<Self::Value>>) -> impl Future<Output = Outcome<Self>> + Send;

    /// How long to leave the source alone after `error`, counted from the begin of the failed read.
    fn pause(&self, error: &Self::Error) -> Duration;

    /// Logs a read that counts. `age` is that of the held value, if there is one.
    fn report(
        &self,
        outcome: &Outcome<Self>,
        held: Option<&Arc<Self::Value>>,
        age: Option<Duration>,
    );
}

/// The result of a read.
pub(crate) type Outcome<S> = Result<Arc<<S as Source>::Value>, <S as Source>::Error>;

/// A value kept fresh from a [`Source`]. Clones share it.
pub(crate) struct Refreshed<S: Source>(Arc<Inner<S>>);

struct Inner<S: Source> {
    source: S,
    state: Mutex<State<S>>,
    failures: AtomicU64,
}

struct State<S: Source> {
    held: Option<Held<S::Value>>,
    reading: SingleFlight<Outcome<S>>,
    /// The newest read that succeeded.
    newest: Attempt,
    /// The newest failure, if no read has succeeded since.
    failed: Option<(UtcDateTime, S::Error)>,
}

struct Held<T> {
    value: Arc<T>,
    /// When the read that returned it began: the source may have changed since then.
    since: UtcDateTime,
}

impl<S: Source> Clone for Refreshed<S> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<S: Source> Refreshed<S> {
    /// Holds nothing yet.
    pub(crate) fn empty(source: S) -> Self {
        Self::new(source, None)
    }

    /// Holds `value`, read at `since`.
    pub(crate) fn holding(source: S, value: Arc<S::Value>, since: UtcDateTime) -> Self {
        Self::new(source, Some(Held { value, since }))
    }

    fn new(source: S, held: Option<Held<S::Value>>) -> Self {
        let state = State {
            held,
            reading: SingleFlight::new(S::ABANDONED_AFTER),
            newest: Attempt::default(),
            failed: None,
        };
        Self(Arc::new(Inner { source, state: Mutex::new(state), failures: AtomicU64::new(0) }))
    }

    /// The source.
    pub(crate) fn source(&self) -> &S {
        &self.0.source
    }

    /// The held value, if it is younger than `limit` at `now`.
    pub(crate) fn younger_than(&self, limit: Duration, now: UtcDateTime) -> Option<Arc<S::Value>> {
        let state = lock(&self.0.state);
        let held = state.held.as_ref().filter(|held| age(held.since, now) < limit)?;
        Some(Arc::clone(&held.value))
    }

    /// The held value, however old.
    pub(crate) fn held(&self) -> Option<Arc<S::Value>> {
        lock(&self.0.state).held.as_ref().map(|held| Arc::clone(&held.value))
    }

    /// The held value's age at `now`.
    pub(crate) fn age(&self, now: UtcDateTime) -> Option<Duration> {
        lock(&self.0.state).held.as_ref().map(|held| age(held.since, now))
    }

    /// [`Self::age`] in whole seconds.
    pub(crate) fn age_seconds(&self, now: UtcDateTime) -> Option<u64> {
        lock(&self.0.state).held.as_ref().map(|held| age_seconds(held.since, now))
    }

    /// Whether the newest read failed.
    pub(crate) fn is_failing(&self) -> bool {
        lock(&self.0.state).failed.is_some()
    }

    /// How many reads have failed since the start.
    pub(crate) fn failures(&self) -> u64 {
        self.0.failures.load(Ordering::Relaxed)
    }

    /// Joins the running read or begins one.
    ///
    /// # Errors
    /// The newest failure, while the source has its pause.
    pub(crate) fn read(&self, now: UtcDateTime) -> Result<Flight<Outcome<S>>, S::Error> {
        let mut state = lock(&self.0.state);
        if let Some((at, error)) = &state.failed
            && age(*at, now) < self.0.source.pause(error)
        {
            return Err(error.clone());
        }
        Ok(self.0.join(&mut state, now))
    }

    /// [`Self::read`] without regard to the pause.
    pub(crate) fn read_at_once(&self, now: UtcDateTime) -> Flight<Outcome<S>> {
        self.0.join(&mut lock(&self.0.state), now)
    }
}

impl<S: Source> Inner<S> {
    fn join(self: &Arc<Self>, state: &mut State<S>, now: UtcDateTime) -> Flight<Outcome<S>> {
        let inner = Arc::clone(self);
        state.reading.join(now, |attempt| inner.attempt(attempt, now).boxed())
    }

    async fn attempt(self: Arc<Self>, attempt: Attempt, now: UtcDateTime) -> Outcome<S> {
        let held = lock(&self.state).held.as_ref().map(|held| Arc::clone(&held.value));
        let outcome = self.source.read(held).await;
        let mut state = lock(&self.state);
        state.reading.ended(attempt);
        if attempt <= state.newest {
            return outcome;
        }
        let held = state.held.as_ref();
        self.source.report(
            &outcome,
            held.map(|held| &held.value),
            held.map(|held| age(held.since, now)),
        );
        match &outcome {
            Ok(value) => {
                state.newest = attempt;
                state.held = Some(Held { value: Arc::clone(value), since: now });
                state.failed = None;
            }
            Err(error) => {
                self.failures.fetch_add(1, Ordering::Relaxed);
                state.failed = Some((now, error.clone()));
            }
        }
        outcome
    }
}
