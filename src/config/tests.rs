use super::*;
use crate::mdm::MdmSecret;
use crate::policy::{BundleFiles, Policy};
use crate::rate_limit::{
    BreakerSettings, FailureMode, Limit, Quota, SharedSettings, StoreSettings,
};
use std::num::NonZeroU32;
use std::time::Duration;

/// The settings, or every problem of them and of the policy that they name.
fn read(variables: &[(&str, &str)]) -> Result<Config, Vec<String>> {
    let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let runtime = ("AWS_LAMBDA_RUNTIME_API".to_owned(), "127.0.0.1:9001".to_owned());
    let config = Config::from_variables(variables.chain([runtime])).map_err(|error| error.0)?;
    let problems = config.policy.problems();
    if problems.is_empty() { Ok(config) } else { Err(problems) }
}

fn policy_of(config: &Config) -> Policy {
    match &config.policy.source {
        PolicySource::Directory(directory) => {
            let files = BundleFiles::from_directory(directory).unwrap();
            Policy::load(&files, &config.policy.options).unwrap()
        }
        PolicySource::Parameters { .. } => panic!("this is about a directory"),
    }
}

fn quota(requests: u32, window: u32, burst: u32) -> Limit {
    let whole = |number| NonZeroU32::new(number).unwrap();
    Limit::Quota(Quota::new(whole(requests), whole(window), whole(burst)))
}

#[test]
fn the_defaults_are_those_of_the_documentation() {
    let config = read(&[]).unwrap();
    assert_eq!(policy_of(&config).default_duration().seconds(), 900);
    assert!(
        policy_of(&config).profile_count() > 0,
        "the bundle in policy/, whatever you have made of it"
    );
    assert_eq!(config.rate_limit.limits.vend, quota(100, 60, 100));
    assert_eq!(config.rate_limit.limits.read, quota(100, 60, 100));
    assert_eq!(config.rate_limit.limits.memory_max_keys.get(), 50_000);
    assert_eq!(config.named_session_roles.to_string(), "AWSReservedSSO_*");
    assert_eq!(config.log_level, LevelFilter::INFO);
}

#[test]
fn every_variable_is_read() {
    let config = read(&[
        ("SENTINEL_POLICY_DIR", "tests/api/bundle"),
        ("SENTINEL_DEFAULT_DURATION", "3600"),
        ("SENTINEL_RATE_LIMIT_REQUESTS", "5"),
        ("SENTINEL_RATE_LIMIT_WINDOW", "10"),
        ("SENTINEL_RATE_LIMIT_BURST", "2"),
        ("SENTINEL_RATE_LIMIT_READ_REQUESTS", "0"),
        ("SENTINEL_RATE_LIMIT_READ_WINDOW", "86400"),
        ("SENTINEL_RATE_LIMIT_READ_BURST", "1"),
        ("SENTINEL_RATE_LIMIT_MEMORY_MAX_KEYS", "7"),
        ("SENTINEL_NAMED_SESSION_ROLES", "Okta-*,Exact"),
        ("AWS_LAMBDA_LOG_LEVEL", "FATAL"),
        ("RUST_LOG", "debug"),
        ("LAMBDA_TASK_ROOT", "/var/task"),
    ])
    .unwrap();
    assert_eq!(policy_of(&config).default_duration().seconds(), 3_600);
    assert_eq!(policy_of(&config).profile_count(), 14, "the bundle of tests/api");
    assert_eq!(config.rate_limit.limits.vend, quota(5, 10, 2));
    assert_eq!(config.rate_limit.limits.read, Limit::Off);
    assert_eq!(config.rate_limit.limits.memory_max_keys.get(), 7);
    assert_eq!(config.named_session_roles.to_string(), "Okta-*,Exact");
    assert_eq!(config.log_level, LevelFilter::ERROR);
}

#[test]
fn a_parameter_path_wins_over_the_directory() {
    let path = ("SENTINEL_POLICY_PARAMETER", "/sentinel/policy");
    let both =
        read(&[path, ("SENTINEL_POLICY_DIR", "/nowhere"), ("SENTINEL_POLICY_TTL", "5")]).unwrap();
    let PolicySource::Parameters { path, ttl, .. } = both.policy.source else {
        panic!("the path wins")
    };
    assert_eq!((path, ttl.whole_seconds()), (ParameterPath::parse("/sentinel/policy").unwrap(), 5));
    let alone = read(&[("SENTINEL_POLICY_PARAMETER", "/p")]).unwrap();
    assert!(
        matches!(alone.policy.source, PolicySource::Parameters { ttl, .. } if ttl.whole_seconds() == 30)
    );
    for bad in ["sentinel", "/", "/a/", "/a//b", "/a b", "/aws/x", "/SSM", "/a/*"] {
        let problems = read(&[("SENTINEL_POLICY_PARAMETER", bad)]).unwrap_err();
        assert!(
            problems.len() == 1
                && problems[0].starts_with("SENTINEL_POLICY_PARAMETER is not a path"),
            "{problems:?}"
        );
    }
    assert_eq!(
        read(&[("SENTINEL_POLICY_TTL", "0")]).unwrap_err(),
        ["SENTINEL_POLICY_TTL is not a whole number from 1 to 3600"]
    );
}

#[test]
fn a_table_makes_the_store_shared() {
    assert_eq!(read(&[]).unwrap().rate_limit.store, StoreSettings::Memory);
    let store = |extra: &[(&str, &str)]| {
        let table = ("SENTINEL_RATE_LIMIT_TABLE", "sentinel-rate-limit");
        read(&[&[table], extra].concat()).unwrap().rate_limit.store
    };
    let breaker = BreakerSettings {
        failure_threshold: 5,
        reset_seconds: 30,
        max_reset_seconds: 60,
        half_open_requests: 3,
    };
    let defaults = SharedSettings {
        timeout: Duration::from_millis(500),
        failure_mode: FailureMode::Memory,
        breaker,
    };
    assert_eq!(store(&[]), StoreSettings::Dynamodb("sentinel-rate-limit".to_owned(), defaults));
    let set = store(&[
        ("SENTINEL_RATE_LIMIT_TIMEOUT_MS", "200"),
        ("SENTINEL_RATE_LIMIT_FAILURE_MODE", "closed"),
        ("SENTINEL_BREAKER_FAILURE_THRESHOLD", "1"),
        ("SENTINEL_BREAKER_RESET_SECONDS", "2"),
        ("SENTINEL_BREAKER_MAX_RESET_SECONDS", "8"),
        ("SENTINEL_BREAKER_HALF_OPEN_REQUESTS", "4"),
    ]);
    let breaker = BreakerSettings {
        failure_threshold: 1,
        reset_seconds: 2,
        max_reset_seconds: 8,
        half_open_requests: 4,
    };
    let settings = SharedSettings {
        timeout: Duration::from_millis(200),
        failure_mode: FailureMode::Closed,
        breaker,
    };
    assert_eq!(set, StoreSettings::Dynamodb("sentinel-rate-limit".to_owned(), settings));
}

#[test]
fn the_breakers_longest_wait_is_never_below_its_first() {
    let longest = |variables: &[(&str, &str)]| {
        let table = ("SENTINEL_RATE_LIMIT_TABLE", "sentinel-rate-limit");
        read(&[&[table], variables].concat()).map(|config| match config.rate_limit.store {
            StoreSettings::Dynamodb(_, shared) => shared.breaker.max_reset_seconds,
            StoreSettings::Memory => panic!("there is a table"),
        })
    };
    assert_eq!(longest(&[("SENTINEL_BREAKER_RESET_SECONDS", "600")]), Ok(600));
    let below = [("SENTINEL_BREAKER_MAX_RESET_SECONDS", "29")];
    let problem = "SENTINEL_BREAKER_MAX_RESET_SECONDS is below SENTINEL_BREAKER_RESET_SECONDS";
    assert_eq!(longest(&below).unwrap_err(), [problem]);
}

#[test]
fn the_day_has_a_limit_only_beside_one_of_the_short_window() {
    const DAY: &str = "SENTINEL_RATE_LIMIT_DAY_REQUESTS";
    let day = |variables: &[(&str, &str)]| {
        read(variables).map(|config| config.rate_limit.limits.vend_day)
    };
    let whole = |number| std::num::NonZeroU32::new(number).unwrap();
    assert_eq!(day(&[]), Ok(Limit::Off));
    assert_eq!(day(&[(DAY, "0")]), Ok(Limit::Off));
    let limit = Limit::Quota(Quota::new(whole(500), whole(86_400), whole(500)));
    assert_eq!(day(&[(DAY, "500")]), Ok(limit));
    let alone = [(DAY, "500"), ("SENTINEL_RATE_LIMIT_REQUESTS", "0")];
    let problem = format!("{DAY} needs SENTINEL_RATE_LIMIT_REQUESTS above 0");
    assert_eq!(day(&alone).unwrap_err(), [problem]);
    assert!(day(&[(DAY, "1000001")]).is_err());
}

/// A function with this device management, and what is wrong with it.
fn devices(variables: &[(&str, &str)]) -> Result<DeviceSettings, Vec<String>> {
    read(variables).map(|config| config.device)
}

#[test]
fn a_provider_needs_an_address_and_a_secret() {
    const JAMF: (&str, &str) = ("SENTINEL_MDM_PROVIDER", "jamf");
    const INTUNE: (&str, &str) = ("SENTINEL_MDM_PROVIDER", "intune");
    const URL: (&str, &str) = ("SENTINEL_MDM_BASE_URL", "https://jamf.example.com");
    const SECRET: (&str, &str) = ("MDM_SECRET_ARN", "mdm");
    const TENANT: (&str, &str) = ("SENTINEL_MDM_TENANT_ID", "00000000-0000-0000-0000-000000000000");
    assert!(matches!(devices(&[]), Ok(DeviceSettings::Disabled)));
    assert!(matches!(devices(&[("SENTINEL_MDM_PROVIDER", "none")]), Ok(DeviceSettings::Disabled)));
    assert!(matches!(devices(&[JAMF, URL, SECRET]), Ok(DeviceSettings::Optional(..))));
    assert!(matches!(
        devices(&[JAMF, URL, ("SENTINEL_MDM_API_SECRET_ID", "mdm")]),
        Ok(DeviceSettings::Optional(..))
    ));
    assert!(matches!(
        devices(&[JAMF, URL, SECRET, ("SENTINEL_REQUIRE_DEVICE", "true")]),
        Ok(DeviceSettings::Required(..))
    ));
    assert!(matches!(devices(&[INTUNE, TENANT, SECRET]), Ok(DeviceSettings::Optional(..))));
    let token = devices(&[JAMF, URL, ("SENTINEL_MDM_API_TOKEN", "token")]);
    assert!(matches!(token, Ok(DeviceSettings::Optional(_, MdmSecret::Environment(_)))));
    for (variables, problem) in [
        (&[JAMF, SECRET][..], "SENTINEL_MDM_BASE_URL is not set"),
        (&[JAMF, URL], "MDM_SECRET_ARN is not set"),
        (
            &[JAMF, SECRET, ("SENTINEL_MDM_BASE_URL", "http://jamf.example.com")],
            "SENTINEL_MDM_BASE_URL is not usable",
        ),
        (&[INTUNE, SECRET], "SENTINEL_MDM_TENANT_ID is not set"),
        (
            &[JAMF, URL, SECRET, ("SENTINEL_MDM_API_SECRET_ID", "mdm")],
            "SENTINEL_MDM_API_SECRET_ID and MDM_SECRET_ARN",
        ),
        (
            &[("SENTINEL_MDM_PROVIDER", "none"), ("SENTINEL_REQUIRE_DEVICE", "true")],
            "SENTINEL_REQUIRE_DEVICE is set",
        ),
    ] {
        let problems = devices(variables).unwrap_err();
        assert!(problems.len() == 1 && problems[0].starts_with(problem), "{problems:?}");
    }
}

#[test]
fn on_lambda_the_bundle_is_beside_the_program() {
    assert!(read(&[("LAMBDA_TASK_ROOT", env!("CARGO_MANIFEST_DIR"))]).is_ok());
    let problems = read(&[("LAMBDA_TASK_ROOT", "/var/task")]).unwrap_err();
    assert!(problems[0].starts_with("/var/task/policy/profiles.toml: "), "{problems:?}");
}

#[test]
fn the_burst_is_the_quota_unless_set() {
    assert_eq!(
        read(&[("SENTINEL_RATE_LIMIT_REQUESTS", "5")]).unwrap().rate_limit.limits.vend,
        quota(5, 60, 5)
    );
}

#[test]
fn bad_values_name_the_variable() {
    for (name, value) in [
        ("SENTINEL_POLICY_DIR", ""),
        ("SENTINEL_DEFAULT_DURATION", "899"),
        ("SENTINEL_DEFAULT_DURATION", "3601"),
        ("SENTINEL_DEFAULT_DURATION", "900s"),
        ("SENTINEL_RATE_LIMIT_REQUESTS", ""),
        ("SENTINEL_RATE_LIMIT_REQUESTS", "-1"),
        ("SENTINEL_RATE_LIMIT_REQUESTS", "+1"),
        ("SENTINEL_RATE_LIMIT_REQUESTS", "1000001"),
        ("SENTINEL_RATE_LIMIT_REQUESTS", "99999999999999999999"),
        ("SENTINEL_RATE_LIMIT_WINDOW", "0"),
        ("SENTINEL_RATE_LIMIT_BURST", "0"),
        ("SENTINEL_RATE_LIMIT_READ_WINDOW", "1.5"),
        ("SENTINEL_RATE_LIMIT_MEMORY_MAX_KEYS", "0"),
        ("SENTINEL_NAMED_SESSION_ROLES", "*"),
        ("SENTINEL_NAMED_SESSION_ROLES", ""),
        ("SENTINEL_NAMED_SESSION_ROLES", "Okta:People-*"),
        ("SENTINEL_MAX_REQUEST_AGE", "59"),
        ("SENTINEL_MAX_REQUEST_AGE", "901"),
        ("SENTINEL_POLICY_MAX_AGE", "59"),
        ("SENTINEL_POLICY_MAX_AGE", "604801"),
        ("SENTINEL_CALLER_PROOF", "yes"),
        ("SENTINEL_CALLER_PROOF", ""),
        ("SENTINEL_CALLER_PROOF_AUDIENCE", "https://urlid123.lambda-url.eu-central-1.on.aws/"),
        ("SENTINEL_CLIENT_TOKEN_TTL", "59"),
        ("SENTINEL_RATE_LIMIT_EXPLAIN_WINDOW", "0"),
        ("AWS_LAMBDA_LOG_LEVEL", "loud"),
        ("RUST_LOG", "sentinel_tvm=debug"),
        ("SENTINEL_RATE_LIMIT_REQUEST", "5"),
        ("SENTINEL_REQUIRE_DEVICE", "true"),
        ("SENTINEL_REQUIRE_DEVICE", "yes"),
        ("SENTINEL_REQUIRE_DEVICE", ""),
        ("SENTINEL_MDM_PROVIDER", "workspace-one"),
        ("SENTINEL_MDM_PROVIDER", ""),
        ("SENTINEL_MDM_TIMEOUT_MS", "8001"),
        ("SENTINEL_MDM_SECRET_TTL", "59"),
        ("SENTINEL_MDM_POSTURE_TTL", "3601"),
        ("SENTINEL_CLIENT_TOKEN_SECRET_ARN", ""),
        ("SENTINEL_MDM_BASE_URL", "https://jamf.example.com"),
        ("SENTINEL_RATE_LIMIT_TABLE", "ab"),
        ("SENTINEL_RATE_LIMIT_TABLE", "a table"),
        ("SENTINEL_RATE_LIMIT_TABLE", "arn:aws:s3:::bucket"),
        ("SENTINEL_RATE_LIMIT_FAILURE_MODE", "fail-open"),
        ("SENTINEL_RATE_LIMIT_FAILURE_MODE", ""),
        ("SENTINEL_RATE_LIMIT_TIMEOUT_MS", "49"),
        ("SENTINEL_RATE_LIMIT_TIMEOUT_MS", "5001"),
        ("SENTINEL_BREAKER_FAILURE_THRESHOLD", "0"),
        ("SENTINEL_BREAKER_RESET_SECONDS", "0"),
        ("SENTINEL_BREAKER_HALF_OPEN_REQUESTS", "0"),
        ("MDM_SECRET_ARN", "arn:aws:secretsmanager:eu-central-1:123456789012:secret:x"),
    ] {
        let problems = read(&[(name, value)]).unwrap_err();
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert!(problems[0].starts_with(&format!("{name} ")), "{problems:?}");
    }
}

#[test]
fn all_problems_are_told_together() {
    let problems = read(&[
        ("SENTINEL_RATE_LIMIT_WINDOW", "x"),
        ("SENTINEL_DEFAULT_DURATION", "1"),
        ("SENTINEL_X", "1"),
        ("SENTINEL_POLICY_DIR", "/x"),
    ]);
    let problems = problems.unwrap_err();
    assert_eq!(problems.len(), 4, "{problems:?}");
}

/// THREAT: an application log level above INFO looks thrifty, and Lambda silently drops the audit
/// lines, which are INFO.
/// PREVENTION: the function does not start. Only JSON logs are filtered, and `RUST_LOG` is not
/// Lambda's.
#[test]
fn security_a_level_that_drops_audit_lines_stops_the_start() {
    for level in ["WARN", "ERROR", "FATAL", "off"] {
        let lambda = ("AWS_LAMBDA_LOG_LEVEL", level);
        let problems = read(&[("AWS_LAMBDA_LOG_FORMAT", "JSON"), lambda]).unwrap_err();
        assert!(problems[0].starts_with("AWS_LAMBDA_LOG_LEVEL is above INFO"), "{problems:?}");
        assert!(read(&[("AWS_LAMBDA_LOG_FORMAT", "Text"), lambda]).is_ok(), "{level}");
        assert!(read(&[("AWS_LAMBDA_LOG_FORMAT", "JSON"), ("RUST_LOG", level)]).is_ok(), "{level}");
    }
    assert!(read(&[("AWS_LAMBDA_LOG_FORMAT", "JSON"), ("AWS_LAMBDA_LOG_LEVEL", "INFO")]).is_ok());
}

#[test]
fn the_policy_does_not_expire_before_it_is_read_again() {
    let ages = [("SENTINEL_POLICY_TTL", "3600"), ("SENTINEL_POLICY_MAX_AGE", "3599")];
    assert_eq!(read(&ages).unwrap_err(), ["SENTINEL_POLICY_MAX_AGE is below SENTINEL_POLICY_TTL"]);
}

/// THREAT: a mistyped safeguard (`SENTINEL_REQUIRE_DEVCE=true`) is silently no safeguard.
/// PREVENTION: a `SENTINEL_` variable this version does not know stops the start.
#[test]
fn security_unknown_settings_stop_the_start() {
    assert!(read(&[("SENTINEL_REQUIRE_DEVCE", "true")]).is_err());
}
