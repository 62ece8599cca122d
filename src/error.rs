//! Everything that can keep a request from its credentials, and the only table from there to HTTP.
//!
//! Invariant: each failure has two messages. `Display` is the internal one, for the log and the audit line; [`Error::public`]
//! is the one the caller sees, and it is fixed text (or a policy's own `@reason`), so nothing internal can leak through it.

use crate::adapters::DeviceRefused;
use crate::caller::Unauthenticated;
use crate::policy::Denial;
use crate::rate_limit::RetryAfter;
use crate::secret::{ClientTokenInvalid, SecretError};
use std::borrow::Cow;

/// Why a request got no answer but this.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The request context has no usable IAM identity.
    #[error(transparent)]
    Unauthenticated(#[from] Unauthenticated),
    /// The principal is over its quota.
    #[error("over the quota, admitted again in {} s", .0.0)]
    Throttled(RetryAfter),
    /// Nobody can tell whether the principal is over its quota, and the operator wants a refusal then.
    #[error("the rate-limit table did not decide, and the failure mode is closed")]
    LimiterUnavailable,
    /// The client token is missing or wrong.
    #[error(transparent)]
    ClientToken(#[from] ClientTokenInvalid),
    /// No such path.
    #[error("unknown path")]
    NotFound,
    /// The path exists, the method does not. Holds the `Allow` header.
    #[error("method not allowed, only {0}")]
    MethodNotAllowed(&'static str),
    /// The caller's input is not as documented.
    #[error("bad input: {0}")]
    InvalidRequest(#[from] InvalidRequest),
    /// The caller's device is not one that may be used.
    #[error(transparent)]
    Device(#[from] DeviceRefused),
    /// The policy refuses.
    #[error(transparent)]
    Denied(#[from] Denial),
    /// A service the request depends on did not do its part.
    #[error(transparent)]
    Upstream(#[from] Upstream),
    /// Lambda's time for the invocation is nearly over.
    #[error("given up before Lambda's time-out: the services it waits for are too slow together")]
    OutOfTime,
    /// A defect of this program.
    #[error("internal error: {0}")]
    Internal(&'static str),
}

impl From<SecretError> for Error {
    fn from(error: SecretError) -> Self {
        Self::Upstream(error.into())
    }
}

/// What is wrong with the caller's input. Never holds the input itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRequest {
    /// No `profile`, or an empty one.
    #[error("no profile")]
    MissingProfile,
    /// `profile` is not a profile name.
    #[error("malformed profile")]
    Profile,
    /// `duration` is not a whole number of seconds in range.
    #[error("malformed duration")]
    Duration,
    /// `device_id` is not a device identifier.
    #[error("malformed device_id")]
    Device,
    /// The body or the query string is too long.
    #[error("query string or body over the limit")]
    TooLarge,
    /// Anything else; holds the public message.
    #[error("{0}")]
    Malformed(&'static str),
}

/// A dependency's failure, cut down to what may be logged: a service's error code, never its words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Upstream {
    /// STS understood the request and refused it.
    #[error("STS refused AssumeRole with {code}{}", sts_hint(.code))]
    CredentialsRefused {
        /// The error code STS gave, such as `AccessDenied`.
        code: String,
    },
    /// The service could not be reached in time, failed, or asked to slow down.
    #[error("{service} is out of reach: {cause}")]
    Unavailable {
        /// The service's name.
        service: &'static str,
        /// An error code, or a kind of transport failure.
        cause: String,
    },
}

impl From<SecretError> for Upstream {
    fn from(error: SecretError) -> Self {
        Self::Unavailable { service: "a secret", cause: error.to_string() }
    }
}

fn sts_hint(code: &str) -> &'static str {
    if code == "AccessDenied" {
        ": the role must exist, and its trust policy must allow this function's role sts:AssumeRole, sts:SetSourceIdentity and sts:TagSession, \
         and so must the function role's own policy"
    } else {
        ""
    }
}

/// What the caller is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicError {
    /// The HTTP status.
    pub status: u16,
    /// The stable, documented code.
    pub code: &'static str,
    /// One or two sentences for a human.
    pub message: Cow<'static, str>,
}

impl Error {
    /// The table of statuses, codes and public messages.
    #[must_use]
    pub fn public(&self) -> PublicError {
        let (status, code, message) = match self {
            Self::Unauthenticated(_) => (
                403,
                "IAM_AUTH_REQUIRED",
                "Sign the request with AWS credentials (SigV4, service lambda).",
            ),
            Self::Throttled(_) => {
                (429, "RATE_LIMITED", "Too many requests. Retry after the seconds in Retry-After.")
            }
            Self::ClientToken(_) => {
                (401, "CLIENT_TOKEN_INVALID", "X-Sentinel-Token is missing or wrong.")
            }
            Self::NotFound => (404, "NOT_FOUND", "There is nothing at this path."),
            Self::MethodNotAllowed(_) => {
                (405, "METHOD_NOT_ALLOWED", "This path does not take this method; see Allow.")
            }
            Self::InvalidRequest(invalid) => invalid.public(),
            Self::Device(DeviceRefused::Missing) => (
                403,
                "DEVICE_REQUIRED",
                "Name the device you are on: send its serial number as device_id.",
            ),
            Self::Device(_) => (
                403,
                "DEVICE_VERIFICATION_FAILED",
                "This device is not known as a managed and compliant one.",
            ),
            Self::Denied(denial) => {
                return PublicError {
                    status: 403,
                    code: "POLICY_DENY",
                    message: denial.public_message(),
                };
            }
            Self::Upstream(Upstream::CredentialsRefused { .. }) => (
                502,
                "CREDENTIAL_ERROR",
                "AWS refused to issue these credentials. Tell your administrators the RequestId.",
            ),
            Self::Upstream(Upstream::Unavailable { .. }) | Self::OutOfTime => (
                503,
                "SERVICE_UNAVAILABLE",
                "A service this depends on is out of reach. Try again shortly.",
            ),
            Self::LimiterUnavailable => (
                503,
                "RATE_LIMITER_UNAVAILABLE",
                "Whether you are within your quota cannot be told now. Try again shortly.",
            ),
            Self::Internal(_) => (
                500,
                "INTERNAL_ERROR",
                "Something went wrong here. Tell your administrators the RequestId.",
            ),
        };
        PublicError { status, code, message: message.into() }
    }
}

impl InvalidRequest {
    fn public(self) -> (u16, &'static str, &'static str) {
        match self {
            Self::MissingProfile => (400, "MISSING_PROFILE", "The parameter profile is required."),
            Self::Profile => (
                400,
                "INVALID_PROFILE",
                "A profile is 1 to 64 letters, digits, dots, underscores or hyphens, beginning with a letter or digit.",
            ),
            Self::Duration => (
                400,
                "INVALID_DURATION",
                "A duration is a whole number of seconds from 900 to 129600, without sign or leading zero.",
            ),
            Self::Device => {
                (400, "INVALID_DEVICE", "A device_id is 1 to 64 letters, digits or hyphens.")
            }
            Self::TooLarge => {
                (413, "REQUEST_TOO_LARGE", "The query string or the body is longer than 8 KiB.")
            }
            Self::Malformed(message) => (400, "INVALID_REQUEST", message),
        }
    }
}
