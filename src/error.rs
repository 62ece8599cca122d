//! Every way a request can fail, and the only table from there to HTTP.
//!
//! | stage | fails with | status |
//! |---|---|---|
//! | identity | [`Unauthenticated`] | 403 |
//! | rate limit | `Throttled`, `Blocked`, `LimiterUnavailable` | 429, 403, 503 |
//! | caller proof | [`CallerProofError`] | 403, 503 |
//! | client token | [`ClientTokenError`] | 401, 503 |
//! | route | [`RouteError`] | 404, 405 |
//! | parameters | [`InvalidRequest`] | 400, 413 |
//! | requests for access | [`AccessError`] | 403, 404, 409, 503 |
//! | device | [`DeviceError`] | 403, 503 |
//! | policy | [`PolicyTooOld`], [`Denial`] | 503, 403 |
//! | issuing | [`StsError`] | 502, 503 |
//! | any | `OutOfTime`, `NotAudited`, `Internal` | 503, 503, 500 |
//!
//! Invariant: each failure has two messages. `Display` is the internal one, for the log and the
//! audit line. [`Error::public`] is the caller's: fixed text, or a policy's own `@reason`, so
//! nothing internal can leak through it.

use crate::caller::Unauthenticated;
use crate::caller_proof::CallerProofError;
use crate::client_token::ClientTokenError;
use crate::device::DeviceRefused;
use crate::event::UnreadableInput;
use crate::grants::AccessError;
use crate::mdm::DeviceError;
use crate::policy::Denial;
use crate::policy_store::PolicyTooOld;
use crate::rate_limit::RetryAfter;
use crate::request::{InvalidRequest, RouteError};
use crate::sts::StsError;
use std::borrow::Cow;

/// Every way a request can fail: the sum of the stages' errors.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The request context has no usable IAM identity.
    #[error(transparent)]
    Unauthenticated(#[from] Unauthenticated),
    /// The principal is over its quota.
    #[error("over the quota, admitted again in {} s", .0.0)]
    Throttled(RetryAfter),
    /// An operator has blocked the principal.
    #[error("the principal is blocked")]
    Blocked,
    /// The rate-limit table did not decide, and the operator chose to refuse then.
    #[error("the rate-limit table did not decide, and the failure mode is closed")]
    LimiterUnavailable,
    /// The caller proof is missing or wrong, or cannot be checked.
    #[error(transparent)]
    CallerProof(#[from] CallerProofError),
    /// The client token is missing or wrong, or cannot be checked.
    #[error(transparent)]
    ClientToken(#[from] ClientTokenError),
    /// The request has no route.
    #[error(transparent)]
    Route(#[from] RouteError),
    /// The input is not as documented.
    #[error("bad input: {0}")]
    InvalidRequest(#[from] InvalidRequest),
    /// The device is refused, or cannot be checked.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// A request for access is not made or changed, or the grants table gave no answer.
    #[error(transparent)]
    Access(#[from] AccessError),
    /// The policy is too old to decide.
    #[error(transparent)]
    PolicyTooOld(#[from] PolicyTooOld),
    /// The policy refuses.
    #[error(transparent)]
    Denied(#[from] Denial),
    /// STS issued no credentials.
    #[error(transparent)]
    Sts(#[from] StsError),
    /// The audit line could not be written, so nothing is issued.
    #[error("the audit line could not be written")]
    NotAudited,
    /// Lambda's time for the invocation is nearly over.
    #[error("given up shortly before Lambda's time-out: the services are too slow together")]
    OutOfTime,
    /// A defect of this program.
    #[error("internal error: {0}")]
    Internal(&'static str),
}

/// What the caller sees of a failure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicError {
    /// The HTTP status.
    pub status: u16,
    /// The stable, documented code.
    pub code: &'static str,
    /// One or two sentences for people.
    pub message: Cow<'static, str>,
}

type Row = (u16, &'static str, &'static str);

const UNAVAILABLE: Row =
    (503, "SERVICE_UNAVAILABLE", "A service this depends on is out of reach. Try again shortly.");

impl Error {
    /// The table of statuses, codes and public messages.
    #[must_use]
    pub fn public(&self) -> PublicError {
        let (status, code, message) = match self {
            Self::Unauthenticated(reason) => (403, "IAM_AUTH_REQUIRED", sign_again(*reason)),
            Self::Throttled(_) => {
                (429, "RATE_LIMITED", "Too many requests. Retry after the seconds in Retry-After.")
            }
            Self::Blocked => (
                403,
                "CALLER_BLOCKED",
                "Your access is blocked. Tell your administrators the RequestId.",
            ),
            Self::LimiterUnavailable => (
                503,
                "RATE_LIMITER_UNAVAILABLE",
                "Your quota cannot be checked now. Try again shortly.",
            ),
            Self::CallerProof(
                CallerProofError::Missing
                | CallerProofError::Malformed(_)
                | CallerProofError::Refused(_)
                | CallerProofError::AnotherCaller,
            ) => (
                403,
                "CALLER_PROOF_INVALID",
                "X-Sentinel-Caller-Proof is missing, not yours, or older than a minute.",
            ),
            Self::ClientToken(ClientTokenError::Invalid(_)) => {
                (401, "CLIENT_TOKEN_INVALID", "X-Sentinel-Token is missing or wrong.")
            }
            Self::Route(RouteError::NotFound) | Self::Access(AccessError::Unknown) => {
                (404, "NOT_FOUND", "There is nothing at this path.")
            }
            Self::Route(RouteError::MethodNotAllowed(_)) => {
                (405, "METHOD_NOT_ALLOWED", "This path does not take this method; see Allow.")
            }
            Self::InvalidRequest(invalid) => bad_input(*invalid),
            Self::Device(DeviceError::Refused(refused)) => device_refused(*refused),
            Self::Denied(denial) => {
                let message = denial.public_message();
                return PublicError { status: 403, code: "POLICY_DENY", message };
            }
            Self::Sts(StsError::Refused(_)) => (
                502,
                "CREDENTIAL_ERROR",
                "AWS refused to issue these credentials. Tell your administrators the RequestId.",
            ),
            Self::Access(refused) => access_refused(refused),
            Self::CallerProof(CallerProofError::Unavailable(_))
            | Self::ClientToken(ClientTokenError::Unavailable(_))
            | Self::PolicyTooOld(_)
            | Self::Device(DeviceError::Unavailable(_))
            | Self::Sts(StsError::Unavailable(_))
            | Self::NotAudited
            | Self::OutOfTime => UNAVAILABLE,
            Self::Internal(_) => (
                500,
                "INTERNAL_ERROR",
                "Something went wrong here. Tell your administrators the RequestId.",
            ),
        };
        PublicError { status, code, message: message.into() }
    }
}

fn sign_again(reason: Unauthenticated) -> &'static str {
    match reason {
        Unauthenticated::NoIdentity | Unauthenticated::UnknownArn => {
            "Sign the request with AWS credentials (SigV4, service lambda)."
        }
        Unauthenticated::Presigned => {
            "Pre-signed URLs are not accepted. Put the signature into the Authorization header."
        }
        Unauthenticated::TooOld(_) | Unauthenticated::UnknownDate => {
            "The signature is too old. Sign the request again, and check your clock."
        }
    }
}

fn bad_input(invalid: InvalidRequest) -> Row {
    match invalid {
        InvalidRequest::MissingProfile => {
            (400, "MISSING_PROFILE", "The parameter profile is required.")
        }
        InvalidRequest::Profile => (
            400,
            "INVALID_PROFILE",
            "A profile is 1 to 64 letters, digits, dots, underscores or hyphens, beginning with a letter or digit.",
        ),
        InvalidRequest::Duration => (
            400,
            "INVALID_DURATION",
            "A duration is a whole number of seconds from 900 to 129600, without sign or leading zero.",
        ),
        InvalidRequest::Device => {
            (400, "INVALID_DEVICE", "A device_id is 1 to 64 letters, digits or hyphens.")
        }
        InvalidRequest::Unreadable(UnreadableInput::TooLarge) => {
            (413, "REQUEST_TOO_LARGE", "The query string or the body is longer than 8 KiB.")
        }
        InvalidRequest::Unreadable(UnreadableInput::Malformed(message)) => {
            (400, "INVALID_REQUEST", message)
        }
    }
}

fn access_refused(refused: &AccessError) -> Row {
    match refused {
        AccessError::Unknown => (404, "NOT_FOUND", "There is nothing at this path."),
        AccessError::Closed => {
            (409, "REQUEST_CLOSED", "This request has been decided or withdrawn, or has expired.")
        }
        AccessError::Exists => (
            409,
            "REQUEST_EXISTS",
            "You have a request for this profile that is pending or approved.",
        ),
        AccessError::EmergencyUsed => (
            409,
            "EMERGENCY_USED",
            "You took an emergency less than 24 hours ago. Request access instead.",
        ),
        AccessError::NotNeeded => {
            (409, "APPROVAL_NOT_NEEDED", "You need no approval: ask for the credentials.")
        }
        AccessError::NotAPerson => (
            403,
            "PERSON_REQUIRED",
            "Only people request and approve: sign in as an IAM user, or with Identity Center.",
        ),
        AccessError::OwnRequest => {
            (403, "OWN_REQUEST", "Another person has to decide what you request.")
        }
        AccessError::Unavailable(_) => UNAVAILABLE,
    }
}

fn device_refused(refused: DeviceRefused) -> Row {
    match refused {
        DeviceRefused::Missing => (
            403,
            "DEVICE_REQUIRED",
            "Name the device you are on: send its serial number as device_id.",
        ),
        DeviceRefused::Unknown
        | DeviceRefused::Ambiguous
        | DeviceRefused::Unmanaged
        | DeviceRefused::NotCompliant => (
            403,
            "DEVICE_VERIFICATION_FAILED",
            "This device is not known as a managed and compliant one.",
        ),
    }
}
