//! Where a secret's text comes from.

use super::SecretError;
use crate::aws::Failure;
use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::config::retry::RetryConfig;
use aws_sdk_secretsmanager::config::timeout::TimeoutConfig;
use secrecy::SecretString;
use std::time::Duration;

/// One attempt, and all of them.
const ATTEMPT: Duration = Duration::from_millis(1_500);
const ALL_ATTEMPTS: Duration = Duration::from_secs(3);

pub(super) enum Source {
    SecretsManager { client: Client, id: String },
    Fixed(SecretString),
}

impl Source {
    pub(super) fn secrets_manager(config: &aws_config::SdkConfig, id: &str) -> Self {
        let config = aws_sdk_secretsmanager::config::Builder::from(config)
            .timeout_config(
                TimeoutConfig::builder()
                    .operation_attempt_timeout(ATTEMPT)
                    .operation_timeout(ALL_ATTEMPTS)
                    .build(),
            )
            .retry_config(RetryConfig::standard().with_max_attempts(2))
            .build();
        Self::SecretsManager { client: Client::from_conf(config), id: id.to_owned() }
    }

    /// What to call it in a log.
    pub(super) fn name(&self) -> &str {
        match self {
            Self::SecretsManager { id, .. } => id,
            Self::Fixed(_) => "given at the start",
        }
    }

    /// Whether it may change while the function runs.
    pub(super) fn changes(&self) -> bool {
        matches!(self, Self::SecretsManager { .. })
    }

    pub(super) async fn text(&self) -> Result<SecretString, SecretError> {
        let (client, id) = match self {
            Self::SecretsManager { client, id } => (client, id),
            Self::Fixed(text) => return Ok(text.clone()),
        };
        let output =
            Box::pin(client.get_secret_value().secret_id(id).send()).await.map_err(|error| {
                Failure::of(&error).either(SecretError::Refused, SecretError::Unavailable)
            })?;
        output
            .secret_string
            .map(SecretString::from)
            .ok_or(SecretError::Malformed("it is binary or empty, not text"))
    }
}
