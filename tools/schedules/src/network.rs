//! What lies between the instances and the table: requests and answers that arrive, are lost or
//! arrive late; and the time.
//!
//! Invariant: every choice comes from the schedule's seed.

use crate::dynamo::Database;
use shuttle::future::{JoinHandle, spawn, yield_now};
use shuttle::rand::{Rng, thread_rng};
use std::cell::RefCell;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::Duration;

/// What happens to requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weather {
    /// Every request and every answer arrives.
    Fine,
    /// Some are lost or late, some fail, some are throttled.
    Rough,
    /// None arrives.
    Away,
    /// Every request is throttled.
    Throttling,
    /// The table refuses every request: a permission is missing.
    Refusing,
}

/// Who ends an attempt that hangs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Patience {
    /// The client's time-out for one attempt, always.
    Client,
    /// That, or the caller's own time-out for all of them.
    Caller,
}

/// What happens to one attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Answered,
    /// The table did it, the answer was lost.
    AnswerLost,
    /// The request was lost.
    Lost,
    /// The attempt timed out, and the table does it later.
    Late,
    /// Nothing happens until the caller gives up; the table may do it then.
    Hangs,
    Throttled,
    /// A server error; the table may have done it.
    Failed,
    Refused,
}

/// Why an attempt has no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    NoConnection,
    TimeOut,
    Throttled,
    Failed,
    Refused,
}

impl Fault {
    /// Whether the SDK sends the request again. Source: "Retry behavior" in the AWS SDKs and Tools
    /// reference guide, standard mode.
    pub(crate) fn is_retried(self) -> bool {
        self != Self::Refused
    }
}

thread_local! {
    static CURRENT: RefCell<Option<Arc<Network>>> = const { RefCell::new(None) };
}

/// The network and the table of one schedule.
#[derive(Debug)]
pub struct Network {
    /// The tables.
    pub database: Database,
    weather: Mutex<Weather>,
    /// The true time, in microseconds since the Unix epoch.
    clock: AtomicU64,
    patience: Patience,
    hangs: AtomicBool,
    late: Mutex<Vec<JoinHandle<()>>>,
}

impl Network {
    /// A fine network at this time, which the clients of this thread use from now on.
    #[must_use]
    pub fn enter(database: Database, clock: u64, patience: Patience) -> Arc<Self> {
        let network = Arc::new(Self {
            database,
            weather: Mutex::new(Weather::Fine),
            clock: AtomicU64::new(clock),
            patience,
            hangs: AtomicBool::new(false),
            late: Mutex::default(),
        });
        CURRENT.with_borrow_mut(|current| *current = Some(Arc::clone(&network)));
        network
    }

    /// That of the schedule that this thread runs.
    pub(crate) fn current() -> Arc<Self> {
        CURRENT.with_borrow(Clone::clone).unwrap_or_else(|| panic!("no network"))
    }

    /// Changes what happens to requests.
    pub fn set(&self, weather: Weather) {
        *lock(&self.weather) = weather;
    }

    pub(crate) fn weather(&self) -> Weather {
        *lock(&self.weather)
    }

    /// The true time, in microseconds since the Unix epoch.
    pub fn now(&self) -> u64 {
        self.clock.load(Relaxed)
    }

    /// Lets time pass.
    pub fn pass(&self, micros: u64) {
        self.clock.fetch_add(micros, Relaxed);
    }

    /// A number greater than all before: the order of what happens.
    pub fn moment(&self) -> u64 {
        self.database.moment()
    }

    /// Waits for the writes that are still on their way.
    pub async fn settle(&self) {
        loop {
            let Some(late) = lock(&self.late).pop() else { return };
            let _ = late.await;
        }
    }

    /// Sends a request, which `act` carries out, at most `attempts` times.
    pub(crate) async fn call<T: 'static>(
        self: Arc<Self>,
        attempts: u32,
        act: impl Fn(&Database) -> T + Clone + Send + 'static,
    ) -> Result<T, Fault> {
        let mut left = attempts;
        loop {
            left -= 1;
            match self.attempt(act.clone()).await {
                Err(fault) if fault.is_retried() && left > 0 => {}
                result => return result,
            }
        }
    }

    async fn attempt<T: 'static>(
        self: &Arc<Self>,
        act: impl Fn(&Database) -> T + Send + 'static,
    ) -> Result<T, Fault> {
        yield_now().await;
        match self.fate() {
            Fate::Answered => {
                let answer = act(&self.database);
                yield_now().await;
                Ok(answer)
            }
            Fate::AnswerLost => {
                act(&self.database);
                yield_now().await;
                Err(Fault::NoConnection)
            }
            Fate::Late => {
                self.later(act);
                Err(Fault::TimeOut)
            }
            Fate::Hangs => {
                if coin() {
                    self.later(act);
                }
                if self.patience == Patience::Client {
                    return Err(Fault::TimeOut);
                }
                self.hangs.store(true, Relaxed);
                std::future::pending().await
            }
            Fate::Failed => {
                if coin() && self.weather() == Weather::Rough {
                    act(&self.database);
                }
                Err(Fault::Failed)
            }
            Fate::Lost => Err(Fault::NoConnection),
            Fate::Throttled => Err(Fault::Throttled),
            Fate::Refused => Err(Fault::Refused),
        }
    }

    fn later<T: 'static>(self: &Arc<Self>, act: impl Fn(&Database) -> T + Send + 'static) {
        let network = Arc::clone(self);
        let late = spawn(async move {
            for _ in 0..draw(1, 6) {
                yield_now().await;
            }
            act(&network.database);
        });
        lock(&self.late).push(late);
    }

    fn fate(&self) -> Fate {
        match (self.weather(), draw(0, 19)) {
            (Weather::Fine, _) | (Weather::Rough, 0..=8) => Fate::Answered,
            (Weather::Throttling, _) | (Weather::Rough, 9) => Fate::Throttled,
            (Weather::Refusing, _) => Fate::Refused,
            (Weather::Rough, 10..=12) => Fate::AnswerLost,
            (Weather::Rough, 13..=14) => Fate::Late,
            (Weather::Rough, 15..=16) | (Weather::Away, 0..=3) => Fate::Hangs,
            (Weather::Rough, 17) | (Weather::Away, 4..=7) => Fate::Failed,
            (Weather::Rough | Weather::Away, _) => Fate::Lost,
        }
    }

    /// Whether the caller gives up now.
    fn is_given_up(&self) -> bool {
        self.hangs.swap(false, Relaxed) || (self.weather() == Weather::Rough && draw(0, 39) == 0)
    }
}

/// The time-out of the function: comes when a request hangs, and sometimes at any other wait.
///
/// # Errors
/// [`GivenUp`] if it came.
pub async fn timeout<F: Future>(_limit: Duration, future: F) -> Result<F::Output, GivenUp> {
    let mut future = pin!(future);
    let network = Network::current();
    poll_fn(|context| match future.as_mut().poll(context) {
        Poll::Ready(output) => Poll::Ready(Ok(output)),
        Poll::Pending if network.is_given_up() => Poll::Ready(Err(GivenUp)),
        Poll::Pending => Poll::Pending,
    })
    .await
}

/// Runs `future`, which its caller may drop at any wait: Lambda's deadline is near. `None` if so.
pub(crate) async fn unless_dropped<F: Future>(future: F, chance: u64) -> Option<F::Output> {
    let mut future = pin!(future);
    poll_fn(|context| match future.as_mut().poll(context) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending if chance > 0 && draw(1, chance) == 1 => Poll::Ready(None),
        Poll::Pending => Poll::Pending,
    })
    .await
}

/// The time-out came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GivenUp;

/// A number from `least` to `most`.
#[must_use]
pub fn draw(least: u64, most: u64) -> u64 {
    thread_rng().gen_range(least..=most)
}

/// One of two.
#[must_use]
pub fn coin() -> bool {
    draw(0, 1) == 0
}

/// One of `choices`.
#[must_use]
pub fn one_of<T: Copy>(choices: &[T]) -> T {
    choices[thread_rng().gen_range(0..choices.len())]
}

/// Locks what only one task uses at a time: no other task runs before the lock is released.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
