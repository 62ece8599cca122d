//! `schedules SCHEDULES SEED`: runs the limiter and the approvals under so many schedules each,
//! from this seed on. A violation is printed with the seed that replays it.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program for the terminal")]
#![expect(clippy::disallowed_methods, reason = "it measures itself")]

use schedules::explorer::{Range, Scenario, explore};
use schedules::{approvals, limiter};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

fn main() -> ExitCode {
    let mut numbers = std::env::args().skip(1).map(|argument| argument.parse().ok());
    let (schedules, seed) = match (numbers.next(), numbers.next()) {
        (None, _) => (100_000, 1),
        (Some(Some(schedules)), None) => (schedules, 1),
        (Some(Some(schedules)), Some(Some(seed))) => (schedules, seed),
        _ => {
            eprintln!("usage: schedules [SCHEDULES [SEED]]");
            return ExitCode::from(2);
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, |threads| threads.get() as u64);
    let range = Range { seed, schedules, threads: threads.min(schedules) };
    let all: [(&str, Arc<Scenario>); 2] =
        [("limiter", limiter::scenario(None)), ("approvals", approvals::scenario(None))];
    for (name, scenario) in all {
        let start = Instant::now();
        if let Err(violation) = explore(&scenario, range) {
            eprintln!(
                "{name}: {violation}\nreplay: make schedules SCHEDULES=1 SEED={}",
                violation.seed
            );
            return ExitCode::FAILURE;
        }
        let seconds = start.elapsed().as_secs_f64();
        println!("{name}: {schedules} schedules from seed {seed} in {seconds:.1} s, no violation");
    }
    ExitCode::SUCCESS
}
