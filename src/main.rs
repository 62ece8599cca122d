//! The Lambda function: reads the settings, builds the app, serves.

use lambda_runtime::{LambdaEvent, run_concurrent, service_fn};
use sentinel_tvm::{App, Config, ConfigError, Invocation, Payload, Services, telemetry};
use std::convert::Infallible;
use std::process::ExitCode;
use std::sync::Arc;
use time::UtcDateTime;
use tracing::level_filters::LevelFilter;

#[tokio::main]
async fn main() -> ExitCode {
    match start().await {
        Ok(app) => serve(Arc::new(app)).await,
        Err(problems) => {
            telemetry::init(LevelFilter::ERROR);
            tracing::error!(%problems, "the start failed; no request is served");
            ExitCode::FAILURE
        }
    }
}

/// The app, or every problem that keeps it from starting.
async fn start() -> Result<App, ConfigError> {
    let config = Config::from_env()?;
    telemetry::init(config.log_level);
    let aws = aws_config::load_defaults(aws_config::BehaviorVersion::latest()).await;
    let services = Services::open(&config, &aws, now()).await?;
    services.warm(now()).await;
    Ok(App::new(config, services, Box::new(telemetry::write_audit_line)))
}

async fn serve(app: Arc<App>) -> ExitCode {
    let handler = service_fn(move |event: LambdaEvent<Payload>| {
        let app = Arc::clone(&app);
        async move {
            let LambdaEvent { payload, context } = event;
            let (id, arn) = (&context.request_id, &context.invoked_function_arn);
            let invocation = Invocation::new(id, now(), context.deadline, arn);
            Ok::<_, Infallible>(app.handle(payload.text(), invocation).await)
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

#[expect(clippy::disallowed_methods, reason = "this is the one place that reads the clock")]
fn now() -> UtcDateTime {
    UtcDateTime::now()
}
