//! Two programs, measured in turn in one process.

#![expect(clippy::print_stdout, reason = "a program for the terminal")]

use std::time::Instant;

const ROUNDS: usize = 31;

/// Runs both in turn, `times` each per round, and prints the median time of each and the median
/// ratio of a round. Gives the medians, in microseconds.
pub(crate) fn pair(
    title: &str,
    times: u32,
    (ours, mut one): (&str, impl FnMut()),
    (theirs, mut other): (&str, impl FnMut()),
) -> (f64, f64) {
    let mut rounds: Vec<(f64, f64)> =
        (0..ROUNDS).map(|_| (measure(times, &mut one), measure(times, &mut other))).collect();
    rounds.remove(0); // the warm-up
    let median = |value: fn(&(f64, f64)) -> f64| {
        let mut values: Vec<f64> = rounds.iter().map(value).collect();
        values.sort_by(f64::total_cmp);
        values[values.len() / 2]
    };
    let medians = (median(|round| round.0), median(|round| round.1));
    println!("{title}\n  {ours:<34} {:>10.3} us", medians.0);
    println!("  {theirs:<34} {:>10.3} us", medians.1);
    println!("  {:<34} {:>10.2}\n", "ratio", median(|round| round.0 / round.1));
    medians
}

/// Microseconds per call.
#[expect(clippy::disallowed_methods, reason = "a bench measures time")]
fn measure(times: u32, work: &mut impl FnMut()) -> f64 {
    let start = Instant::now();
    (0..times).for_each(|_| work());
    start.elapsed().as_secs_f64() * 1e6 / f64::from(times)
}
