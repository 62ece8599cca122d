//! The way of one request.
//!
//! Invariants: every event gets a [`Response`] and leaves one audit line, whatever happens, a panic included; each stage takes
//! what the one before it made, so none can be skipped; a refused request does no later step.

use crate::adapters::{Adapters, DeviceLookUp, Told};
use crate::audit::AuditRecord;
use crate::caller::{Caller, NamedSessionRoles};
use crate::config::Config;
use crate::error::Error;
use crate::event::Event;
use crate::policy::{Explanation, Policy};
use crate::rate_limit::{Outcome, Tier};
use crate::request::{RequestId, Route, VendRequest};
use crate::response::{Health, Reply, Response, Vended};
use futures_util::FutureExt;
use serde_json::Value;
use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;
use time::UtcDateTime;

/// Where finished audit lines go.
pub type AuditSink = Box<dyn Fn(&str) + Send + Sync>;

/// The function, ready to handle requests. Shared by all of them.
pub struct App {
    named_session_roles: NamedSessionRoles,
    adapters: Adapters,
    audit: AuditSink,
    /// The function's name.
    name: String,
    told: Told,
}

impl fmt::Debug for App {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("App").field("adapters", &self.adapters).finish_non_exhaustive()
    }
}

impl App {
    /// The function as `config` has it, its audit lines going to `audit`.
    #[must_use]
    pub fn new(config: Config, adapters: Adapters, audit: AuditSink) -> Self {
        Self {
            named_session_roles: config.named_session_roles,
            adapters,
            audit,
            name: config.function_name,
            told: Told::default(),
        }
    }

    /// Answers one invocation.
    ///
    /// An answer that would come too late for Lambda is given up before, so that the request still leaves its audit line.
    pub async fn handle(&self, payload: Value, invocation: Invocation<'_>) -> Response {
        let event = Event::new(payload);
        let request_id = RequestId::new(invocation.request_id);
        let now = invocation.now;
        let mut request = InFlight {
            record: AuditRecord::open(&self.name, request_id.clone(), &event, now),
            quota: Outcome::Uncounted,
            request_id,
            event,
            now,
        };
        request.record.policy_in_force(&self.adapters.policies.held());
        let answer = AssertUnwindSafe(self.answer(&mut request)).catch_unwind();
        let outcome = match tokio::time::timeout(invocation.time_left, answer).await {
            Ok(outcome) => outcome.unwrap_or(Err(Error::Internal("a panic"))),
            Err(_) => Err(Error::OutOfTime),
        };
        let response = Response::render(&outcome, &request.quota, &request.request_id);
        if let (500.., Err(error)) = (response.status_code, &outcome) {
            tracing::error!(request_id = request.request_id.as_str(), "{error}");
        }
        let readings = self.adapters.readings(&self.told, now);
        (self.audit)(&request.record.close(outcome.as_ref().err(), &readings));
        response
    }

    async fn answer(&self, request: &mut InFlight) -> Result<Reply, Error> {
        let caller = Caller::from_event(&request.event, &self.named_session_roles)?;
        request.record.caller(&caller);
        self.adapters.policies.renew(request.now);
        let route = Route::of(&request.event);
        self.admit(request, &caller, route.as_ref().map_or(Tier::Read, |route| route.tier()))
            .await?;
        self.check_client_token(request).await?;
        match route? {
            Route::Credentials => self.vend(request, &caller).await.map(Reply::Credentials),
            Route::Profiles => {
                Ok(Reply::Profiles(self.policy(request).await.grantable(&caller, request.now)))
            }
            Route::Explain => self.explain(request, &caller).await.map(Reply::Explanation),
            Route::Health => Ok(Reply::Health(self.health(request.now))),
        }
    }

    async fn admit(
        &self,
        request: &mut InFlight,
        caller: &Caller,
        tier: Tier,
    ) -> Result<(), Error> {
        let admission = self.adapters.limiter.admit(tier, caller.principal(), request.now).await;
        request.record.admission(&admission);
        request.quota = admission.outcome;
        match admission.outcome {
            Outcome::Uncounted | Outcome::Admitted(_) => Ok(()),
            Outcome::Throttled(_, retry_after) => Err(Error::Throttled(retry_after)),
            Outcome::Unavailable => Err(Error::LimiterUnavailable),
        }
    }

    async fn check_client_token(&self, request: &mut InFlight) -> Result<(), Error> {
        let presented = request.event.header("X-Sentinel-Token");
        self.adapters.client_tokens.check(presented, request.now).await?;
        request.record.client_token_checked();
        Ok(())
    }

    /// The policy that decides this request.
    async fn policy(&self, request: &mut InFlight) -> Arc<Policy> {
        let policy = self.adapters.policies.current(request.now).await;
        request.record.policy(&policy, self.adapters.policies.age(request.now));
        policy
    }

    /// What is asked for, and what came of looking for the caller's device.
    async fn asked(
        &self,
        request: &mut InFlight,
    ) -> Result<(VendRequest, Result<DeviceLookUp, Error>), Error> {
        let asked = VendRequest::parse(&request.event)?;
        request.record.asked(&asked);
        let device = self.adapters.devices.check(asked.device.as_ref(), request.now).await;
        request.record.device(&device);
        Ok((asked, device))
    }

    async fn vend(&self, request: &mut InFlight, caller: &Caller) -> Result<Vended, Error> {
        let (asked, device) = self.asked(request).await?;
        let device = device?;
        let policy = self.policy(request).await;
        let decision =
            policy.decide(caller, &asked, device.known(), &request.request_id, request.now);
        request.record.decision(&decision);
        request.record.rehearsal(policy.rehearse(caller, &asked, device.known(), request.now));
        let grant = decision.into_grant()?;
        request.record.granted(&grant);
        let issued = self.adapters.sts.assume_role(&grant).await;
        request.record.issued(issued.as_ref().ok());
        Ok(Vended {
            credentials: issued?,
            account: grant.account().to_owned(),
            duration: grant.duration(),
            clamped_by: grant.clamped_by(),
        })
    }

    /// What `vend` would do, without doing it. A device that would be refused is told as missing.
    async fn explain(&self, request: &mut InFlight, caller: &Caller) -> Result<Explanation, Error> {
        let (asked, device) = self.asked(request).await?;
        let policy = self.policy(request).await;
        match device {
            Ok(device) => Ok(policy.explain(caller, &asked, device.known(), request.now)),
            Err(Error::Device(refused)) => {
                Ok(Explanation::without_device(asked.profile, &Error::Device(refused)))
            }
            Err(error) => Err(error),
        }
    }

    fn health(&self, now: UtcDateTime) -> Health {
        Health {
            limiter: self.adapters.limiter.health(),
            policy: self.adapters.policies.health(now),
        }
    }
}

/// What Lambda says of an invocation.
#[derive(Debug, Clone, Copy)]
pub struct Invocation<'a> {
    /// Its id.
    pub request_id: &'a str,
    /// When it arrived.
    pub now: UtcDateTime,
    /// How long an answer may take.
    pub time_left: Duration,
}

/// One request and what is known of it so far.
struct InFlight {
    event: Event,
    request_id: RequestId,
    now: UtcDateTime,
    quota: Outcome,
    record: AuditRecord,
}
