//! No leak: memory and file descriptors of the instance that runs from the beginning to the end.

use super::{Check, Evidence};
use crate::clock::{Micros, SECOND};
use crate::director::CALM;
use crate::lambda::CONCURRENCY;
use crate::usage::Reading;
use serde::Serialize;

/// How a value changed after the warm-up.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct Growth {
    /// The median of the first tenth.
    pub(crate) first: f64,
    /// The median of the last tenth.
    pub(crate) last: f64,
    pub(crate) most: f64,
    /// The slope of the line that fits best (least squares).
    pub(crate) per_minute: f64,
}

impl Growth {
    /// Of points with their times; `None` of fewer than ten.
    fn of(points: &[(Micros, u64)]) -> Option<Self> {
        let tenth = points.len() / 10;
        if tenth == 0 {
            return None;
        }
        let (begin, _) = *points.first()?;
        let points: Vec<(f64, f64)> =
            points.iter().map(|(at, value)| (number(at - begin) / 60e6, number(*value))).collect();
        let mean = |of: fn(&(f64, f64)) -> f64| {
            points.iter().map(of).sum::<f64>() / number(u64::try_from(points.len()).unwrap_or(1))
        };
        let (x, y) = (mean(|point| point.0), mean(|point| point.1));
        let rise: f64 = points.iter().map(|point| (point.0 - x) * (point.1 - y)).sum();
        let run: f64 = points.iter().map(|point| (point.0 - x).powi(2)).sum();
        let median = |points: &[(f64, f64)]| {
            let mut values: Vec<f64> = points.iter().map(|point| point.1).collect();
            values.sort_by(f64::total_cmp);
            values[values.len() / 2]
        };
        Some(Self {
            first: median(&points[..tenth]),
            last: median(&points[points.len() - tenth..]),
            most: points.iter().map(|point| point.1).fold(0.0, f64::max),
            per_minute: rise / run,
        })
    }

    /// Of the first instance after the warm-up, the first third of the run.
    pub(crate) fn after_warm_up(evidence: &Evidence, value: fn(&Reading) -> u64) -> Option<Self> {
        let plan = evidence.plan;
        let warm = plan.begin + (plan.end - plan.begin) / 3;
        let of_first = |reading: &&Reading| {
            reading.instance == evidence.survivors[0] && (warm..plan.end).contains(&reading.at)
        };
        let points = evidence.usage.iter().filter(of_first);
        Self::of(&points.map(|reading| (reading.at, value(reading))).collect::<Vec<_>>())
    }
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
fn number(value: u64) -> f64 {
    value as f64
}

pub(super) fn memory(evidence: &Evidence) -> Check {
    const NAME: &str = "memory does not grow";
    /// In KiB.
    const MOST: f64 = 4.0 * 1024.0;
    let Some(growth) = Growth::after_warm_up(evidence, |reading| reading.kib) else {
        return Check::of(NAME, String::new(), &["no readings".to_owned()]);
    };
    let counted = format!(
        "{:.1} MiB after the warm-up, {:.1} at the end, {:+.2} a minute",
        growth.first / 1024.0,
        growth.last / 1024.0,
        growth.per_minute / 1024.0
    );
    let leaks = growth.last - growth.first > MOST;
    Check::of(NAME, counted.clone(), leaks.then_some(counted).as_slice())
}

/// At the end, without faults, at most one connection per service and request that runs at once, and some for the process.
pub(super) fn descriptors(evidence: &Evidence) -> Check {
    const NAME: &str = "file descriptors do not grow";
    const OWN: u64 = 24;
    let most = u64::try_from(CONCURRENCY * 6).unwrap_or(u64::MAX) + OWN;
    let end = evidence.plan.end - CALM / 2;
    let late = evidence.usage.iter().filter(|reading| reading.at >= end);
    let late: Vec<u64> = late.map(|reading| reading.descriptors).collect();
    let highest = late.iter().max().copied().unwrap_or(u64::MAX);
    let counted = format!("{highest} at most in the last {} s", CALM / 2 / SECOND);
    Check::of(NAME, counted.clone(), (highest > most).then_some(counted).as_slice())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn growth_is_the_slope_and_the_two_ends() {
        let points: Vec<(Micros, u64)> =
            (0..100).map(|turn| (turn * SECOND, 1_000 + 60 * turn)).collect();
        let growth = Growth::of(&points).unwrap();
        assert!((growth.per_minute - 3_600.0).abs() < 1e-6, "{growth:?}");
        assert!((growth.last - growth.first - 5_400.0).abs() < 1e-6, "{growth:?}");
        assert_eq!(Growth::of(&points[..9]), None);
    }
}
