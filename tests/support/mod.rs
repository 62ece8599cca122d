//! What both test programs, `api` and `components`, need: settings, stored events, and services on
//! loopback.

pub(crate) mod dynamo;
mod events;
pub(crate) mod parameters;
mod secrets;

pub(crate) use dynamo::{Dynamo, TABLE};
pub(crate) use events::EVENTS;
pub(crate) use secrets::FakeSecrets;

use aws_config::{BehaviorVersion, Region};
use aws_credential_types::Credentials;
use sentinel_tvm::{Config, Https, TrustedRoots};
use std::path::{Path, PathBuf};
use time::UtcDateTime;

/// Secrets that must never be seen where they do not belong all contain this word.
pub(crate) const CANARY: &str = "CANARY";

/// Wednesday, 4 March 2026, 10:30 UTC.
pub(crate) fn wednesday_morning() -> UtcDateTime {
    UtcDateTime::from_unix_timestamp(1_772_620_200).unwrap()
}

/// The policy bundle of the tests.
pub(crate) fn bundle() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/api/bundle")
}

/// The settings from these variables, with the tests' bundle unless they name another policy.
pub(crate) fn config(variables: &[(&str, &str)]) -> Config {
    let bundle = bundle().to_string_lossy().into_owned();
    let needed =
        [("SENTINEL_POLICY_DIR", bundle.as_str()), ("AWS_LAMBDA_RUNTIME_API", "127.0.0.1:1")];
    let variables = needed
        .iter()
        .chain(variables)
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Config::from_variables(variables).unwrap()
}

/// The SDK configuration of a function that calls `endpoint` for every service.
pub(crate) async fn sdk_config(endpoint: &str) -> aws_config::SdkConfig {
    sdk_config_with(&https(), endpoint).await
}

pub(crate) async fn sdk_config_with(https: &Https, endpoint: &str) -> aws_config::SdkConfig {
    let own = Credentials::new(
        "AKIDOFTHEFUNCTION",
        "CANARY-own-secret-key",
        Some("CANARY-own-token".into()),
        None,
        "test",
    );
    aws_config::defaults(BehaviorVersion::latest())
        .http_client(https.for_aws())
        .region(Region::new("eu-central-1"))
        .credentials_provider(own)
        .endpoint_url(endpoint)
        .load()
        .await
}

/// The function's clients, which trust the certificate authorities that are compiled in.
pub(crate) fn https() -> Https {
    Https::new(&TrustedRoots::CompiledIn).unwrap()
}
