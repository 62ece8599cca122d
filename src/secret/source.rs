//! Where a secret's text comes from.

use super::{FromSecret, SecretError};
use crate::refreshed::{Outcome, Source};
use crate::upstream::{CallError, limited};
use aws_sdk_secretsmanager::Client;
use secrecy::{ExposeSecret, SecretString};
use std::marker::PhantomData;
use std::sync::Arc;
use time::Duration;

/// The time limit of one attempt, and of all of them.
const ATTEMPT: std::time::Duration = std::time::Duration::from_millis(1_500);
const ALL_ATTEMPTS: std::time::Duration = std::time::Duration::from_secs(3);

pub(super) enum Text {
    SecretsManager { client: Client, id: String },
    Fixed(SecretString),
}

impl Text {
    pub(super) fn secrets_manager(config: &aws_config::SdkConfig, id: &str) -> Self {
        let client = Client::new(&limited(config, ATTEMPT, Some(ALL_ATTEMPTS)));
        Self::SecretsManager { client, id: id.to_owned() }
    }

    async fn read(&self) -> Result<SecretString, SecretError> {
        let (client, id) = match self {
            Self::SecretsManager { client, id } => (client, id),
            Self::Fixed(text) => return Ok(text.clone()),
        };
        let reply = Box::pin(client.get_secret_value().secret_id(id).send()).await;
        let reply = reply.map_err(|error| {
            CallError::of(&error).collapse(SecretError::Refused, SecretError::Unavailable)
        })?;
        reply
            .secret_string
            .map(SecretString::from)
            .ok_or(SecretError::Malformed("it is binary or empty, not text"))
    }
}

/// A secret's text, read as a `T`.
pub(super) struct SecretSource<T> {
    text: Text,
    value: PhantomData<fn() -> T>,
}

impl<T> SecretSource<T> {
    pub(super) fn new(text: Text) -> Self {
        Self { text, value: PhantomData }
    }

    /// Whether the secret may change while the function runs.
    pub(super) fn changes(&self) -> bool {
        matches!(self.text, Text::SecretsManager { .. })
    }

    /// The secret's name in the log.
    fn name(&self) -> &str {
        match &self.text {
            Text::SecretsManager { id, .. } => id,
            Text::Fixed(_) => "given at the start",
        }
    }
}

impl<T: FromSecret> Source for SecretSource<T> {
    type Value = T;
    type Error = SecretError;

    /// Secrets Manager gets three seconds.
    const ABANDONED_AFTER: Duration = Duration::seconds(4);

    async fn read(&self, _held: Option<Arc<T>>) -> Outcome<Self> {
        let text = self.text.read().await?;
        T::from_secret(text.expose_secret()).map(Arc::new).map_err(SecretError::Malformed)
    }

    fn pause(&self, _error: &SecretError) -> Duration {
        Duration::seconds(10)
    }

    fn report(&self, outcome: &Outcome<Self>, held: Option<&Arc<T>>, _age: Option<Duration>) {
        if let Err(error) = outcome {
            let has_old_value = held.is_some();
            tracing::warn!(%error, secret = self.name(), has_old_value, "a secret could not be refreshed");
        }
    }
}
