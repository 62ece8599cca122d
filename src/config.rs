//! The settings: every variable, its default and its range, read once at the start.
//!
//! Invariant: a value that is empty, malformed, out of range or unknown stops the start, with one
//! error that lists every problem, those of the policy bundle included. An unknown `SENTINEL_`
//! variable is a problem too: a misspelt safeguard must not silently be off.

mod device;
mod rate_limit;
mod variables;

use crate::caller::{MaxRequestAge, NamedSessionRoles};
use crate::caller_proof::{CallerProofMode, CallerProofSettings, is_host};
use crate::client_token::ClientTokenSettings;
use crate::https::{Https, TrustedRoots};
use crate::mdm::DeviceSettings;
use crate::policy::BundleOptions;
use crate::policy_store::{ParameterPath, PolicySettings, PolicySource};
use crate::rate_limit::RateLimitSettings;
use crate::request::SessionDuration;
use std::path::PathBuf;
use time::Duration;
use tracing::level_filters::LevelFilter;
use variables::Variables;

/// The settings, valid.
#[derive(Debug)]
pub struct Config {
    /// `SENTINEL_POLICY_PARAMETER` with `SENTINEL_POLICY_TTL`, or else `SENTINEL_POLICY_DIR`;
    /// `SENTINEL_DEFAULT_DURATION`.
    pub policy: PolicySettings,
    /// `SENTINEL_RATE_LIMIT_*` and `SENTINEL_BREAKER_*`.
    pub rate_limit: RateLimitSettings,
    /// `SENTINEL_REQUIRE_DEVICE`, `SENTINEL_MDM_*` and `MDM_SECRET_ARN`.
    pub device: DeviceSettings,
    /// `SENTINEL_CALLER_PROOF` and `SENTINEL_CALLER_PROOF_AUDIENCE`.
    pub caller_proof: CallerProofSettings,
    /// `SENTINEL_CLIENT_TOKEN_SECRET_ARN` and `SENTINEL_CLIENT_TOKEN_TTL`.
    pub client_token: ClientTokenSettings,
    /// `SENTINEL_NAMED_SESSION_ROLES`: roles whose session names identify people.
    pub named_session_roles: NamedSessionRoles,
    /// `SENTINEL_MAX_REQUEST_AGE`.
    pub max_request_age: MaxRequestAge,
    /// `AWS_CA_BUNDLE`: the clients that trust the certificate authorities in this PEM file.
    pub https: Https,
    /// Whether the environment holds credentials and the Region, as on Lambda:
    /// `AWS_ACCESS_KEY_ID` and `AWS_REGION`. If not, the SDK looks for them elsewhere.
    pub has_aws_environment: bool,
    /// Whether Lambda sends several requests at once: `AWS_LAMBDA_MAX_CONCURRENCY`, which Lambda
    /// sets on Managed Instances.
    pub is_concurrent: bool,
    /// `AWS_LAMBDA_FUNCTION_NAME`, which Lambda sets.
    pub function_name: String,
    /// `AWS_LAMBDA_LOG_LEVEL`, else `RUST_LOG`.
    pub log_level: LevelFilter,
}

/// Every problem of the settings, one line each, beginning with the name of the variable or file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.join("\n"))]
pub struct ConfigError(pub Vec<String>);

impl Config {
    /// Reads the process's environment.
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the one place that reads the environment"
    )]
    pub fn from_env() -> Result<Self, ConfigError> {
        Self::from_variables(std::env::vars_os().map(|(name, value)| {
            let text = |part: std::ffi::OsString| part.to_string_lossy().into_owned();
            (text(name), text(value))
        }))
    }

    /// Reads the given variables and ignores those of other programs.
    pub fn from_variables(
        variables: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, ConfigError> {
        let mut variables = Variables::new(variables);
        let rate_limit = rate_limit::read(&mut variables);
        let device = device::read(&mut variables);
        let caller_proof = caller_proof(&mut variables);
        let client_token = client_token(&mut variables);
        let named_session_roles = named_session_roles(&mut variables);
        let max_request_age =
            MaxRequestAge(variables.number("SENTINEL_MAX_REQUEST_AGE", 60..=900, 300));
        let log_level = log_level(&mut variables);
        let https = https(&mut variables);
        let own_keys = variables.text("AWS_ACCESS_KEY_ID");
        let has_aws_environment = variables.text("AWS_REGION").is_some() && own_keys.is_some();
        let is_concurrent = variables.text("AWS_LAMBDA_MAX_CONCURRENCY").is_some();
        let function_name = variables
            .text("AWS_LAMBDA_FUNCTION_NAME")
            .unwrap_or_else(|| env!("CARGO_PKG_NAME").to_owned());
        let options = BundleOptions {
            default_duration: default_duration(&mut variables),
            named_session_roles: named_session_roles.clone(),
        };
        let policy = PolicySettings { source: policy_source(&mut variables), options };
        require_lambda(&mut variables);
        let mut problems = variables.into_problems();
        if let (true, Some(https)) = (problems.is_empty(), https) {
            return Ok(Self {
                policy,
                rate_limit,
                device,
                caller_proof,
                client_token,
                named_session_roles,
                max_request_age,
                https,
                has_aws_environment,
                is_concurrent,
                function_name,
                log_level,
            });
        }
        problems.extend(policy.problems());
        Err(ConfigError(problems))
    }
}

fn require_lambda(variables: &mut Variables) {
    const NAME: &str = "AWS_LAMBDA_RUNTIME_API";
    if variables.text(NAME).is_none() {
        variables.problem(
            NAME,
            "is not set: this program runs on Lambda, or locally under `cargo lambda watch`",
        );
    }
}

/// A path in Parameter Store wins. The packaged bundle is then never read: it must not decide when
/// Parameter Store is out of reach.
fn policy_source(variables: &mut Variables) -> PolicySource {
    const NAME: &str = "SENTINEL_POLICY_PARAMETER";
    let directory = policy_dir(variables);
    let ttl = Duration::seconds(variables.number("SENTINEL_POLICY_TTL", 1..=3_600, 30).into());
    let max_age =
        Duration::seconds(variables.number("SENTINEL_POLICY_MAX_AGE", 60..=604_800, 3_600).into());
    if max_age < ttl {
        variables.problem("SENTINEL_POLICY_MAX_AGE", "is below SENTINEL_POLICY_TTL");
    }
    match variables.text(NAME).map(|text| ParameterPath::parse(&text)) {
        Some(Ok(path)) => PolicySource::Parameters { path, ttl, max_age },
        Some(Err(error)) => {
            variables.problem(NAME, &error.to_string());
            PolicySource::Directory(directory)
        }
        None => PolicySource::Directory(directory),
    }
}

fn policy_dir(variables: &mut Variables) -> PathBuf {
    let packaged =
        variables.text("LAMBDA_TASK_ROOT").map(|root| PathBuf::from(root).join("policy"));
    let chosen = variables.text("SENTINEL_POLICY_DIR").map(PathBuf::from);
    chosen.or(packaged).unwrap_or_else(|| PathBuf::from("policy"))
}

fn default_duration(variables: &mut Variables) -> SessionDuration {
    let range = SessionDuration::MIN.seconds()..=SessionDuration::CHAINED_MAX.seconds();
    let seconds =
        variables.number("SENTINEL_DEFAULT_DURATION", range, SessionDuration::MIN.seconds());
    SessionDuration::from_seconds(seconds).unwrap_or(SessionDuration::MIN)
}

fn caller_proof(variables: &mut Variables) -> CallerProofSettings {
    const NAME: &str = "SENTINEL_CALLER_PROOF";
    const AUDIENCE: &str = "SENTINEL_CALLER_PROOF_AUDIENCE";
    let mode = match variables.text(NAME).as_deref() {
        Some("off") => CallerProofMode::Off,
        None | Some("accepted") => CallerProofMode::Accepted,
        Some("required") => CallerProofMode::Required,
        Some(_) => {
            variables.problem(NAME, "is not one of off, accepted, required");
            CallerProofMode::Required
        }
    };
    let audience = variables.text(AUDIENCE);
    if audience.as_deref().is_some_and(|host| !is_host(host)) {
        variables.problem(AUDIENCE, "is not the host of this function's URL");
    }
    CallerProofSettings { mode, audience }
}

fn client_token(variables: &mut Variables) -> ClientTokenSettings {
    let ttl =
        Duration::seconds(variables.number("SENTINEL_CLIENT_TOKEN_TTL", 60..=86_400, 3_600).into());
    match variables.text("SENTINEL_CLIENT_TOKEN_SECRET_ARN") {
        Some(secret) => ClientTokenSettings::Required { secret, ttl: jittered(ttl) },
        None => ClientTokenSettings::NotRequired,
    }
}

/// Up to a twentieth shorter, so that instances that start together do not refresh together.
fn jittered(ttl: Duration) -> Duration {
    ttl - ttl * fastrand::i32(0..1_000) / 20_000
}

fn named_session_roles(variables: &mut Variables) -> NamedSessionRoles {
    const NAME: &str = "SENTINEL_NAMED_SESSION_ROLES";
    match variables.text(NAME).map(|list| NamedSessionRoles::parse(&list)) {
        Some(Ok(roles)) => roles,
        Some(Err(error)) => {
            variables.problem(NAME, &error.to_string());
            NamedSessionRoles::default()
        }
        None => NamedSessionRoles::default(),
    }
}

/// `None` if the file cannot be used, which is recorded.
fn https(variables: &mut Variables) -> Option<Https> {
    const NAME: &str = "AWS_CA_BUNDLE";
    let file = variables.text(NAME).map(|path| TrustedRoots::File(path.into()));
    Https::new(&file.unwrap_or(TrustedRoots::CompiledIn))
        .map_err(|error| variables.problem(NAME, &error.to_string()))
        .ok()
}

/// The stricter one of Lambda's level and this program's own.
fn log_level(variables: &mut Variables) -> LevelFilter {
    const LAMBDA: &str = "AWS_LAMBDA_LOG_LEVEL";
    let mut level = |name| match variables.text(name).map(|text| level_named(&text)) {
        Some(None) => {
            variables.problem(name, "is not one of trace, debug, info, warn, error, fatal, off");
            None
        }
        level => level.flatten(),
    };
    let (lambda, own) = (level(LAMBDA), level("RUST_LOG"));
    let lambda_filters =
        variables.text("AWS_LAMBDA_LOG_FORMAT").is_some_and(|format| format == "JSON");
    if lambda_filters && lambda.is_some_and(|level| level < LevelFilter::INFO) {
        variables.problem(
            LAMBDA,
            "is above INFO: Lambda would drop the audit lines; set RUST_LOG to log less",
        );
    }
    lambda.into_iter().chain(own).min().unwrap_or(LevelFilter::INFO)
}

/// Lambda has a level FATAL, `tracing` does not.
fn level_named(text: &str) -> Option<LevelFilter> {
    match text.to_ascii_lowercase().as_str() {
        "fatal" => Some(LevelFilter::ERROR),
        level @ ("trace" | "debug" | "info" | "warn" | "error" | "off") => level.parse().ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
