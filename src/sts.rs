//! Issuing: `sts:AssumeRole` for a grant.
//!
//! Invariant: [`Sts::assume_role`] takes a [`Grant`] and nothing else, so no credentials are issued
//! without a decision. STS's messages are dropped; only its error code is kept.

use crate::policy::Grant;
use crate::upstream::{CallError, MALFORMED, limited};
use aws_sdk_sts::Client;
use aws_sdk_sts::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_sts::operation::assume_role::AssumeRoleOutput;
use aws_sdk_sts::primitives::{DateTime, DateTimeFormat};
use aws_sdk_sts::types::{PolicyDescriptorType, Tag};
use secrecy::SecretString;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// The time limits of one attempt and of all of them: well below the function's own, so that the
/// caller gets a reply.
const ATTEMPT: Duration = Duration::from_secs(2);
const ALL_ATTEMPTS: Duration = Duration::from_secs(5);

/// Why STS issued no credentials.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StsError {
    /// STS refused the request with this code, such as `AccessDenied`.
    #[error("STS refused AssumeRole with {0}{hint}", hint = hint(.0))]
    Refused(String),
    /// STS did not answer in time, failed, or throttled. Holds an error code or a kind of transport
    /// failure.
    #[error("STS is out of reach: {0}")]
    Unavailable(String),
}

fn hint(code: &str) -> &'static str {
    if code == "AccessDenied" {
        ": the role must exist, and its trust policy must allow this function's role sts:AssumeRole, sts:SetSourceIdentity and sts:TagSession, \
         and so must the function role's own policy"
    } else {
        ""
    }
}

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
    /// The packed size of the session's policies and tags, in percent of STS's limit.
    pub packed_policy_size: Option<i32>,
    /// The size of the session token, in percent of STS's limit.
    pub session_token_utilization: Option<i32>,
}

/// The client of STS.
#[derive(Debug, Clone)]
pub struct Sts {
    client: Client,
    /// The function's own account, once STS has returned it.
    account: Arc<OnceLock<String>>,
}

impl Sts {
    /// A client with this program's time limits, in the region, at the endpoint and with the
    /// credentials of `config`.
    #[must_use]
    pub fn new(config: &aws_config::SdkConfig) -> Self {
        let client = Client::new(&limited(config, ATTEMPT, Some(ALL_ATTEMPTS)));
        Self { client, account: Arc::default() }
    }

    /// The function's own account, if STS returned it during the start.
    pub(crate) fn account(&self) -> Option<&str> {
        self.account.get().map(String::as_str)
    }

    /// Opens a connection, with a call that needs no permission. A failure is only logged.
    pub(crate) async fn warm(&self) {
        match Box::pin(self.client.get_caller_identity().send()).await {
            Ok(identity) => {
                if let Some(account) = identity.account {
                    let _ = self.account.set(account);
                }
            }
            Err(error) => {
                tracing::warn!(error = %sts_error(&error), "no connection to STS during the start");
            }
        }
    }

    /// Issues the credentials that `grant` permits.
    ///
    /// # Errors
    /// [`StsError::Refused`] if STS refuses; [`StsError::Unavailable`] if it does not answer, fails
    /// or throttles.
    pub async fn assume_role(&self, grant: &Grant) -> Result<Credentials, StsError> {
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
            .set_policy_arns(non_empty(
                scope
                    .policy_arns
                    .iter()
                    .map(|arn| PolicyDescriptorType::builder().arn(arn).build()),
            ))
            .set_transitive_tag_keys(non_empty(scope.transitive_tags.iter().cloned()))
            .send()
            .await
            .map_err(|error| sts_error(&error))?;
        Credentials::from_sdk(output).ok_or_else(|| StsError::Unavailable(MALFORMED.to_owned()))
    }
}

impl Credentials {
    #[expect(
        deprecated,
        reason = "STS still sends PackedPolicySize, the field that operators know"
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

/// The request has no empty lists.
fn non_empty<T>(items: impl Iterator<Item = T>) -> Option<Vec<T>> {
    let items: Vec<T> = items.collect();
    (!items.is_empty()).then_some(items)
}

fn sts_error<E: ProvideErrorMetadata>(error: &SdkError<E>) -> StsError {
    CallError::of(error).collapse(StsError::Refused, StsError::Unavailable)
}

fn refused(code: &str) -> StsError {
    StsError::Refused(code.to_owned())
}
