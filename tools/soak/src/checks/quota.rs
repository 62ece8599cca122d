//! Nobody gets more than their quota.

use super::{Check, Evidence};
use crate::clock::{self, Micros, SECOND};
use crate::lambda::CONCURRENCY;
use crate::lines::Line;
use crate::load::{SPENT, arn};
use crate::world::{PATH, Secrets, Service, TABLE};
use std::collections::BTreeMap;
use std::net::SocketAddr;

/// A quota, as in the settings of the function.
#[derive(Debug, Clone, Copy)]
struct Quota {
    requests: u64,
    window: u64,
    burst: u64,
}

const VEND: Quota = Quota { requests: 120, window: 60, burst: 10 };
const DAY: Quota = Quota { requests: 1_000, window: 86_400, burst: 1_000 };
const EXPLAIN: Quota = Quota { requests: 20, window: 60, burst: 20 };
const READ: Quota = Quota { requests: 100, window: 60, burst: 100 };
const HEALTH: Quota = Quota { requests: 60, window: 60, burst: 60 };
/// Requests of an instance that wait for the table when its memory begins to decide. The table may still admit them.
const AT_ONCE: u64 = CONCURRENCY as u64 - 1;
/// What is left for the day of those whose budget is nearly used up.
const LEFT: u64 = 60;

impl Quota {
    fn of(tier: &str) -> Self {
        match tier {
            "vend" => VEND,
            "explain" => EXPLAIN,
            "read" => READ,
            _ => HEALTH,
        }
    }

    fn interval(self) -> Micros {
        (self.window * SECOND).div_ceil(self.requests)
    }

    /// The number of requests by which the worst span is over the quota; else the most that were ever used of the burst.
    /// Over every span, at most `burst + span / interval` may be admitted. `used` is the time up to which the budget
    /// was used before.
    fn judge(self, times: &[Micros], used: Micros) -> (u64, u64) {
        let interval = self.interval();
        let (mut level, mut worst) = (used, 0);
        for at in times {
            level = level.max(*at) + interval;
            worst = worst.max((level - at).div_ceil(interval));
        }
        (worst.saturating_sub(self.burst), worst)
    }

    /// The least time up to which a table must count the budget as used, after these requests.
    fn level(self, times: &[Micros], used: Micros) -> Micros {
        times.iter().fold(used, |level, at| level.max(*at) + self.interval())
    }
}

/// The settings of the function.
pub(crate) fn variables(addresses: &BTreeMap<Service, SocketAddr>) -> Vec<(String, String)> {
    let address = |service| format!("http://{}", addresses[&service]);
    let quota = |name: &str, quota: Quota| {
        [("REQUESTS", quota.requests), ("WINDOW", quota.window), ("BURST", quota.burst)]
            .map(|(what, value)| (format!("SENTINEL_RATE_LIMIT_{name}{what}"), value.to_string()))
    };
    let fixed = [
        ("AWS_ENDPOINT_URL_DYNAMODB", address(Service::Dynamodb)),
        ("AWS_ENDPOINT_URL_STS", address(Service::Sts)),
        ("AWS_ENDPOINT_URL_SECRETS_MANAGER", address(Service::Secrets)),
        ("AWS_ENDPOINT_URL_SSM", address(Service::Parameters)),
        ("SENTINEL_POLICY_PARAMETER", PATH.to_owned()),
        ("SENTINEL_POLICY_TTL", super::outcomes::POLICY_TTL.to_string()),
        ("SENTINEL_RATE_LIMIT_TABLE", TABLE.to_owned()),
        ("SENTINEL_RATE_LIMIT_DAY_REQUESTS", DAY.requests.to_string()),
        // Longer than the default, so that a busy machine is no outage.
        ("SENTINEL_RATE_LIMIT_TIMEOUT_MS", "2000".to_owned()),
        // Short waits, so that the breaker goes through all its states within a fault or two.
        ("SENTINEL_BREAKER_RESET_SECONDS", "1".to_owned()),
        ("SENTINEL_BREAKER_MAX_RESET_SECONDS", "4".to_owned()),
        ("SENTINEL_MDM_PROVIDER", "jamf".to_owned()),
        ("SENTINEL_MDM_BASE_URL", address(Service::Mdm)),
        ("MDM_SECRET_ARN", Secrets::MDM.to_owned()),
        ("SENTINEL_MDM_SECRET_TTL", "60".to_owned()),
        ("SENTINEL_MDM_POSTURE_TTL", "2".to_owned()),
        ("SENTINEL_CLIENT_TOKEN_SECRET_ARN", Secrets::TOKENS.to_owned()),
        ("SENTINEL_CLIENT_TOKEN_TTL", "60".to_owned()),
    ];
    let fixed = fixed.into_iter().map(|(name, value)| (name.to_owned(), value));
    fixed
        .chain(quota("", VEND))
        .chain(quota("EXPLAIN_", EXPLAIN))
        .chain(quota("READ_", READ))
        .collect()
}

/// The key of a budget in the table.
pub(super) fn key(tier: &str, principal: &str) -> String {
    format!("RL#{tier}#{principal}")
}

/// The day's TAT of a budget that is nearly used up.
pub(super) fn nearly_used_up() -> Micros {
    clock::now() + (DAY.requests - LEFT) * DAY.interval()
}

/// The times of admitted requests, in order, by budget and perhaps by instance.
type Budgets<'a> = BTreeMap<(&'a str, &'a str, u32), Vec<Micros>>;

fn admitted(
    evidence: &Evidence,
    counts: impl Fn(&Line) -> bool,
    instance: impl Fn(&Line) -> u32,
) -> Budgets<'_> {
    let mut budgets = Budgets::new();
    for line in evidence.lines.iter().filter(|line| line.is_admitted && counts(line)) {
        budgets.entry((&line.tier, &line.principal, instance(line))).or_default().push(line.at);
    }
    for times in budgets.values_mut() {
        times.sort_unstable();
    }
    budgets
}

/// What the run's beginning left of somebody's day: the time up to which it was used.
fn day_used(evidence: &Evidence, principal: &str) -> Micros {
    if SPENT.iter().any(|person| arn(*person) == principal) {
        // Set a moment before the run began, so a little more may be left by then.
        evidence.plan.begin + (DAY.requests - LEFT - 1) * DAY.interval()
    } else {
        0
    }
}

/// What is found about all budgets. Up to `conceded` requests more than the burst are no problem.
fn judge(
    evidence: &Evidence,
    budgets: &Budgets,
    day_counts: bool,
    conceded: u64,
) -> (u64, Vec<String>) {
    let (mut closest, mut problems) = (0, Vec::new());
    for ((tier, principal, instance), times) in budgets {
        let mut windows = vec![("window", Quota::of(tier), 0)];
        if *tier == "vend" {
            let used = if day_counts { day_used(evidence, principal) } else { 0 };
            windows.push(("day", DAY, used));
        }
        for (name, quota, used) in windows {
            let (over, worst) = quota.judge(times, used);
            closest = closest.max(worst * 100 / quota.burst);
            if over > conceded {
                let by =
                    if *instance == 0 { String::new() } else { format!(" by instance {instance}") };
                problems.push(format!("{over} over the {name} of {tier} for {principal}{by}"));
            }
        }
    }
    (closest, problems)
}

/// What the table admitted, over all instances.
pub(super) fn by_the_table(evidence: &Evidence) -> Check {
    let budgets = admitted(evidence, |line| line.decided_by == "dynamodb", |_| 0);
    let (closest, problems) = judge(evidence, &budgets, true, 0);
    let counted = format!("{} budgets, the fullest at {closest} % of its burst", budgets.len());
    Check::of("the table admits nobody over a quota, in any span of time", counted, &problems)
}

/// What each instance admitted, by the table or by itself. Without the table each may admit a quota of its own; see
/// docs/configuration.md.
pub(super) fn by_each_instance(evidence: &Evidence) -> Check {
    let budgets = admitted(evidence, |_| true, |line| line.instance);
    let (fullest, problems) = judge(evidence, &budgets, false, AT_ONCE);
    let alone =
        evidence.lines.iter().filter(|line| line.is_admitted && line.decided_by == "memory");
    let alone = alone.filter(|line| line.tier != "health").count();
    let counted =
        format!("{alone} requests admitted without the table, the fullest at {fullest} %");
    Check::of("no instance admits more than its quota and 15 waiting requests", counted, &problems)
}

/// The table holds everything that it admitted.
pub(super) fn in_the_table(evidence: &Evidence) -> Check {
    let budgets = admitted(evidence, |line| line.decided_by == "dynamodb", |_| 0);
    let mut problems = Vec::new();
    let (mut lines, mut writes) = (0, 0);
    for ((tier, principal, _), times) in &budgets {
        let key = key(tier, principal);
        let count = u64::try_from(times.len()).unwrap_or(u64::MAX);
        let written = evidence.writes.get(&key).copied().unwrap_or(0);
        let tats = evidence.tats.get(&key).copied().unwrap_or_default();
        let day = *tier == "vend" && tats.day < DAY.level(times, day_used(evidence, principal));
        if written < count || tats.short < Quota::of(tier).level(times, 0) || day {
            problems.push(format!("{count} admitted, {written} written for {key}: {tats:?}"));
        }
        lines += count;
        writes += written;
    }
    let counted = format!("{lines} admitted, {writes} writes");
    Check::of("the table holds every request that it admitted", counted, &problems)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEGIN: Micros = 1_700_000_000_000_000;

    #[test]
    fn a_burst_and_the_rate_after_it_are_within_the_quota_and_one_more_is_not() {
        let interval = VEND.interval();
        let mut times: Vec<Micros> = vec![BEGIN; 10];
        times.extend((1..200).map(|turn| BEGIN + turn * interval));
        assert_eq!(VEND.judge(&times, 0), (0, 10));
        times.insert(100, times[100]);
        assert_eq!(VEND.judge(&times, 0).0, 1);
    }

    #[test]
    fn a_budget_that_was_used_before_counts() {
        let used = BEGIN + 999 * DAY.interval();
        assert_eq!(DAY.judge(&[BEGIN], used), (0, 1_000));
        assert_eq!(DAY.judge(&[BEGIN, BEGIN], used).0, 1);
    }
}
