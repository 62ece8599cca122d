//! What is written, and how often.

use super::{SETTINGS, admit, after, instance, key, limiter, micros, passes, quota, start};
use crate::support::Dynamo;
use sentinel_tvm::DecidedBy;
use serde_json::json;

#[tokio::test]
async fn the_first_request_sets_and_the_next_adds() {
    let dynamo = Dynamo::start().await;
    let limiter = instance(&dynamo, quota(5)).await;
    for _ in 0..2 {
        assert_eq!(
            admit(&limiter, "alice", start()).await.writes,
            1,
            "one write in the usual case"
        );
    }
    let requests = dynamo.requests();
    let now = micros(start());
    let expires = (now + 60_000_000).div_ceil(1_000_000) + 3_600;
    let common = |update: &str, condition: &str, values: serde_json::Value| {
        json!({
            "TableName": "limits",
            "Key": { "PK": { "S": "RL#vend#arn:aws:iam::123456789012:user/alice" } },
            "UpdateExpression": update,
            "ConditionExpression": condition,
            "ExpressionAttributeNames": { "#ttl": "TTL" },
            "ExpressionAttributeValues": values,
            "ReturnValues": "UPDATED_NEW",
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        })
    };
    let number = |value: u64| json!({ "N": value.to_string() });
    let idle = common(
        "SET TAT = :tat, #ttl = :ttl",
        "(attribute_not_exists(TAT) OR TAT <= :now) AND (attribute_not_exists(Blocked) OR Blocked <= :now)",
        json!({ ":now": number(now), ":tat": number(now + 12_000_000), ":ttl": number(expires) }),
    );
    let ahead = common(
        "ADD TAT :step SET #ttl = :ttl",
        "TAT > :now AND TAT <= :latest AND (attribute_not_exists(Blocked) OR Blocked <= :now)",
        json!({ ":now": number(now), ":step": number(12_000_000), ":latest": number(now + 48_000_000), ":ttl": number(expires) }),
    );
    assert_eq!(requests, [("UpdateItem".to_owned(), idle), ("UpdateItem".to_owned(), ahead)]);
    assert_eq!(
        dynamo.item(&key("alice")).unwrap(),
        json!({ "PK": { "S": key("alice") }, "TAT": number(now + 24_000_000), "TTL": number(expires) })
    );
}

#[tokio::test]
async fn items_expire_an_hour_after_they_become_idle() {
    let dynamo = Dynamo::start().await;
    let limiter = instance(&dynamo, quota(5)).await;
    for _ in 0..5 {
        admit(&limiter, "alice", start()).await;
    }
    let item = dynamo.item(&key("alice")).unwrap();
    let number = |name: &str| item[name]["N"].as_str().unwrap().parse::<u64>().unwrap();
    assert_eq!(number("TTL"), number("TAT") / 1_000_000 + 3_600);
}

#[tokio::test]
async fn only_update_item_is_ever_called() {
    let dynamo = Dynamo::start().await;
    let [one, other] = [instance(&dynamo, quota(3)).await, instance(&dynamo, quota(3)).await];
    for second in 0..100 {
        admit(&one, "alice", after(f64::from(second))).await;
        admit(&other, "alice", after(f64::from(second))).await;
    }
    let requests = dynamo.requests();
    assert!(requests.len() >= 6);
    assert!(requests.iter().all(|(operation, _)| operation == "UpdateItem"));
}

#[tokio::test]
async fn a_wrong_guess_costs_one_more_write() {
    let dynamo = Dynamo::start().await;
    let [one, other] = [instance(&dynamo, quota(5)).await, instance(&dynamo, quota(5)).await];
    assert_eq!(admit(&one, "alice", start()).await.writes, 1);
    assert_eq!(
        admit(&other, "alice", start()).await.writes,
        2,
        "the first guess was that alice is idle"
    );
    assert_eq!(admit(&other, "alice", start()).await.writes, 1, "and now the guess is right");
    assert_eq!(admit(&one, "alice", after(59.0)).await.writes, 1, "idle again");
}

#[tokio::test]
async fn a_thousand_requests_over_the_quota_cost_five_writes_at_most() {
    let dynamo = Dynamo::start().await;
    let limiter = instance(&dynamo, quota(2)).await;
    for _ in 0..2 {
        assert!(passes(&admit(&limiter, "alice", start()).await));
    }
    dynamo.requests();
    for turn in 0..1_000 {
        let refused = admit(&limiter, "alice", after(f64::from(turn) * 0.02)).await;
        assert!(!passes(&refused));
        assert_eq!(refused.decided_by, DecidedBy::Mirror);
    }
    assert!(dynamo.requests().len() <= 5);

    let newcomer = limiter_on(&dynamo).await;
    for _ in 0..1_000 {
        assert!(!passes(&admit(&newcomer, "alice", start()).await));
    }
    assert!(dynamo.requests().len() <= 5, "a new instance learns the state with one or two writes");
}

async fn limiter_on(dynamo: &Dynamo) -> sentinel_tvm::RateLimiter {
    limiter(dynamo.uri(), quota(2), SETTINGS).await
}
