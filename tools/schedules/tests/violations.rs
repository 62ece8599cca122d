//! The checks find defects of the table, and nothing in the code as it is; part of
//! `cargo test security`.

#![expect(clippy::expect_used, clippy::print_stdout, reason = "the seed, for `--nocapture`")]

use schedules::dynamo::Defect;
use schedules::explorer::{Range, Scenario, Violation, explore};
use schedules::{approvals, limiter};
use std::sync::Arc;

/// Enough for a commit; `make schedules` runs more.
const SCHEDULES: u64 = 10_000;
/// Every defect below is found in far fewer.
const MOST_TO_FIND: u64 = 200_000;

const RANGE: Range = Range { seed: 1, schedules: SCHEDULES, threads: 2 };

/// THREAT: some order of requests, faults and restarts admits more than the limiter's documents
/// concede, admits a blocked caller, or refuses a caller for good.
/// PREVENTION: conditional writes decide, and the local store never knows less than it admitted.
#[test]
fn security_no_schedule_beats_the_limiter() {
    assert_eq!(explore(&limiter::scenario(None), RANGE), Ok(()));
}

/// THREAT: some order of requests, decisions and faults approves twice, after a withdrawal or after
/// the end, approves one's own, or gives a second emergency within a day.
/// PREVENTION: each change is one conditional write on what was read.
#[test]
fn security_no_schedule_beats_the_approvals() {
    assert_eq!(explore(&approvals::scenario(None), RANGE), Ok(()));
}

/// Explores until a check fails, and replays the seed.
fn found(scenario: &Arc<Scenario>) -> Violation {
    let range = Range { schedules: MOST_TO_FIND, ..RANGE };
    let violation = explore(scenario, range).expect_err("the defect is found");
    println!("found after {}: {}", violation.after, first_line(&violation.to_string()));
    let replay = Range { seed: violation.seed, schedules: 1, threads: 1 };
    let replayed = explore(scenario, replay).expect_err("the seed replays it");
    assert_eq!(first_line(&replayed.message), first_line(&violation.message));
    violation
}

fn first_line(message: &str) -> &str {
    message.lines().next().unwrap_or_default()
}

/// Demands that the defect is found, by one of these checks.
fn finds(
    scenario: fn(Option<Defect>) -> Arc<Scenario>,
    text: &'static str,
    instead: &'static str,
    by: &[&str],
) {
    let violation = found(&scenario(Some(Defect { text, instead })));
    let is_named = by.iter().any(|check| violation.message.contains(check));
    assert!(is_named, "another check found it: {}", violation.message);
}

#[test]
fn an_unconditional_reset_is_found() {
    finds(
        limiter::scenario,
        "(attribute_not_exists(TAT) OR TAT <= :now)",
        "(attribute_not_exists(TAT) OR attribute_exists(TAT))",
        &["the table admitted", "with a burst of", "all together admitted"],
    );
}

#[test]
fn a_lost_bound_is_found() {
    finds(
        limiter::scenario,
        " AND TAT <= :latest",
        "",
        &["the table admitted", "with a burst of", "all together admitted"],
    );
}

#[test]
fn a_lost_bound_of_the_day_is_found() {
    finds(
        limiter::scenario,
        " AND DayTAT <= :day_latest",
        "",
        &["the table admitted", "with a burst of", "all together admitted"],
    );
}

#[test]
fn an_ignored_block_is_found() {
    finds(
        limiter::scenario,
        " AND (attribute_not_exists(Blocked) OR Blocked <= :now)",
        "",
        &["a blocked caller is admitted"],
    );
}

#[test]
fn a_block_without_an_end_is_found() {
    finds(
        limiter::scenario,
        " OR Blocked <= :now)",
        ")",
        &["refused for good", "the table did not decide", "too many writes"],
    );
}

#[test]
fn an_approval_of_what_has_been_withdrawn_is_found() {
    finds(approvals::scenario, " AND #State IN (:pending)", "", &["a wrong write"]);
}

#[test]
fn a_second_end_is_found() {
    finds(approvals::scenario, " AND #State IN (:pending, :approved)", "", &["a wrong write"]);
}

#[test]
fn a_decision_about_another_request_is_found() {
    finds(
        approvals::scenario,
        "#Id = :Id AND ",
        "",
        &["a wrong write", "answered, but not written"],
    );
}

#[test]
fn a_request_that_replaces_one_in_force_is_found() {
    finds(
        approvals::scenario,
        "attribute_not_exists(PK) OR #ExpiresAt <= :now OR #State IN (:denied, :withdrawn)",
        "attribute_not_exists(PK) OR attribute_exists(PK)",
        &["a wrong write"],
    );
}

#[test]
fn a_second_emergency_is_found() {
    finds(
        approvals::scenario,
        "attribute_not_exists(PK) OR #CreatedAt <= :day_ago",
        "attribute_not_exists(PK) OR attribute_exists(PK)",
        &["a wrong write"],
    );
}
