//! What an AWS service says when it fails, cut down to what may be logged.
//!
//! Invariant: nothing of a service's own words passes; they name ARNs, tables and hosts. What goes on is the error code,
//! which AWS documents as a short word, or a fixed description of a failed transport.

use aws_sdk_sts::error::{ProvideErrorMetadata, SdkError};

/// What is said of a reply that cannot be understood.
pub(crate) const MALFORMED: &str = "a malformed reply";

/// A failed call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The service answered that the request is at fault (4xx), with this code.
    Refused(String),
    /// The service asked to slow down, with this code.
    Throttled(String),
    /// The service failed (5xx), with this code.
    Failed(String),
    /// There was no usable answer.
    NoAnswer(&'static str),
}

impl Failure {
    /// For those to whom throttling, failing and not answering are the same: a code if the service refused, else why it is out of
    /// reach.
    pub(crate) fn either<E>(
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

/// The codes with which AWS services throttle, those of single DynamoDB partitions included.
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
    let word = |code: &&str| {
        code.len() <= 64 && code.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'.')
    };
    code.filter(word).unwrap_or("an unknown code").to_owned()
}
