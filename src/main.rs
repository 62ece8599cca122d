//! The Lambda function: reads the settings, builds the app, serves.

use lambda_runtime::{LambdaEvent, run_concurrent, service_fn};
use sentinel_tvm::{
    Adapters, App, Config, ConfigError, DeviceSetting, Invocation, Limit, MdmSecret,
    RateLimitSettings, StoreSettings, Tier, telemetry,
};
use serde_json::Value;
use std::convert::Infallible;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use time::UtcDateTime;
use tracing::level_filters::LevelFilter;

#[tokio::main]
async fn main() -> ExitCode {
    let app = match start().await {
        Ok(app) => Arc::new(app),
        Err(problems) => {
            telemetry::init(LevelFilter::ERROR);
            tracing::error!(%problems, "the start failed; no request is served");
            return ExitCode::FAILURE;
        }
    };
    let handler = service_fn(move |event: LambdaEvent<Value>| {
        let app = Arc::clone(&app);
        async move {
            let (now, context) = (now(), event.context);
            let invocation = Invocation {
                request_id: &context.request_id,
                now,
                time_left: time_left(context.deadline, now),
            };
            Ok::<_, Infallible>(app.handle(event.payload, invocation).await)
        }
    });
    match run_concurrent(handler).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(error, "the Lambda runtime ended");
            ExitCode::FAILURE
        }
    }
}

/// The app, or everything that keeps it from starting.
async fn start() -> Result<App, ConfigError> {
    let config = Config::from_env()?;
    telemetry::init(config.log_level);
    log_limits(&config.rate_limit);
    warn_of_deprecated(&config.device);
    let aws = aws_config::load_defaults(aws_config::BehaviorVersion::latest()).await;
    let adapters = Adapters::open(&config, &aws, now()).await?;
    adapters.warm(now()).await;
    Ok(App::new(config, adapters, Box::new(telemetry::write_audit_line)))
}

fn log_limits(settings: &RateLimitSettings) {
    for tier in [Tier::Vend, Tier::Read] {
        match settings.limits.of(tier) {
            Limit::Off => tracing::warn!(tier = tier.name(), "rate limiting is off"),
            Limit::Quota(quota) => {
                let (requests, window_seconds, burst) =
                    (quota.requests(), quota.window_seconds(), quota.burst());
                tracing::info!(
                    tier = tier.name(),
                    requests,
                    window_seconds,
                    burst,
                    "rate limiting is on"
                );
            }
        }
    }
    match &settings.store {
        StoreSettings::Memory => tracing::warn!(
            "rate limits are counted in memory: each instance counts by itself, so they do not hold across instances"
        ),
        StoreSettings::Dynamodb(table, shared) => tracing::info!(
            table,
            failure_mode = shared.failure_mode.name(),
            timeout_ms = shared.timeout.as_millis(),
            "rate limits are counted in DynamoDB"
        ),
    }
}

fn warn_of_deprecated(device: &DeviceSetting) {
    let (DeviceSetting::Optional(_, secret) | DeviceSetting::Required(_, secret)) = device else {
        return;
    };
    if let MdmSecret::Environment(_) = secret {
        tracing::warn!(
            "SENTINEL_MDM_API_TOKEN is deprecated: put the token into Secrets Manager and set MDM_SECRET_ARN"
        );
    }
}

/// The time until `deadline` (milliseconds since the Unix epoch), less a tenth, half a second at most, in which to answer.
///
/// A deadline in the past is not Lambda's: `cargo lambda watch` gives a constant. Then it is that of the shipped ten seconds.
fn time_left(deadline: u64, now: UtcDateTime) -> Duration {
    let now = u64::try_from(now.unix_timestamp_nanos() / 1_000_000).unwrap_or(0);
    let left = Duration::from_millis(deadline.checked_sub(now).unwrap_or(10_000));
    left.saturating_sub((left / 10).min(Duration::from_millis(500)))
}

#[expect(clippy::disallowed_methods, reason = "this is the one place that asks what time it is")]
fn now() -> UtcDateTime {
    UtcDateTime::now()
}
