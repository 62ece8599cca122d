//! Runs a scenario under many schedules. One number, the seed, makes a schedule: it decides every
//! choice of the scenario and which task runs next.

use shuttle::scheduler::{Schedule, Scheduler, Task, TaskId};
use shuttle::{Config, FailurePersistence, MaxSteps, Runner};
use std::cell::Cell;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

/// No schedule takes nearly as many steps: one that does never ends.
const MOST_STEPS: usize = 100_000;
/// A task's stack, in bytes.
const STACK: usize = 0x2_0000;

/// A scenario: builds its world, runs it, and returns what it violates.
pub type Scenario = dyn Fn() -> Result<(), String> + Send + Sync;

/// Which schedules to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    /// The first seed.
    pub seed: u64,
    /// How many seeds.
    pub schedules: u64,
    /// Threads to run them on.
    pub threads: u64,
}

/// A schedule that violates an invariant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Replays it.
    pub seed: u64,
    /// How many schedules ran, this one included; about, if on several threads.
    pub after: u64,
    /// What it violates.
    pub message: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "seed {} violates an invariant: {}", self.seed, self.message)
    }
}

thread_local! {
    /// The seed of the schedule that this thread runs.
    static SEED: Cell<u64> = const { Cell::new(0) };
}

/// Runs `scenario` under each schedule of `range`, until one violates an invariant.
///
/// # Errors
/// The violation with the lowest seed of those that were found.
pub fn explore(scenario: &Arc<Scenario>, range: Range) -> Result<(), Violation> {
    let found = Arc::new(Found::default());
    let run = |first: u64| {
        let (scenario, found) = (Arc::clone(scenario), Arc::clone(&found));
        thread::spawn(move || explore_here(scenario, range, first, &found))
    };
    let threads: Vec<_> = (0..range.threads).map(run).collect();
    for thread in threads {
        thread.join().unwrap_or_else(|_| panic!("the explorer itself failed"));
    }
    let violation = found.violation.lock().unwrap_or_else(PoisonError::into_inner).take();
    violation.map_or(Ok(()), Err)
}

#[derive(Debug, Default)]
struct Found {
    any: AtomicBool,
    violation: Mutex<Option<Violation>>,
}

impl Found {
    fn report(&self, range: Range, message: String) {
        let seed = SEED.get();
        let mut violation = self.violation.lock().unwrap_or_else(PoisonError::into_inner);
        if violation.as_ref().is_none_or(|other| seed < other.seed) {
            let after = seed.wrapping_sub(range.seed) + 1;
            *violation = Some(Violation { seed, after, message });
        }
        self.any.store(true, Relaxed);
    }
}

/// Every `threads`th schedule, from the one with this number.
fn explore_here(scenario: Arc<Scenario>, range: Range, first: u64, found: &Arc<Found>) {
    let seeds = Seeds { range, next: first, found: Arc::clone(found), ..Seeds::new(range) };
    let mut config = Config::new();
    config.failure_persistence = FailurePersistence::None;
    config.max_steps = MaxSteps::FailAfter(MOST_STEPS);
    config.silence_warnings = true;
    config.stack_size = STACK;
    let reporting = Arc::clone(found);
    let runner = Runner::new(seeds, config);
    let run = || {
        runner.run(move || {
            if let Err(message) = scenario() {
                reporting.report(range, message);
            }
        })
    };
    if let Err(panic) = catch_unwind(AssertUnwindSafe(run)) {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        found.report(range, text.unwrap_or_else(|| "a panic".to_owned()));
    }
}

/// Which task runs next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Style {
    /// Any.
    Uniform,
    /// Mostly the same again.
    Sticky,
    /// The one with the highest priority. Priorities are random, and now and then the running task
    /// loses its own: few changes at odd places find what many changes everywhere miss. Source:
    /// Burckhardt et al., "A randomized scheduler with probabilistic guarantees of finding bugs".
    Priorities,
}

/// The scheduler: a schedule for each seed.
#[derive(Debug)]
struct Seeds {
    range: Range,
    next: u64,
    found: Arc<Found>,
    style: Style,
    tasks: fastrand::Rng,
    choices: fastrand::Rng,
    /// By task.
    priorities: Vec<u64>,
}

impl Seeds {
    fn new(range: Range) -> Self {
        Self {
            range,
            next: 0,
            found: Arc::default(),
            style: Style::Uniform,
            tasks: fastrand::Rng::with_seed(0),
            choices: fastrand::Rng::with_seed(0),
            priorities: Vec::new(),
        }
    }

    fn priority(&mut self, task: TaskId) -> u64 {
        let index = usize::from(task);
        while self.priorities.len() <= index {
            self.priorities.push(self.tasks.u64(1_000..2_000));
        }
        self.priorities[index]
    }

    fn lower(&mut self, task: TaskId) {
        self.priority(task);
        self.priorities[usize::from(task)] = self.tasks.u64(0..1_000);
    }
}

impl Scheduler for Seeds {
    fn new_execution(&mut self) -> Option<Schedule> {
        if self.next >= self.range.schedules || self.found.any.load(Relaxed) {
            return None;
        }
        let seed = self.range.seed.wrapping_add(self.next);
        self.next += self.range.threads;
        SEED.set(seed);
        self.choices = fastrand::Rng::with_seed(seed);
        self.tasks = self.choices.fork();
        self.style = match self.tasks.u8(0..3) {
            0 => Style::Uniform,
            1 => Style::Sticky,
            _ => Style::Priorities,
        };
        self.priorities.clear();
        Some(Schedule::new(seed))
    }

    fn next_task(
        &mut self,
        runnable: &[&Task],
        current: Option<TaskId>,
        is_yielding: bool,
    ) -> Option<TaskId> {
        let stays = current.filter(|current| runnable.iter().any(|task| task.id() == *current));
        match (self.style, stays) {
            (Style::Sticky, Some(task)) if !is_yielding && self.tasks.u8(0..4) > 0 => Some(task),
            (Style::Uniform | Style::Sticky, _) => {
                runnable.get(self.tasks.usize(0..runnable.len())).map(|task| task.id())
            }
            (Style::Priorities, stays) => {
                if let Some(task) = stays.filter(|_| self.tasks.u8(0..12) == 0) {
                    self.lower(task);
                }
                let ranked = runnable.iter().map(|task| (self.priority(task.id()), task.id()));
                ranked.max_by_key(|(priority, _)| *priority).map(|(_, task)| task)
            }
        }
    }

    fn next_u64(&mut self) -> u64 {
        self.choices.u64(..)
    }
}
