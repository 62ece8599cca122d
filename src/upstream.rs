//! Calls to AWS services: their time limits, and their failures reduced to what may be logged.
//!
//! Invariant: a service's messages are dropped, because they name ARNs, tables and hosts. What
//! remains is the error code, which AWS documents as a short word, or a fixed description of the
//! failed transport.

use crate::alphabet::is_word;
use aws_config::SdkConfig;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_sdk_sts::error::{ProvideErrorMetadata, SdkError};
use std::time::Duration;

/// If a connection died while the process was frozen, the first attempt fails and the second opens
/// a new one.
pub(crate) const ATTEMPTS: u32 = 2;

/// `config` with time limits of one attempt and, if given, of all of them.
pub(crate) fn limited(config: &SdkConfig, attempt: Duration, all: Option<Duration>) -> SdkConfig {
    let mut timeouts = TimeoutConfig::builder().operation_attempt_timeout(attempt);
    timeouts.set_operation_timeout(all);
    config
        .to_builder()
        .timeout_config(timeouts.build())
        .retry_config(RetryConfig::standard().with_max_attempts(ATTEMPTS))
        .build()
}

/// The cause of a reply that does not parse.
pub(crate) const MALFORMED: &str = "a malformed reply";

/// A failed call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum CallError {
    /// 4xx: the service refused the request with this code.
    Refused(String),
    /// The service asked for fewer requests, with this code.
    Throttled(String),
    /// 5xx: the service failed with this code.
    Failed(String),
    /// No usable answer arrived.
    NoAnswer(&'static str),
}

impl CallError {
    /// Collapses to refused (with the code) or unavailable (with the code or cause).
    pub(crate) fn collapse<E>(
        self,
        refused: impl FnOnce(String) -> E,
        unavailable: impl FnOnce(String) -> E,
    ) -> E {
        match self {
            Self::Refused(code) => refused(code),
            Self::Throttled(cause) | Self::Failed(cause) => unavailable(cause),
            Self::NoAnswer(cause) => unavailable(cause.to_owned()),
        }
    }

    pub(crate) fn of<E: ProvideErrorMetadata>(error: &SdkError<E>) -> Self {
        match error {
            SdkError::ServiceError(reply) => {
                let code = safe_code(reply.err().code());
                match reply.raw().status().as_u16() {
                    _ if is_throttling(&code) => Self::Throttled(code),
                    ..400 => Self::NoAnswer(MALFORMED),
                    400..500 => Self::Refused(code),
                    _ => Self::Failed(code),
                }
            }
            SdkError::TimeoutError(_) => Self::NoAnswer("time-out"),
            SdkError::DispatchFailure(failure) if failure.is_timeout() => {
                Self::NoAnswer("time-out")
            }
            SdkError::DispatchFailure(failure) if failure.is_io() => {
                Self::NoAnswer("no connection")
            }
            SdkError::DispatchFailure(_) => {
                Self::NoAnswer("the request could not be sent (own credentials, endpoint or TLS)")
            }
            SdkError::ConstructionFailure(_) => Self::NoAnswer("the request could not be built"),
            _ => Self::NoAnswer(MALFORMED),
        }
    }
}

/// The codes that AWS services use for throttling, those of single DynamoDB partitions included.
fn is_throttling(code: &str) -> bool {
    matches!(
        code,
        "Throttling"
            | "ThrottlingException"
            | "ProvisionedThroughputExceededException"
            | "KeyRangeThroughputExceededException"
            | "RequestLimitExceeded"
            | "TooManyRequestsException"
            | "SlowDown"
    )
}

fn safe_code(code: Option<&str>) -> String {
    code.filter(|code| is_word(code, 0..=64, b".")).unwrap_or("an unknown code").to_owned()
}
