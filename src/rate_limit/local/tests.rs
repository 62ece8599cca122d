use super::*;
use proptest::prelude::*;
use std::num::NonZeroU32;

const NOW: u64 = 1_700_000_000_000_000;
const SECOND: u64 = 1_000_000;

fn store(max_keys: usize) -> LocalStore {
    LocalStore::new(NonZeroUsize::new(max_keys).unwrap())
}

/// One request a second, `burst` at once.
fn quota(burst: u32) -> Quota {
    Quota::new(NonZeroU32::MIN, NonZeroU32::MIN, NonZeroU32::new(burst).unwrap())
}

fn owed(store: &LocalStore, quota: &Quota, now: u64) -> u64 {
    match store.consult("a", quota, now) {
        Known::Open { owed, .. } => owed,
        Known::Refused { .. } | Known::Blocked { .. } => panic!("refused"),
    }
}

fn is_blocked(store: &LocalStore, now: u64) -> bool {
    matches!(store.consult("a", &quota(3), now), Known::Blocked { .. })
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
fn a_table_that_reports_no_block_lifts_it() {
    let store = store(10);
    store.learn_block("a", u64::MAX, NOW);
    store.learn("a", NOW + SECOND, NOW);
    assert!(!is_blocked(&store, NOW));
    assert_eq!(store.block("a", NOW), None);
}

#[test]
fn keys_do_not_share_a_budget() {
    let (store, quota) = (store(10), quota(1));
    assert!(store.admit("a", &quota, NOW).is_ok());
    assert!(store.admit("b", &quota, NOW).is_ok());
    assert_eq!(store.admit("a", &quota, NOW), Err(SECOND));
}

#[test]
fn the_bound_holds_and_the_quietest_key_is_forgotten_first() {
    let (store, quota) = (store(2), quota(1));
    for key in ["a", "b"] {
        assert!(store.admit(key, &quota, NOW).is_ok());
    }
    assert!(store.admit("a", &quota, NOW).is_err(), "a refusal counts as use");
    assert!(store.admit("c", &quota, NOW).is_ok());
    assert_eq!(store.usage(), Usage { keys: 2, max_keys: 2, evictions: 1 });
    assert!(store.admit("a", &quota, NOW).is_err(), "a was used after b");
    assert!(store.admit("b", &quota, NOW).is_ok(), "b was forgotten");
}

#[test]
fn a_tat_seen_in_the_table_refuses_without_the_table() {
    let (store, quota) = (store(10), quota(3));
    store.learn("a", NOW + 2 * SECOND, NOW);
    assert!(
        matches!(store.consult("a", &quota, NOW), Known::Open { table, owed: 0 } if table == NOW + 2 * SECOND)
    );
    store.learn("a", NOW + 3 * SECOND, NOW);
    assert!(
        matches!(store.consult("a", &quota, NOW), Known::Refused { tat } if tat == NOW + 3 * SECOND)
    );
    store.learn("a", NOW, NOW);
    assert!(
        matches!(store.consult("a", &quota, NOW), Known::Refused { .. }),
        "a TAT never shrinks"
    );
}

#[test]
fn what_was_admitted_here_is_owed_once_and_drains_last() {
    let (store, quota) = (store(10), quota(10));
    store.learn("a", NOW + SECOND, NOW);
    for _ in 0..3 {
        assert!(store.admit("a", &quota, NOW).is_ok());
    }
    assert_eq!(owed(&store, &quota, NOW), 3 * SECOND);
    assert_eq!(owed(&store, &quota, NOW), 0, "it was handed out");
    store.give_back("a", 3 * SECOND, NOW);
    assert_eq!(
        owed(&store, &quota, NOW + 2 * SECOND),
        2 * SECOND,
        "the table's second drained first, then one owed"
    );
    store.give_back("a", 2 * SECOND, NOW + 2 * SECOND);
    assert_eq!(owed(&store, &quota, NOW + 100 * SECOND), 0, "an idle principal owes nothing");
}

proptest! {
    #[test]
    fn consulting_and_giving_back_changes_nothing(
        table in 0_u64..20, admitted in 0_usize..10, later in 0_u64..10, burst in 1_u32..30,
    ) {
        let (touched, untouched, quota) = (store(10), store(10), quota(burst));
        for store in [&touched, &untouched] {
            store.learn("a", NOW + table * SECOND, NOW);
            for _ in 0..admitted {
                let _ = store.admit("a", &quota, NOW);
            }
        }
        let now = NOW + later * SECOND;
        if let Known::Open { owed, .. } = touched.consult("a", &quota, now) {
            touched.give_back("a", owed, now);
        }
        prop_assert_eq!(touched.admit("a", &quota, now), untouched.admit("a", &quota, now));
    }
}

#[test]
fn what_is_owed_by_a_request_running_beside_is_kept() {
    let (store, quota) = (store(10), quota(10));
    let _ = store.consult("a", &quota, NOW);
    for _ in 0..5 {
        assert!(store.admit("a", &quota, NOW).is_ok());
    }
    store.learn("a", NOW + SECOND, NOW);
    assert_eq!(
        owed(&store, &quota, NOW),
        5 * SECOND,
        "the one that the table admitted does not pay for the five"
    );
}

#[test]
fn no_tat_in_the_table_makes_the_arithmetic_overflow() {
    let (store, quota) = (store(10), quota(10));
    assert!(store.admit("a", &quota, NOW).is_ok());
    let owed = owed(&store, &quota, NOW);
    store.learn("a", u64::MAX - 1, NOW);
    assert_eq!(store.give_back("a", owed, NOW), u64::MAX);
    assert!(store.admit("a", &quota, NOW).is_err());
}
