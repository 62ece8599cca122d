//! Two instances of the function on one table, and what an outage of the table does to them.

use super::lambda::Instance;
use crate::support::{Call, Dynamo, FakeSts, TABLE, bundle};
use serde_json::Value;
use std::time::Duration;

async fn instance(sts: &FakeSts, dynamo: &Dynamo, variables: &[(&str, &str)]) -> Instance {
    let (sts, bundle) = (sts.uri(), bundle().to_string_lossy().into_owned());
    let common = [
        ("AWS_ENDPOINT_URL_STS", sts.as_str()),
        ("AWS_ENDPOINT_URL_DYNAMODB", dynamo.uri()),
        ("SENTINEL_POLICY_DIR", bundle.as_str()),
        ("SENTINEL_RATE_LIMIT_TABLE", TABLE),
    ];
    Instance::start(&[&common, variables].concat()).await
}

async fn ask(instance: &mut Instance) -> Value {
    instance.invoke(Call::get("/v1/credentials?profile=development")).await
}

#[tokio::test(flavor = "multi_thread")]
async fn five_requests_pass_over_two_instances_and_the_sixth_passes_after_its_retry_after() {
    let (sts, dynamo) = (FakeSts::start().await, Dynamo::start().await);
    let quota = [("SENTINEL_RATE_LIMIT_REQUESTS", "5"), ("SENTINEL_RATE_LIMIT_WINDOW", "20")];
    let mut one = instance(&sts, &dynamo, &quota).await;
    let mut other = instance(&sts, &dynamo, &quota).await;
    for turn in 0..5 {
        let instance = if turn % 2 == 0 { &mut one } else { &mut other };
        assert_eq!(ask(instance).await["statusCode"], 200, "request {turn}");
    }
    for instance in [&mut one, &mut other] {
        let refused = ask(instance).await;
        assert_eq!(refused["statusCode"], 429);
        assert_eq!(refused["headers"]["RateLimit-Policy"], "\"vend\";q=5;w=20");
    }
    let wait: u64 =
        ask(&mut one).await["headers"]["Retry-After"].as_str().unwrap().parse().unwrap();
    assert!((1..=4).contains(&wait), "one interval of four seconds at most: {wait}");
    tokio::time::sleep(Duration::from_secs(wait)).await;
    assert_eq!(
        ask(&mut other).await["statusCode"],
        200,
        "a caller that waits for the Retry-After is admitted"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_of_the_table_warns_and_resets_no_quota() {
    let (sts, mut dynamo) = (FakeSts::start().await, Dynamo::start().await);
    let settings = [
        ("SENTINEL_RATE_LIMIT_REQUESTS", "10"),
        ("SENTINEL_RATE_LIMIT_WINDOW", "86400"),
        ("SENTINEL_BREAKER_FAILURE_THRESHOLD", "2"),
        ("SENTINEL_BREAKER_RESET_SECONDS", "3"),
        ("SENTINEL_BREAKER_HALF_OPEN_REQUESTS", "1"),
    ];
    let mut one = instance(&sts, &dynamo, &settings).await;
    for _ in 0..3 {
        assert_eq!(ask(&mut one).await["statusCode"], 200);
    }
    dynamo.stop();
    for _ in 0..4 {
        assert_eq!(ask(&mut one).await["statusCode"], 200, "requests pass without the table");
    }
    dynamo.restart().await;
    tokio::time::sleep(Duration::from_millis(3_100)).await;
    let back = ask(&mut one).await;
    let left = back["headers"]["RateLimit"].as_str().unwrap();
    assert!(
        left.starts_with("\"vend\";r=2;"),
        "3 before, 4 during, 1 now: 2 of 10 left, not {left}"
    );
    let mut other = instance(&sts, &dynamo, &settings).await;
    for expected in [200, 200, 429] {
        assert_eq!(ask(&mut other).await["statusCode"], expected, "the shared limit holds again");
    }

    let [output, _] = one.end();
    let lines: Vec<Value> =
        output.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let decided: Vec<&str> =
        lines.iter().filter_map(|line| line["rate_limit"]["decided_by"].as_str()).collect();
    assert_eq!(
        decided,
        ["dynamodb", "dynamodb", "dynamodb", "memory", "memory", "memory", "memory", "dynamodb"]
    );
    let count = |text: &str| {
        lines
            .iter()
            .filter(|line| line["message"].as_str().is_some_and(|said| said.contains(text)))
            .count()
    };
    assert_eq!(count("did not decide"), 2);
    assert_eq!(
        (count("breaker opens"), count("breaker probes"), count("breaker closes")),
        (1, 1, 1),
        "{lines:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unusable_table_is_an_error_in_the_log_at_the_start() {
    let (sts, dynamo) = (FakeSts::start().await, Dynamo::start().await);
    dynamo.fail(400, "ResourceNotFoundException");
    let mut instance = instance(&sts, &dynamo, &[]).await;
    assert_eq!(ask(&mut instance).await["statusCode"], 200, "the mode is memory");
    let [output, _] = instance.end();
    let lines: Vec<Value> =
        output.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let error = lines.iter().position(|line| {
        line["level"] == "ERROR" && line["error"] == "refused: ResourceNotFoundException"
    });
    let audit = lines.iter().position(|line| line["type"] == "audit");
    assert!(error.unwrap() < audit.unwrap(), "{lines:?}");
}
