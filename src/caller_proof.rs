//! The optional proof of the caller's identity that does not rest on the event.
//!
//! Whoever may invoke the function directly (`lambda:InvokeFunction`) writes the event, and so the
//! identity in it. A proof closes that: the caller sends a signed `sts:GetCallerIdentity` request
//! in the header `X-Sentinel-Caller-Proof`, the function sends it to STS, and STS answers whose
//! signature it is.
//!
//! The header is base64url (RFC 4648, section 5, without padding) of a JSON object. Its members
//! are the signed headers of the request:
//!
//! | member | value |
//! |---|---|
//! | `authorization` | SigV4 for the service `sts` in the function's region |
//! | `content-type` | `application/x-www-form-urlencoded` |
//! | `host` | the region's STS host, such as `sts.eu-central-1.amazonaws.com` |
//! | `x-amz-date` | at most 60 s old, at most 15 s in the future |
//! | `x-amz-security-token` | for temporary credentials |
//! | `x-sentinel-audience` | the host of this function's URL |
//!
//! The request is `POST /` with the body `Action=GetCallerIdentity&Version=2011-06-15`.
//!
//! Invariants: the proof goes to the STS end point of the function's own region and to nothing
//! else; the audience is signed, so a proof for one end point does not work at another whose
//! `SENTINEL_CALLER_PROOF_AUDIENCE` is set; only signed headers are forwarded.

mod header;
mod request;

pub use header::MalformedProof;

use crate::alphabet::is_word;
use crate::caller::sts_host;
use crate::event::IamIdentity;
use crate::upstream::{CallError, limited};
use aws_sdk_sts::Client;
use header::Proof;
use request::SignedHeaders;
use std::time::Duration;
use time::UtcDateTime;

/// The time limits of one attempt and of all of them.
const ATTEMPT: Duration = Duration::from_millis(1_500);
const ALL_ATTEMPTS: Duration = Duration::from_secs(3);

/// Whether callers must prove their identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallerProofMode {
    /// Proofs are ignored.
    Off,
    /// A proof is checked if the request carries one.
    Accepted,
    /// Every request must carry a proof.
    Required,
}

/// The settings of the caller proof.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallerProofSettings {
    /// Whether callers must prove their identity.
    pub mode: CallerProofMode,
    /// The host of the function's URL, which proofs must name. `None`: the host in the event, which
    /// a direct invocation can forge.
    pub audience: Option<String>,
}

impl CallerProofMode {
    /// The mode's name in settings and in `/v1/health`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Accepted => "accepted",
            Self::Required => "required",
        }
    }
}

/// Why a request's proof is not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallerProofError {
    /// The request carries no proof, and one is required.
    #[error("no caller proof, and one is required")]
    Missing,
    /// The proof cannot be sent to STS.
    #[error("the caller proof is malformed: {0}")]
    Malformed(#[from] MalformedProof),
    /// STS refused the signature, with this code.
    #[error("STS refused the caller proof with {0}")]
    Refused(String),
    /// The signature is somebody else's.
    #[error("the caller proof is not of the caller in the event")]
    AnotherCaller,
    /// STS did not answer.
    #[error("STS is out of reach: {0}")]
    Unavailable(String),
}

/// Checks proofs.
#[derive(Debug)]
pub struct CallerProof {
    settings: CallerProofSettings,
    client: Client,
    region: String,
}

/// The result of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proven {
    /// The request carries no proof that counts.
    No,
    /// STS confirmed the identity.
    Yes,
}

impl CallerProof {
    /// The check that `settings` ask for, in the region and at the endpoint of `config`.
    #[must_use]
    pub fn new(settings: &CallerProofSettings, config: &aws_config::SdkConfig) -> Self {
        if settings.mode == CallerProofMode::Required && settings.audience.is_none() {
            tracing::warn!(
                "set SENTINEL_CALLER_PROOF_AUDIENCE to the host of this function's URL: without it, a direct invocation can replay a proof for another host"
            );
        }
        let region = config.region().map(ToString::to_string).unwrap_or_default();
        let client = Client::new(&limited(config, ATTEMPT, Some(ALL_ATTEMPTS)));
        Self { settings: settings.clone(), client, region }
    }

    /// The mode.
    #[must_use]
    pub fn mode(&self) -> CallerProofMode {
        self.settings.mode
    }

    /// Checks that the proof in `header` is of the caller with `identity`, and for this function.
    /// `event_host` is the host that the event names.
    pub(crate) async fn check(
        &self,
        header: Option<&str>,
        identity: &IamIdentity<'_>,
        event_host: &str,
        now: UtcDateTime,
    ) -> Result<Proven, CallerProofError> {
        let header = match (self.settings.mode, header) {
            (CallerProofMode::Off, _) | (CallerProofMode::Accepted, None) => {
                return Ok(Proven::No);
            }
            (CallerProofMode::Required, None) => return Err(CallerProofError::Missing),
            (CallerProofMode::Accepted | CallerProofMode::Required, Some(header)) => header,
        };
        let host = sts_host(&identity.user_arn, &self.region);
        let audience = self.settings.audience.as_deref().unwrap_or(event_host);
        let proof = Proof::read(header)?;
        proof.check(&self.region, &host, audience, now)?;
        let (arn, user_id) = self.ask(proof.into_headers()).await?;
        let same_id = identity.user_id.as_ref().is_some_and(|own| *own == user_id);
        if arn == identity.user_arn && same_id {
            Ok(Proven::Yes)
        } else {
            Err(CallerProofError::AnotherCaller)
        }
    }

    /// The ARN and user id that STS returns for the signed request.
    async fn ask(&self, headers: SignedHeaders) -> Result<(String, String), CallerProofError> {
        let call = self.client.get_caller_identity().customize().interceptor(headers);
        let identity = Box::pin(call.send()).await.map_err(|error| {
            let refused = |code: String| CallerProofError::Refused(code);
            CallError::of(&error).collapse(refused, CallerProofError::Unavailable)
        })?;
        match (identity.arn, identity.user_id) {
            (Some(arn), Some(user_id)) => Ok((arn, user_id)),
            _ => Err(CallerProofError::Unavailable("a reply without an identity".to_owned())),
        }
    }
}

/// Whether `text` can be a host name, with a port or not.
pub(crate) fn is_host(text: &str) -> bool {
    is_word(text, 1..=260, b".-:")
}
