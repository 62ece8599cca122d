//! The built program itself, under a stand-in for Lambda's Runtime API.

use crate::support::{CANARY, Call, FakeSts, REQUEST_ID, bundle};
use serde_json::Value;
use std::process::{Command, Output, Stdio};
use std::time::Duration;
use wiremock::matchers::{method, path, path_regex};
use wiremock::{Mock, MockServer, ResponseTemplate};

/// The program with no variable but these.
fn program(variables: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sentinel-tvm"));
    command.env_clear().envs(variables.iter().copied()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn json_lines(output: &Output) -> Vec<Value> {
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("not JSON: {line}"))).collect()
}

#[test]
fn a_bad_start_names_every_problem_once_and_serves_nothing() {
    let output = program(&[
        ("SENTINEL_RATE_LIMIT_REQUESTS", "many"),
        ("SENTINEL_DEFAULT_DURATION", "60"),
        ("SENTINEL_NAMED_SESSION_ROLES", "*"),
        ("SENTINEL_REQUIRE_DEVCE", "true"),
        ("SENTINEL_POLICY_DIR", "/no/such/directory"),
    ])
    .output()
    .unwrap();
    assert!(!output.status.success());
    let lines = json_lines(&output);
    assert_eq!(lines.len(), 1, "{lines:?}");
    let problems = lines[0]["problems"].as_str().unwrap();
    for name in [
        "SENTINEL_RATE_LIMIT_REQUESTS",
        "SENTINEL_DEFAULT_DURATION",
        "SENTINEL_NAMED_SESSION_ROLES",
        "SENTINEL_REQUIRE_DEVCE",
        "/no/such/directory/profiles.toml",
        "AWS_LAMBDA_RUNTIME_API",
    ] {
        assert_eq!(problems.matches(name).count(), 1, "{name} in {problems}");
    }
}

/// THREAT: a verbose log level makes the HTTP and SDK crates write requests and replies, and with them credentials, to the log.
/// PREVENTION: the level is this crate's alone; libraries log warnings and errors only.
#[tokio::test]
async fn security_no_secret_is_logged_at_any_level() {
    let (sts, lambda) = (FakeSts::start().await, MockServer::start().await);
    let event: Value = Call::get("/v1/credentials?profile=development").into();
    let next = ResponseTemplate::new(200)
        .insert_header("Lambda-Runtime-Aws-Request-Id", REQUEST_ID)
        .insert_header("Lambda-Runtime-Deadline-Ms", "4102444800000")
        .insert_header("Lambda-Runtime-Invoked-Function-Arn", "arn:aws:lambda:eu-central-1:123456789012:function:f")
        .set_body_json(event);
    let invocation = || Mock::given(method("GET")).and(path("/2018-06-01/runtime/invocation/next"));
    invocation().respond_with(next).up_to_n_times(1).mount(&lambda).await;
    invocation().respond_with(ResponseTemplate::new(200).set_delay(Duration::from_mins(10))).mount(&lambda).await;
    let reply = Mock::given(method("POST")).and(path_regex("/response$"));
    reply.respond_with(ResponseTemplate::new(202)).expect(1).mount(&lambda).await;

    let mut child = program(&[
        ("AWS_LAMBDA_RUNTIME_API", lambda.uri().trim_start_matches("http://")),
        ("AWS_LAMBDA_FUNCTION_NAME", "sentinel-tvm"),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128"),
        ("AWS_LAMBDA_FUNCTION_VERSION", "1"),
        ("AWS_LAMBDA_LOG_LEVEL", "TRACE"),
        ("RUST_LOG", "trace"),
        ("AWS_REGION", "eu-central-1"),
        ("AWS_ACCESS_KEY_ID", "AKIDOFTHEFUNCTION"),
        ("AWS_SECRET_ACCESS_KEY", "CANARY-own-secret-key"),
        ("AWS_SESSION_TOKEN", "CANARY-own-token"),
        ("AWS_ENDPOINT_URL", &sts.uri()),
        ("SENTINEL_POLICY_DIR", &bundle().to_string_lossy()),
    ])
    .spawn()
    .unwrap();
    let answered = || async { lambda.received_requests().await.unwrap().into_iter().find(|request| request.method == "POST") };
    let reply = tokio::time::timeout(Duration::from_mins(1), async {
        loop {
            match answered().await {
                Some(reply) => break reply,
                None => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    });
    let reply = reply.await;
    child.kill().unwrap();
    let output = child.wait_with_output().unwrap();
    let reply: Value = serde_json::from_slice(&reply.expect("an answer in time").body).unwrap();

    assert_eq!(reply["statusCode"], 200);
    assert!(reply["body"].as_str().unwrap().contains("CANARY-issued-secret"));
    let lines = json_lines(&output);
    let warned = |line: &&Value| line["level"] == "WARN" && line["message"].as_str().unwrap().contains("across instances");
    assert_eq!(lines.iter().filter(warned).count(), 1, "{lines:?}");
    let audits: Vec<&Value> = lines.iter().filter(|line| line["type"] == "audit").collect();
    assert_eq!(audits.len(), 1);
    assert_eq!(audits[0]["request_id"], REQUEST_ID);
    for stream in [&output.stdout, &output.stderr] {
        assert!(!String::from_utf8_lossy(stream).contains(CANARY));
    }
}
