//! The times at which policies can change their answer.
//!
//! Between two neighbouring times the answer is the same, so evaluating at each of them, and a
//! second later, covers every moment in between. The times come from the policies' own literals:
//! each `duration` as a time of day, each `datetime` as a moment. Policies that shift times
//! (`offset`) get the sums and differences of their literals, too.
//!
//! Source: "JSON policy format" and "Data types: datetime and duration" in the Cedar documentation.

use cedar_policy::Policy;
use serde_json::Value;
use std::collections::BTreeSet;
use time::format_description::well_known::Rfc3339;
use time::{Duration, OffsetDateTime, UtcDateTime};

const DAY: Duration = Duration::days(1);
/// The most times that are looked at, and the most literals that make them. Real policies have a
/// handful; a bundle with more gets a dry run that may miss a time.
const MOST_TIMES: usize = 2_000;
const MOST_DURATIONS: usize = 20;

/// The literals of policies that read the time.
#[derive(Debug, Default)]
pub(super) struct Boundaries {
    reads_time: bool,
    shifts: bool,
    durations: BTreeSet<Duration>,
    moments: BTreeSet<UtcDateTime>,
}

impl Boundaries {
    /// Adds the literals of a policy, if it reads the time.
    pub(super) fn add(&mut self, policy: &Policy) {
        let Ok(json) = policy.to_json() else {
            return;
        };
        if reads_context(&json, &["now", "weekday"]) {
            self.reads_time = true;
            self.collect(&json);
        }
    }

    /// The times in the week after `now` at which an answer can change, and the second after each.
    pub(super) fn in_the_week_after(&self, now: UtcDateTime) -> BTreeSet<UtcDateTime> {
        if !self.reads_time {
            return BTreeSet::new();
        }
        let today = now.replace_time(time::Time::MIDNIGHT);
        let days = (0..=7).map(|days| today + DAY * days);
        let shifts = self.shifts();
        let daily = days.flat_map(|day| shifts.iter().map(move |shift| day + time_of_day(*shift)));
        let moments = self.moments.iter().flat_map(|moment| {
            shifts.iter().flat_map(move |shift| [*moment + *shift, *moment - *shift])
        });
        daily
            .chain(moments)
            .take(MOST_TIMES)
            .flat_map(|time| [time, time + Duration::SECOND])
            .filter(|time| *time > now && *time <= now + Duration::WEEK)
            .collect()
    }

    /// Zero, every duration, and their sums and differences if a policy shifts times.
    fn shifts(&self) -> BTreeSet<Duration> {
        let durations = || self.durations.iter().copied().take(MOST_DURATIONS);
        let single = || std::iter::once(Duration::ZERO).chain(durations());
        if !self.shifts {
            return single().collect();
        }
        single()
            .flat_map(|one| single().flat_map(move |other| [one + other, one - other]))
            .collect()
    }

    fn collect(&mut self, expression: &Value) {
        match expression {
            Value::Object(members) => {
                self.shifts |= members.contains_key("offset");
                let literal = |name| members.get(name).and_then(|list| list[0]["Value"].as_str());
                self.durations.extend(literal("duration").and_then(duration));
                self.moments.extend(literal("datetime").and_then(moment));
                members.values().for_each(|member| self.collect(member));
            }
            Value::Array(elements) => elements.iter().for_each(|element| self.collect(element)),
            _ => {}
        }
    }
}

/// In whole seconds, as is every `now`.
fn time_of_day(shift: Duration) -> Duration {
    Duration::seconds(shift.whole_seconds().rem_euclid(DAY.whole_seconds()))
}

/// A Cedar duration: `-1d2h30m4s5ms`, each part optional. Longer than a year means nothing here.
fn duration(text: &str) -> Option<Duration> {
    let (sign, mut rest) = text.strip_prefix('-').map_or((1, text), |rest| (-1, rest));
    let mut total: i64 = 0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let (number, after) = rest.split_at(digits);
        let units = [("ms", 1), ("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000)];
        let (unit, milliseconds) = units.into_iter().find(|(unit, _)| after.starts_with(unit))?;
        total = total.checked_add(number.parse::<i64>().ok()?.checked_mul(milliseconds)?)?;
        rest = &after[unit.len()..];
    }
    let duration = Duration::milliseconds(sign * total);
    (duration.abs() <= DAY * 366).then_some(duration)
}

/// A Cedar datetime: `2026-03-04`, or RFC 3339 with a zone, written `+0100`.
fn moment(text: &str) -> Option<UtcDateTime> {
    let rfc = match text.len() {
        10 => format!("{text}T00:00:00Z"),
        length if !text.ends_with('Z') && text.is_char_boundary(length - 2) => {
            format!("{}:{}", &text[..length - 2], &text[length - 2..])
        }
        _ => text.to_owned(),
    };
    OffsetDateTime::parse(&rfc, &Rfc3339).ok().map(OffsetDateTime::to_utc)
}

/// Whether the policy reads one of these attributes of `context`. Reading `context` as a whole counts
/// as reading each of them.
pub(super) fn reads_context(expression: &Value, names: &[&str]) -> bool {
    match expression {
        Value::Object(members) => match attribute_of_context(expression) {
            Some(attribute) => names.contains(&attribute),
            None => {
                members.get("Var").is_some_and(|name| name == "context")
                    || members.values().any(|member| reads_context(member, names))
            }
        },
        Value::Array(elements) => elements.iter().any(|element| reads_context(element, names)),
        _ => false,
    }
}

/// The name in `context.name` or `context has name`.
pub(super) fn attribute_of_context(expression: &Value) -> Option<&str> {
    let access = expression.get(".").or_else(|| expression.get("has"))?;
    let is_context = access["left"]["Var"] == "context";
    access["attr"].as_str().filter(|_| is_context)
}

#[cfg(test)]
mod tests;
