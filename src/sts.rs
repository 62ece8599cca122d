//! Issuing: `sts:AssumeRole` for a grant.
//!
//! Invariant: [`Sts::assume_role`] takes a [`Grant`] and nothing else, so no credentials leave without a decision. What STS
//! says when it fails stays here: only its error code goes on.

use crate::aws::{Failure, MALFORMED};
use crate::error::Upstream;
use crate::policy::Grant;
use aws_sdk_sts::config::retry::RetryConfig;
use aws_sdk_sts::config::timeout::TimeoutConfig;
use aws_sdk_sts::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_sts::operation::assume_role::AssumeRoleOutput;
use aws_sdk_sts::primitives::{DateTime, DateTimeFormat};
use aws_sdk_sts::types::{PolicyDescriptorType, Tag};
use aws_sdk_sts::{Client, config};
use secrecy::SecretString;
use std::time::Duration;

/// One attempt, and all of them: well inside the function's own time-out, so that the caller gets an answer.
const ATTEMPT: Duration = Duration::from_secs(2);
const ALL_ATTEMPTS: Duration = Duration::from_secs(5);
const ATTEMPTS: u32 = 2;

/// Short-lived credentials. The secret parts print as `[REDACTED]`.
#[derive(Debug)]
pub struct Credentials {
    /// Not a secret: CloudTrail and the audit line show it.
    pub access_key_id: String,
    /// The signing key.
    pub secret_access_key: SecretString,
    /// The session token.
    pub session_token: SecretString,
    /// RFC 3339, UTC (`Z`).
    pub expiration: String,
    /// How much of what STS allows the session's policies and tags take once packed, in percent. STS refuses above 100.
    pub packed_policy_size: Option<i32>,
    /// How much of what STS allows the session token takes, in percent.
    pub session_token_utilization: Option<i32>,
}

/// The client of STS.
#[derive(Debug, Clone)]
pub struct Sts {
    client: Client,
}

impl Sts {
    /// A client with this program's time-outs, on the region, endpoint and credentials of `config`.
    #[must_use]
    pub fn new(config: &aws_config::SdkConfig) -> Self {
        let timeouts = TimeoutConfig::builder()
            .operation_attempt_timeout(ATTEMPT)
            .operation_timeout(ALL_ATTEMPTS)
            .build();
        let config = config::Builder::from(config)
            .timeout_config(timeouts)
            .retry_config(RetryConfig::standard().with_max_attempts(ATTEMPTS))
            .build();
        Self { client: Client::from_conf(config) }
    }

    /// Opens a connection, with a call that needs no permission. What fails is logged.
    pub(crate) async fn warm(&self) {
        if let Err(error) = Box::pin(self.client.get_caller_identity().send()).await {
            tracing::warn!(error = %upstream(&error), "no connection to STS during the start");
        }
    }

    /// Issues the credentials that `grant` permits.
    ///
    /// # Errors
    /// [`Upstream::CredentialsRefused`] if STS says no, [`Upstream::Unavailable`] if it says nothing, fails or throttles.
    pub async fn assume_role(&self, grant: &Grant) -> Result<Credentials, Upstream> {
        let scope = grant.scope();
        let tags =
            scope.tags.iter().map(|(key, value)| Tag::builder().key(key).value(value).build());
        let tags = tags.collect::<Result<Vec<_>, _>>().map_err(|_| refused("InvalidTag"))?;
        let duration =
            i32::try_from(grant.duration().seconds()).map_err(|_| refused("InvalidDuration"))?;
        let output = self
            .client
            .assume_role()
            .role_arn(grant.role_arn())
            .role_session_name(grant.session_name())
            .source_identity(grant.source_identity())
            .duration_seconds(duration)
            .set_tags(Some(tags))
            .set_policy(scope.policy.clone())
            .set_policy_arns(some(
                scope
                    .policy_arns
                    .iter()
                    .map(|arn| PolicyDescriptorType::builder().arn(arn).build()),
            ))
            .set_transitive_tag_keys(some(scope.transitive_tags.iter().cloned()))
            .send()
            .await
            .map_err(|error| upstream(&error))?;
        Credentials::from_sdk(output).ok_or_else(|| unavailable(MALFORMED))
    }
}

impl Credentials {
    #[expect(
        deprecated,
        reason = "STS goes on sending PackedPolicySize, the field that operators know"
    )]
    fn from_sdk(output: AssumeRoleOutput) -> Option<Self> {
        let issued = output.credentials?;
        let whole_seconds = DateTime::from_secs(issued.expiration.secs());
        let parts = [&issued.access_key_id, &issued.secret_access_key, &issued.session_token];
        if parts.iter().any(|part| part.is_empty()) {
            return None;
        }
        Some(Self {
            expiration: whole_seconds.fmt(DateTimeFormat::DateTime).ok()?,
            access_key_id: issued.access_key_id,
            secret_access_key: issued.secret_access_key.into(),
            session_token: issued.session_token.into(),
            packed_policy_size: output.packed_policy_size,
            session_token_utilization: output.session_token_utilization,
        })
    }
}

/// An empty list is left out of the request.
fn some<T>(items: impl Iterator<Item = T>) -> Option<Vec<T>> {
    let items: Vec<T> = items.collect();
    (!items.is_empty()).then_some(items)
}

fn upstream<E: ProvideErrorMetadata>(error: &SdkError<E>) -> Upstream {
    Failure::of(error).either(|code| refused(&code), |cause| unavailable(&cause))
}

fn refused(code: &str) -> Upstream {
    Upstream::CredentialsRefused { code: code.to_owned() }
}

fn unavailable(cause: &str) -> Upstream {
    Upstream::Unavailable { service: "STS", cause: cause.to_owned() }
}
