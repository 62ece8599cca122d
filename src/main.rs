//! The Lambda function: reads the settings, builds the app, serves.

use aws_config::environment::{
    EnvironmentVariableCredentialsProvider, EnvironmentVariableRegionProvider,
};
use aws_config::{BehaviorVersion, SdkConfig};
use lambda_runtime::{LambdaEvent, run_concurrent, service_fn};
use sentinel_tvm::{App, Config, ConfigError, Invocation, Payload, Services, telemetry};
use std::convert::Infallible;
use std::process::ExitCode;
use std::sync::Arc;
use time::UtcDateTime;
use tokio::runtime::{Builder, Runtime};
use tracing::level_filters::LevelFilter;

fn main() -> ExitCode {
    let ended = Config::from_env().and_then(|config| {
        telemetry::init(config.log_level);
        runtime(&config)?.block_on(run(config))
    });
    ended.unwrap_or_else(|problems| {
        telemetry::init(LevelFilter::ERROR);
        tracing::error!(%problems, "the start failed; no request is served");
        ExitCode::FAILURE
    })
}

/// One thread, unless Lambda sends several requests at once: with one request at a time, handing
/// its work from thread to thread costs more than it gains.
fn runtime(config: &Config) -> Result<Runtime, ConfigError> {
    let mut builder = if config.is_concurrent {
        Builder::new_multi_thread()
    } else {
        Builder::new_current_thread()
    };
    builder.enable_all().build().map_err(|error| ConfigError(vec![error.to_string()]))
}

async fn run(config: Config) -> Result<ExitCode, ConfigError> {
    let aws = sdk_config(&config).await;
    let services = Services::open_warm(&config, &aws, now()).await?;
    let app = App::new(config, services, Box::new(telemetry::write_audit_line));
    Ok(serve(Arc::new(app)).await)
}

/// Straight from the environment if it has all, because making the SDK's chain of providers makes
/// clients, too.
async fn sdk_config(config: &Config) -> SdkConfig {
    let all = aws_config::defaults(BehaviorVersion::latest()).http_client(config.https.for_aws());
    if config.has_aws_environment {
        all.credentials_provider(EnvironmentVariableCredentialsProvider::new())
            .region(EnvironmentVariableRegionProvider::new())
            .load()
            .await
    } else {
        all.load().await
    }
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
