//! How the program starts, and what it logs.

use super::lambda::{Instance, program};
use crate::support::{CANARY, Call, FakeSts, bundle};
use serde_json::Value;

fn json_lines(text: &str) -> Vec<Value> {
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("not JSON: {line}")))
        .collect()
}

#[test]
fn a_start_with_bad_settings_names_every_problem_once_and_exits() {
    let output = program(&[
        ("SENTINEL_RATE_LIMIT_REQUESTS", "many"),
        ("SENTINEL_DEFAULT_DURATION", "60"),
        ("SENTINEL_NAMED_SESSION_ROLES", "*"),
        ("SENTINEL_REQUIRE_DEVCE", "true"),
        ("SENTINEL_POLICY_DIR", "/no/such/directory"),
        ("AWS_CA_BUNDLE", "/no/such/file.pem"),
    ])
    .output()
    .unwrap();
    assert!(!output.status.success());
    let lines = json_lines(&String::from_utf8(output.stdout).unwrap());
    assert_eq!(lines.len(), 1, "{lines:?}");
    let problems = lines[0]["problems"].as_str().unwrap();
    for name in [
        "SENTINEL_RATE_LIMIT_REQUESTS",
        "SENTINEL_DEFAULT_DURATION",
        "SENTINEL_NAMED_SESSION_ROLES",
        "SENTINEL_REQUIRE_DEVCE",
        "/no/such/directory/profiles.toml",
        "AWS_LAMBDA_RUNTIME_API",
        "AWS_CA_BUNDLE cannot be read",
    ] {
        assert_eq!(problems.matches(name).count(), 1, "{name} in {problems}");
    }
}

/// THREAT: a limiter that can never reach its table starts all the same, and nobody notices that each
/// instance counts alone.
/// PREVENTION: what cannot be made stops the start.
#[test]
fn security_a_limiter_that_cannot_be_made_stops_the_start() {
    let bundle = bundle().to_string_lossy().into_owned();
    let started = |variables: &[(&str, &str)]| {
        let common = [
            ("AWS_LAMBDA_RUNTIME_API", "127.0.0.1:1"),
            ("SENTINEL_POLICY_DIR", bundle.as_str()),
            ("AWS_EC2_METADATA_DISABLED", "true"),
            ("AWS_ACCESS_KEY_ID", "AKIDOFTHEFUNCTION"),
            ("AWS_SECRET_ACCESS_KEY", "CANARY-own-secret-key"),
        ];
        let output = program(&[&common, variables].concat()).output().unwrap();
        assert!(!output.status.success());
        let lines = json_lines(&String::from_utf8(output.stdout).unwrap());
        lines.last().unwrap()["problems"].as_str().unwrap().to_owned()
    };
    assert_eq!(
        started(&[("SENTINEL_RATE_LIMIT_TABLE", "limits")]),
        "AWS_REGION is not set: the table in SENTINEL_RATE_LIMIT_TABLE is in a Region"
    );
    assert_eq!(
        started(&[("SENTINEL_RATE_LIMIT_TABLE", "no/table"), ("AWS_REGION", "eu-central-1")]),
        "SENTINEL_RATE_LIMIT_TABLE is not a table's name (3 to 255 of A-Z a-z 0-9 _ . -) or ARN"
    );
}

#[tokio::test]
async fn a_table_out_of_reach_does_not_stop_the_start_and_health_says_so() {
    let mut instance = Instance::start(&[
        ("AWS_ENDPOINT_URL", "http://127.0.0.1:1"),
        ("SENTINEL_POLICY_DIR", &bundle().to_string_lossy()),
        ("SENTINEL_RATE_LIMIT_TABLE", "limits"),
    ])
    .await;
    let health = instance.invoke(Call::get("/v1/health")).await;
    let body: Value = serde_json::from_str(health["body"].as_str().unwrap()).unwrap();
    assert_eq!(body["storage"]["healthy"], false, "the start has tried");
    assert_eq!(body["rate_limit"]["breaker"], "closed", "one failure does not open it");
}

#[tokio::test]
async fn a_start_names_the_variable_that_shares_the_limits_and_the_memory_of_a_large_bound() {
    let warned = async |max_keys: &str| {
        let mut instance = Instance::start(&[
            ("AWS_ENDPOINT_URL", "http://127.0.0.1:1"),
            ("SENTINEL_POLICY_DIR", &bundle().to_string_lossy()),
            ("SENTINEL_RATE_LIMIT_MEMORY_MAX_KEYS", max_keys),
        ])
        .await;
        instance.invoke(Call::get("/v1/health")).await;
        let [output, _] = instance.end();
        let warns = |line: &Value| line["level"] == "WARN";
        json_lines(&output).into_iter().filter(warns).collect::<Vec<_>>()
    };
    let with = |lines: &[Value], text: &str| {
        let said = |line: &&Value| line["message"].as_str().unwrap().contains(text);
        lines.iter().find(said).cloned()
    };
    let at_the_mark = warned("100000").await;
    assert!(with(&at_the_mark, "SENTINEL_RATE_LIMIT_TABLE").is_some(), "{at_the_mark:?}");
    assert_eq!(with(&at_the_mark, "SENTINEL_RATE_LIMIT_MEMORY_MAX_KEYS"), None);
    let above = with(&warned("1000000").await, "SENTINEL_RATE_LIMIT_MEMORY_MAX_KEYS").unwrap();
    assert_eq!((&above["max_keys"], &above["megabytes"]), (&1_000_000.into(), &330.into()));
}

/// THREAT: a verbose log level makes the HTTP and SDK crates write requests and replies, and with
/// them credentials, to the log.
/// PREVENTION: the level is this crate's alone; libraries log warnings and errors only.
#[tokio::test]
async fn security_no_secret_is_logged_at_any_level() {
    let sts = FakeSts::start().await;
    let mut instance = Instance::start(&[
        ("AWS_LAMBDA_LOG_LEVEL", "TRACE"),
        ("RUST_LOG", "trace"),
        ("AWS_ENDPOINT_URL", &sts.uri()),
        ("SENTINEL_POLICY_DIR", &bundle().to_string_lossy()),
    ])
    .await;
    let vended = instance.invoke(Call::get("/v1/credentials?profile=development")).await;
    sts.refuse(403, "AccessDenied").await;
    let refused = instance.invoke(Call::get("/v1/credentials?profile=development")).await;
    let [output, errors] = instance.end();

    assert_eq!((&vended["statusCode"], &refused["statusCode"]), (&200.into(), &502.into()));
    assert!(
        vended["body"].as_str().unwrap().contains("CANARY-issued-secret"),
        "the caller does get it"
    );
    assert!(!output.contains(CANARY) && !errors.contains(CANARY), "{output}{errors}");
    let lines = json_lines(&output);
    let warned = |line: &&Value| {
        line["level"] == "WARN" && line["message"].as_str().unwrap().contains("across instances")
    };
    assert_eq!(lines.iter().filter(warned).count(), 1, "{lines:?}");
    let codes: Vec<&Value> =
        lines.iter().filter(|line| line["type"] == "audit").map(|line| &line["code"]).collect();
    assert_eq!(codes, ["OK", "CREDENTIAL_ERROR"]);
    let failed = |line: &&Value| {
        line["level"] == "ERROR"
            && line["message"].as_str().unwrap().contains("sts:SetSourceIdentity")
    };
    assert_eq!(lines.iter().filter(failed).count(), 1, "{lines:?}");
}

/// aws-lc's own collector of entropy would take most of a cold start. `.cargo/config.toml` leaves it
/// out, and each of its functions has `jent_` in its name.
#[test]
fn the_program_does_not_collect_entropy_from_jitter() {
    let program = std::fs::read(env!("CARGO_BIN_EXE_sentinel-tvm")).unwrap();
    let has = |name: &[u8]| program.windows(name.len()).any(|bytes| bytes == name);
    assert!(has(b"_RAND_bytes"), "the names of aws-lc's functions are there");
    assert!(!has(b"jent_"), "see .cargo/config.toml");
}
