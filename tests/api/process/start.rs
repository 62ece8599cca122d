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
