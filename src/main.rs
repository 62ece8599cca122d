//! The Lambda function: reads the settings, builds the app, serves.

use lambda_runtime::{LambdaEvent, run_concurrent, service_fn};
use sentinel_tvm::{App, Config, Limit, Policy, RateLimiter, Sts, Tier, telemetry};
use serde_json::Value;
use std::convert::Infallible;
use std::process::ExitCode;
use std::sync::Arc;
use time::UtcDateTime;
use tracing::level_filters::LevelFilter;

#[tokio::main]
async fn main() -> ExitCode {
    let app = match start().await {
        Ok(app) => Arc::new(app),
        Err(problems) => {
            telemetry::init(LevelFilter::ERROR);
            tracing::error!(problems, "the start failed; no request is served");
            return ExitCode::FAILURE;
        }
    };
    let handler = service_fn(move |event: LambdaEvent<Value>| {
        let app = Arc::clone(&app);
        async move { Ok::<_, Infallible>(app.handle(event.payload, &event.context.request_id, now()).await) }
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
async fn start() -> Result<App, String> {
    let config = Config::from_env().map_err(|error| error.to_string())?;
    telemetry::init(config.log_level);
    let policy = Policy::from_directory(&config.policy_dir, config.default_duration).map_err(|error| error.to_string())?;
    for warning in policy.warnings() {
        tracing::warn!(warning, "policy bundle");
    }
    let limiter = RateLimiter::in_memory(config.limits);
    log_limits(&limiter);
    let aws = aws_config::load_defaults(aws_config::BehaviorVersion::latest()).await;
    Ok(App {
        named_session_roles: config.named_session_roles,
        limiter,
        policy,
        sts: Sts::new(&aws),
        audit: Box::new(telemetry::write_audit_line),
    })
}

fn log_limits(limiter: &RateLimiter) {
    for tier in [Tier::Vend, Tier::Read] {
        match limiter.limits().of(tier) {
            Limit::Off => tracing::warn!(tier = tier.name(), "rate limiting is off"),
            Limit::Quota(quota) => tracing::warn!(
                tier = tier.name(),
                requests = quota.requests(),
                window_seconds = quota.window_seconds(),
                burst = quota.burst(),
                "rate limiting is in memory: each instance counts by itself, so the limit does not hold across instances"
            ),
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "this is the one place that asks what time it is")]
fn now() -> UtcDateTime {
    UtcDateTime::now()
}
