//! A token-vending machine for AWS: one Lambda function that turns an IAM-authenticated request
//! into short-lived STS credentials, if the policy permits it.
//!
//! # A request, stage by stage
//!
//! [`App::handle`] takes an invocation's payload and always returns a reply:
//!
//! 1. [`Event::read`] reads the payload.
//! 2. [`Caller::from_event`] takes the caller from the IAM identity in the request context, and
//!    from nowhere else.
//! 3. [`RateLimiter::admit`] charges the caller's principal; beside it, [`CallerProof`] confirms the
//!    identity with STS, if the request carries a proof.
//! 4. [`ClientTokenCheck`] checks the caller's token, where one is required.
//! 5. [`Route::of`] finds the route, and [`VendRequest::parse`] reads the parameters, strictly.
//! 6. [`DeviceCheck`] looks up the device, and refuses it where one is required.
//! 7. [`PolicyStore::current`] returns the policy in force. [`Policy::decide`] evaluates it with
//!    Cedar and returns a [`Grant`] or a [`Denial`].
//! 8. [`Sts::assume_role`] turns a grant, and nothing else, into [`Credentials`].
//! 9. [`Response::render`] writes the reply, [`AuditRecord::close`] the audit line.
//!
//! A failure at any stage is an [`Error`], with one message for the log and one for the caller.
//!
//! # Example
//!
//! A decision without AWS: a bundle, a caller, a request.
//!
//! ```
//! use sentinel_tvm::{
//!     BundleFiles, BundleOptions, Caller, Decision, Event, IamIdentity, NamedSessionRoles, Policy,
//!     RequestId, SessionDuration, VendRequest,
//! };
//! use time::UtcDateTime;
//!
//! let bundle = [
//!     ("profiles", "[dev]\nrole_arn = \"arn:aws:iam::123456789012:role/vended-dev\""),
//!     ("policies/access", "permit (principal, action, resource) when { principal.name == \"alice\" };"),
//! ];
//! let files = BundleFiles::from_parameters(bundle.map(|(name, text)| (name.into(), text.into())))?;
//! let named_session_roles = NamedSessionRoles::default();
//! let options = BundleOptions {
//!     default_duration: SessionDuration::MIN,
//!     named_session_roles: named_session_roles.clone(),
//! };
//! let policy = Policy::load(&files, &options)?;
//!
//! let own_account = Some("123456789012");
//! let alice = IamIdentity::of_arn("arn:aws:iam::123456789012:user/alice");
//! let caller = Caller::verified(&alice, None, named_session_roles.of_function_in(own_account))?;
//! let request = VendRequest::parse(&Event::read(r#"{"rawQueryString":"profile=dev"}"#))?;
//! let id = RequestId::new("0a1b2c3d-4e5f-6789-abcd-ef0123456789");
//! let (decision, _) = policy.decide(&caller, &request, None, &id, UtcDateTime::UNIX_EPOCH);
//!
//! let Decision::Allow(grant) = decision else { panic!("the policy permits alice") };
//! assert_eq!(grant.source_identity(), "sentinel-alice");
//! assert_eq!(grant.session_name(), "alice-0a1b2c3d");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Layout
//!
//! Imports point down this list, never up; `tests/imports.rs` holds it.
//!
//! | modules | content |
//! |---|---|
//! | `app` | the pipeline |
//! | `response`, `audit` | from the domain to the wire and the log |
//! | `error` | the sum of the stages' errors, and the only table to HTTP |
//! | `services`, `config` | the start: the stages, made from the settings |
//! | `sts`, `policy_store`, `policy`, `mdm`, `device`, `caller_proof`, `client_token`, `rate_limit`, `grants` | the stages; each owns its settings, its errors and its AWS client |
//! | `access`, `request`, `caller`, `claims`, `event` | from the wire to the domain |
//! | `secret`, `refreshed`, `single_flight`, `upstream`, `https`, `clock`, `lock`, `digest`, `alphabet`, `amz_date` | shared by the stages |
//! | `telemetry` | the log |

mod access;
mod alphabet;
mod amz_date;
mod app;
mod audit;
mod caller;
mod caller_proof;
mod claims;
mod client_token;
mod clock;
mod config;
mod device;
mod digest;
mod error;
mod event;
mod grants;
mod https;
mod lock;
mod mdm;
mod policy;
mod policy_store;
mod rate_limit;
mod refreshed;
mod request;
mod response;
mod secret;
#[cfg(doctest)]
mod security;
mod services;
mod single_flight;
mod sts;
pub mod telemetry;
mod upstream;

pub use access::{
    AccessDraft, AccessId, AccessRequest, Approval, BETWEEN_EMERGENCIES, CLAIM_WINDOW, Change,
    Closed, EMERGENCY, Emergency, NoBody, PENDING, Requester, State, is_person,
};
pub use app::{App, AuditSink, Invocation};
pub use audit::AuditRecord;
pub use caller::{
    Caller, CallerKind, InvalidPattern, MaxRequestAge, NamedSessionRoles, NamedSessions, Principal,
    Unauthenticated,
};
pub use caller_proof::{
    CallerProof, CallerProofError, CallerProofMode, CallerProofSettings, MalformedProof, Proven,
};
pub use claims::{Agent, Claims, Reason, Ticket};
pub use client_token::{
    ClientTokenCheck, ClientTokenError, ClientTokenInvalid, ClientTokenSettings, ClientTokens,
};
pub use config::{Config, ConfigError};
pub use device::{Device, DeviceRefused};
pub use error::{Error, PublicError};
pub use event::{Event, IamIdentity, MAX_INPUT_BYTES, Parameter, Payload, UnreadableInput};
pub use grants::{AccessError, Grants, GrantsSettings, GrantsTable, GrantsUnavailable, Written};
pub use https::{Https, TrustedRoots, UnusableRoots};
pub use mdm::{
    BaseUrl, DeviceCheck, DeviceError, DeviceLookUp, DeviceSettings, Mdm, MdmCredential, MdmSecret,
    MdmSettings, Posture, PostureError, PostureSource, Provider,
};
pub use policy::{
    Approved, BundleError, BundleFiles, BundleOptions, Clamp, Decision, Denial, Explanation,
    Factor, Facts, Grant, Policy, ProfileSummary, Refusal, ScopeSummary, SessionScope, Shadow,
    Unscopable,
};
pub use policy_store::{
    InvalidPath, ParameterPath, PolicyHealth, PolicySettings, PolicySource, PolicyStore,
    PolicyTooOld, ReloadError,
};
pub use rate_limit::{
    Admission, Backend, Blocks, BreakerSettings, BreakerState, Charge, Charged, DecidedBy,
    Degraded, DynamoTable, FailureMode, Form, Limit, LimiterHealth, Limits, Outcome, Quota,
    QuotaStatus, RateLimitSettings, RateLimiter, RetryAfter, SharedSettings, Step, StoreError,
    StoreSettings, Table, Tier, Usage, WindowStatus, Windows,
};
pub use request::{
    DeviceId, InvalidRequest, ProfileName, RequestId, Route, RouteError, ScopeName,
    SessionDuration, VendRequest,
};
pub use response::{AccessView, Health, May, Reply, Response, Vended};
pub use secret::{CachedSecret, Freshness, FromSecret, SecretError, Served};
pub use services::{ServiceReadings, Services};
pub use sts::{Credentials, Sts, StsError};
