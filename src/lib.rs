//! A token-vending machine for AWS: one Lambda function that turns an IAM-authenticated request into short-lived STS
//! credentials, if the policy permits it.
//!
//! # The way of a request
//!
//! [`App::handle`] takes an invocation event and always has an answer:
//!
//! 1. [`Caller::from_event`] takes the caller from the IAM identity in the request context, and from nowhere else.
//! 2. [`RateLimiter::admit`] charges the caller's principal.
//! 3. [`ClientTokens::verify`] checks the caller's token, where one is required.
//! 4. [`VendRequest::parse`] reads the parameters, strictly.
//! 5. [`Policy::decide`], of the policy in force ([`PolicyStore::current`]), asks Cedar and makes a [`Grant`], or a [`Denial`].
//! 6. [`Sts::assume_role`] takes a grant, and nothing else, to [`Credentials`].
//! 7. [`Response::render`] makes the reply, [`AuditRecord::close`] the audit line.
//!
//! A refusal at any stage is an [`Error`], which has one message for the log and one for the caller.
//!
//! # Layout
//!
//! - `app`: the pipeline.
//! - `event`, `caller`, `request`: from the wire to the domain.
//! - `rate_limit`, `secret`, `policy`, `sts`: the stages; `policy_store` keeps the policy up to date; `adapters` makes those
//!   that talk to a service.
//! - `error`, `response`, `audit`: from the domain to the wire and the log.
//! - `config`, `telemetry`: the start.

mod adapters;
mod age;
mod app;
mod audit;
mod aws;
mod caller;
mod config;
mod device;
mod digest;
mod error;
mod event;
mod mdm;
mod policy;
mod policy_store;
mod rate_limit;
mod request;
mod response;
mod secret;
#[cfg(doctest)]
mod security;
mod single_flight;
mod sts;
pub mod telemetry;

pub use adapters::{
    Adapters, ClientTokenCheck, ClientTokenSetting, DeviceCheck, DeviceLookUp, DeviceRefused,
};
pub use app::{App, AuditSink, Invocation};
pub use audit::{AuditRecord, Readings};
pub use caller::{
    Caller, CallerKind, InvalidPattern, NamedSessionRoles, Principal, Unauthenticated,
};
pub use config::{Config, ConfigError, DeviceSetting, MdmSecret};
pub use device::Device;
pub use error::{Error, InvalidRequest, PublicError, Upstream};
pub use event::{Event, IamIdentity, MAX_INPUT_BYTES, Parameter};
pub use mdm::{BaseUrl, Mdm, MdmSettings, Posture, PostureError, PostureSource, Provider};
pub use policy::{
    BundleError, BundleText, Clamp, Decision, Denial, Explanation, Factor, Grant, Policy,
    ProfileSummary, Refusal, Rehearsal, SessionScope, Terms, Unscopable,
};
pub use policy_store::{
    InvalidPath, ParameterPath, PolicyHealth, PolicySetting, PolicyStore, ReloadError,
};
pub use rate_limit::{
    Admission, Backend, BreakerSettings, BreakerState, Charge, Charged, DecidedBy, Degraded,
    DynamoTable, FailureMode, Form, Limit, LimiterHealth, Limits, Outcome, Quota,
    RateLimitSettings, RateLimiter, RetryAfter, SharedSettings, Standing, StoreError,
    StoreSettings, Table, Tier, Usage,
};
pub use request::{DeviceId, ProfileName, RequestId, Route, SessionDuration, VendRequest};
pub use response::{Health, Reply, Response, Vended};
pub use secret::{
    CachedSecret, ClientTokenInvalid, ClientTokens, Freshness, FromSecret, MdmCredential,
    SecretError, Served,
};
pub use sts::{Credentials, Sts};
