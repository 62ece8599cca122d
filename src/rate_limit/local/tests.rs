use super::*;
use proptest::prelude::*;
use std::num::NonZeroU32;

const NOW: u64 = 1_700_000_000_000_000;
const SECOND: u64 = 1_000_000;

fn store(max_keys: usize) -> LocalStore {
    LocalStore::new(NonZeroUsize::new(max_keys).unwrap())
}

/// One request a second, `burst` at once.
fn quota(burst: u32) -> Windows<Quota> {
    short(Quota::new(NonZeroU32::MIN, NonZeroU32::MIN, NonZeroU32::new(burst).unwrap()))
}

fn short<T>(short: T) -> Windows<T> {
    Windows { short, day: None }
}

fn owed(store: &LocalStore, quota: Windows<Quota>, now: u64) -> u64 {
    match store.consult("a", quota, now) {
        Known::Open { owed, .. } => owed.short,
        Known::Refused { .. } | Known::Blocked { .. } => panic!("refused"),
    }
}

fn is_blocked(store: &LocalStore, now: u64) -> bool {
    matches!(store.consult("a", quota(3), now), Known::Blocked { .. })
}

#[test]
fn a_block_is_remembered_for_half_a_minute_and_known_until_its_end() {
    let store = store(10);
    let end = NOW + 600 * SECOND;
    store.learn_block("a", end, NOW);
    for (after, remembered) in [(0, true), (BLOCK_MEMORY - 1, true), (BLOCK_MEMORY, false)] {
        assert_eq!(is_blocked(&store, NOW + after), remembered, "{after}");
        assert_eq!(store.block("a", NOW + after), Some(end));
    }
    assert!(!is_blocked(&store, NOW - BLOCK_MEMORY), "a clock set back does not prolong it");
    assert_eq!(store.block("a", end), None);
    store.learn_block("a", NOW + SECOND, NOW);
    assert!(is_blocked(&store, NOW + SECOND - 1));
    assert!(!is_blocked(&store, NOW + SECOND), "never past the block's end");
}

#[test]
fn a_table_that_is_asked_again_and_reports_no_block_lifts_it() {
    for charges in [false, true] {
        let (store, later) = (store(10), NOW + BLOCK_MEMORY);
        store.learn_block("a", u64::MAX, NOW);
        assert!(!is_blocked(&store, later), "the table is asked again");
        if charges {
            store.charged("a", short(later + SECOND), short(0), later);
        } else {
            store.learn("a", short(later + SECOND), later);
        }
        assert_eq!(store.block("a", later), None);
    }
}

/// THREAT: a blocked caller's request from before the block gets its answer late. The instance takes
/// that for the end of the block, and admits the caller in the next outage.
/// PREVENTION: only the answer to a request that asked after the block was seen can lift it.
#[test]
fn security_a_late_answer_from_before_a_block_does_not_lift_it() {
    let store = store(10);
    assert!(!is_blocked(&store, NOW), "two requests ask the table");
    assert!(!is_blocked(&store, NOW));
    store.learn_block("a", u64::MAX, NOW);
    store.charged("a", short(NOW + SECOND), short(0), NOW);
    store.learn("a", short(NOW + SECOND), NOW);
    assert_eq!(store.block("a", NOW), Some(u64::MAX));
    assert!(is_blocked(&store, NOW));
}

#[test]
fn keys_do_not_share_a_budget() {
    let (store, quota) = (store(10), quota(1));
    assert!(store.admit("a", quota, NOW).is_ok());
    assert!(store.admit("b", quota, NOW).is_ok());
    assert_eq!(store.admit("a", quota, NOW), Err(short(NOW + SECOND)));
}

#[test]
fn the_bound_holds_and_the_quietest_key_is_forgotten_first() {
    let (store, quota) = (store(2), quota(1));
    for key in ["a", "b"] {
        assert!(store.admit(key, quota, NOW).is_ok());
    }
    assert!(store.admit("a", quota, NOW).is_err(), "a refusal counts as use");
    assert!(store.admit("c", quota, NOW).is_ok());
    assert_eq!(store.usage(), Usage { keys: 2, max_keys: 2, evictions: 1 });
    assert!(store.admit("a", quota, NOW).is_err(), "a was used after b");
    assert!(store.admit("b", quota, NOW).is_ok(), "b was forgotten");
}

#[test]
fn a_tat_seen_in_the_table_refuses_without_the_table() {
    let (store, quota) = (store(10), quota(3));
    store.learn("a", short(NOW + 2 * SECOND), NOW);
    assert!(
        matches!(store.consult("a", quota, NOW), Known::Open { table, owed } if table.short == NOW + 2 * SECOND && owed.short == 0)
    );
    store.learn("a", short(NOW + 3 * SECOND), NOW);
    assert!(
        matches!(store.consult("a", quota, NOW), Known::Refused { tats } if tats.short == NOW + 3 * SECOND)
    );
    store.learn("a", short(NOW), NOW);
    assert!(matches!(store.consult("a", quota, NOW), Known::Refused { .. }), "a TAT never shrinks");
}

#[test]
fn what_was_admitted_here_is_owed_once_and_drains_last() {
    let (store, quota) = (store(10), quota(10));
    store.learn("a", short(NOW + SECOND), NOW);
    for _ in 0..3 {
        assert!(store.admit("a", quota, NOW).is_ok());
    }
    assert_eq!(owed(&store, quota, NOW), 3 * SECOND);
    assert_eq!(owed(&store, quota, NOW), 0, "it was handed out");
    store.give_back("a", short(3 * SECOND), NOW);
    assert_eq!(
        owed(&store, quota, NOW + 2 * SECOND),
        2 * SECOND,
        "the table's second drained first, then one owed"
    );
    store.give_back("a", short(2 * SECOND), NOW + 2 * SECOND);
    assert_eq!(owed(&store, quota, NOW + 100 * SECOND), 0, "an idle principal owes nothing");
}

/// THREAT: while one write carries what a caller owes and hangs, other requests of the caller fail
/// fast, and each is admitted by an instance that sees no debt.
/// PREVENTION: what a write carries still counts for local decisions.
#[test]
fn security_what_a_write_carries_still_counts_here() {
    let (store, quota) = (store(10), quota(3));
    for _ in 0..2 {
        assert!(store.admit("a", quota, NOW).is_ok());
    }
    assert_eq!(owed(&store, quota, NOW), 2 * SECOND);
    assert!(store.admit("a", quota, NOW).is_ok());
    assert!(store.admit("a", quota, NOW).is_err(), "three at once, and two are on their way");
    store.charged("a", short(NOW + 3 * SECOND), short(2 * SECOND), NOW);
    let after = NOW + 2 * SECOND;
    assert_eq!(owed(&store, quota, after), SECOND, "the write charged two of the three");
}

#[test]
fn what_a_forgotten_write_carries_is_owed_again_if_it_fails() {
    let (store, quota) = (store(1), quota(3));
    for _ in 0..2 {
        assert!(store.admit("a", quota, NOW).is_ok());
    }
    let carried = owed(&store, quota, NOW);
    assert!(store.admit("b", quota, NOW).is_ok(), "a is forgotten");
    assert_eq!(store.give_back("a", short(carried), NOW), short(NOW + 2 * SECOND));
}

#[test]
fn a_request_that_never_reports_keeps_its_part_until_the_principal_was_idle() {
    let (store, quota) = (store(10), quota(3));
    assert!(store.admit("a", quota, NOW).is_ok());
    assert_eq!(owed(&store, quota, NOW), SECOND, "and then it was given up");
    assert!(store.admit("a", quota, NOW).is_ok());
    assert_eq!(owed(&store, quota, NOW), SECOND, "only the new one");
    let later = NOW + 2 * SECOND + IDLE;
    assert_eq!(owed(&store, quota, later), 0);
    assert!(store.admit("a", quota, later).is_ok());
    assert_eq!(owed(&store, quota, later), SECOND);
}

proptest! {
    #[test]
    fn consulting_and_giving_back_changes_nothing(
        table in 0_u64..20, admitted in 0_usize..10, later in 0_u64..10, burst in 1_u32..30,
    ) {
        let (touched, untouched, quota) = (store(10), store(10), quota(burst));
        for store in [&touched, &untouched] {
            store.learn("a", short(NOW + table * SECOND), NOW);
            for _ in 0..admitted {
                let _ = store.admit("a", quota, NOW);
            }
        }
        let now = NOW + later * SECOND;
        if let Known::Open { owed, .. } = touched.consult("a", quota, now) {
            touched.give_back("a", owed, now);
        }
        prop_assert_eq!(touched.admit("a", quota, now), untouched.admit("a", quota, now));
    }
}

/// THREAT: a request that waits for the table holds what is owed, and others find an empty bucket.
/// PREVENTION: what is lent still counts, whether it comes back or not.
#[test]
fn security_what_is_lent_counts_until_the_table_has_it() {
    let (store, quota) = (store(10), quota(10));
    for _ in 0..9 {
        assert!(store.admit("a", quota, NOW).is_ok());
    }
    assert_eq!(owed(&store, quota, NOW), 9 * SECOND);
    assert!(store.admit("a", quota, NOW).is_ok(), "the tenth");
    assert!(store.admit("a", quota, NOW).is_err(), "nine are lent and one is owed");
    store.charged("a", short(NOW + 10 * SECOND), short(9 * SECOND), NOW);
    assert!(store.admit("a", quota, NOW).is_err(), "ten in the table and one owed");
    assert_eq!(owed(&store, quota, NOW + 2 * SECOND), SECOND, "the tenth alone");
}

#[test]
fn what_is_lent_and_never_returned_drains() {
    let (store, quota) = (store(10), quota(10));
    for _ in 0..5 {
        assert!(store.admit("a", quota, NOW).is_ok());
    }
    assert_eq!(owed(&store, quota, NOW), 5 * SECOND);
    let later = NOW + 5 * SECOND;
    assert_eq!(owed(&store, quota, later), 0);
    assert!(store.admit("a", quota, later).is_ok());
    assert_eq!(owed(&store, quota, later), SECOND, "new debts are lent as ever");
}

#[test]
fn what_is_owed_by_a_request_running_beside_is_kept() {
    let (store, quota) = (store(10), quota(10));
    let _ = store.consult("a", quota, NOW);
    for _ in 0..5 {
        assert!(store.admit("a", quota, NOW).is_ok());
    }
    store.learn("a", short(NOW + SECOND), NOW);
    assert_eq!(
        owed(&store, quota, NOW),
        5 * SECOND,
        "the one that the table admitted does not pay for the five"
    );
}

#[test]
fn no_tat_in_the_table_makes_the_arithmetic_overflow() {
    let (store, quota) = (store(10), quota(10));
    assert!(store.admit("a", quota, NOW).is_ok());
    let owed = owed(&store, quota, NOW);
    store.learn("a", short(u64::MAX - 1), NOW);
    assert_eq!(store.give_back("a", short(owed), NOW), short(u64::MAX));
    assert!(store.admit("a", quota, NOW).is_err());
}

/// Five at once and one a second; in a day 20, all at once if the short window lets them.
fn two_windows() -> Windows<Quota> {
    let whole = |number| NonZeroU32::new(number).unwrap();
    let day = Quota::new(whole(20), whole(86_400), whole(20));
    Windows { day: Some(day), ..quota(5) }
}

#[test]
fn each_window_refuses_and_a_refusal_charges_neither() {
    let (store, quotas) = (store(10), two_windows());
    let mut admitted = 0;
    for second in 0..60 {
        for _ in 0..5 {
            admitted += u32::from(store.admit("a", quotas, NOW + second * SECOND).is_ok());
        }
    }
    assert_eq!(admitted, 20, "five at once, one a second, and no more in the day");
    let refused = store.admit("a", quotas, NOW + 60 * SECOND).unwrap_err();
    assert_eq!(refused.day, Some(NOW + 20 * 4_320 * SECOND));
    assert!(refused.short < NOW + 60 * SECOND, "the short window has drained");
    assert!(store.admit("a", quotas, NOW + 4_320 * SECOND).is_ok(), "a twentieth of a day later");
}

#[test]
fn what_is_owed_is_owed_to_both_windows() {
    let (store, quotas) = (store(10), two_windows());
    for _ in 0..3 {
        assert!(store.admit("a", quotas, NOW).is_ok());
    }
    let Known::Open { owed, .. } = store.consult("a", quotas, NOW + 2 * SECOND) else {
        panic!("refused");
    };
    assert_eq!(owed, Windows { short: SECOND, day: Some((3 * 4_320 - 2) * SECOND) });
    store.give_back("a", owed, NOW + 2 * SECOND);
    let admitted = store.admit("a", quotas, NOW + 2 * SECOND).unwrap();
    assert_eq!(admitted, Windows { short: NOW + 4 * SECOND, day: Some(NOW + 4 * 4_320 * SECOND) });
}

#[test]
fn entries_that_are_idle_make_room_without_a_loss() {
    let (store, quota) = (store(100), quota(1));
    for index in 0..50 {
        assert!(store.admit(&format!("first-{index}"), quota, NOW).is_ok());
    }
    for index in 0..50 {
        assert!(store.admit(&format!("second-{index}"), quota, NOW + SECOND + IDLE - 1).is_ok());
    }
    assert_eq!(store.usage().keys, 100, "not idle for a minute yet");
    for index in 0..50 {
        assert!(store.admit(&format!("third-{index}"), quota, NOW + SECOND + IDLE).is_ok());
    }
    assert_eq!(store.usage(), Usage { keys: 100, max_keys: 100, evictions: 0 });
}

#[test]
fn an_entry_with_a_block_is_never_idle() {
    let (store, quota) = (store(10), quota(1));
    store.learn_block("blocked", u64::MAX, NOW);
    for index in 0..9 {
        let later = NOW + 600 * SECOND * (index + 1);
        assert!(store.admit(&format!("caller-{index}"), quota, later).is_ok());
    }
    assert_eq!(store.block("blocked", NOW + 6_000 * SECOND), Some(u64::MAX));
    assert_eq!(store.usage().evictions, 0);
}

#[test]
fn the_warning_comes_each_time_the_store_passes_four_fifths() {
    let (store, quota) = (store(10), quota(1));
    let warned = || lock(&store.inner).warned;
    let fill = |turn: u64, callers: u64| {
        for caller in 0..callers {
            let _ = store.admit(&format!("{turn}-{caller}"), quota, NOW + turn * 600 * SECOND);
        }
    };
    fill(0, 7);
    assert!(!warned());
    fill(0, 8);
    assert!(warned());
    fill(1, 2);
    assert!(!warned(), "those of the first turn are idle and gone");
    fill(1, 9);
    assert!(warned());
}

#[test]
fn the_warning_comes_again_only_after_the_store_was_below_seven_tenths() {
    let (store, quota) = (store(10), quota(1));
    let warned = || lock(&store.inner).warned;
    for caller in 0..8 {
        assert!(store.admit(&format!("early-{caller}"), quota, NOW).is_ok());
    }
    assert!(warned());
    for (caller, keys, still) in [("late-1", 7, true), ("late-2", 6, false)] {
        assert!(store.admit(caller, quota, NOW + 600 * SECOND).is_ok());
        assert_eq!((store.usage().keys, warned()), (keys, still), "each takes the place of two");
    }
}

#[test]
fn only_a_new_entry_drops_idle_ones_and_never_itself() {
    let (store, quota) = (store(10), quota(1));
    assert!(matches!(store.consult("a", quota, NOW), Known::Open { .. }));
    assert_eq!(store.usage().keys, 1, "although it is idle");
    for key in ["a", "b"] {
        assert!(store.admit(key, quota, NOW).is_ok());
    }
    assert!(store.admit("b", quota, NOW + 600 * SECOND).is_ok());
    assert_eq!(store.usage().keys, 2);
    assert!(store.admit("c", quota, NOW + 600 * SECOND).is_ok());
    assert_eq!(store.usage().keys, 2);
}

#[test]
fn nothing_owed_changes_nothing() {
    let (store, quota) = (store(10), quota(1));
    store.learn("a", short(NOW - SECOND), NOW);
    assert_eq!(store.tats("a", quota, NOW), short(NOW - SECOND));
    assert_eq!(store.give_back("a", short(0), NOW), short(NOW - SECOND));
}
