//! The pipeline: from an invocation to its reply and its audit line.
//!
//! Invariants: every invocation gets a [`Response`] and leaves one audit line, whatever happens, a
//! panic included. Each stage takes the result of the stage before it, so none can be skipped. A
//! refused request reaches no later stage.

mod access;
mod tier;

use crate::access::Change;
use crate::audit::AuditRecord;
use crate::caller::{Caller, MaxRequestAge, NamedSessionRoles, Unauthenticated, function_owner};
use crate::config::Config;
use crate::error::Error;
use crate::event::Event;
use crate::grants::{AccessError, Grants};
use crate::mdm::{DeviceError, DeviceLookUp};
use crate::policy::{Explanation, Facts, Policy};
use crate::rate_limit::{Outcome, Tier};
use crate::request::{RequestId, Route, RouteError, VendRequest};
use crate::response::{Health, Reply, Response, Vended};
use crate::services::{Reported, Services};
use access::Held;
use futures_util::FutureExt;
use futures_util::future::{Either, select};
use std::fmt;
use std::io;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use time::UtcDateTime;

/// Writes each finished audit line. If it fails, the reply holds no credentials.
pub type AuditSink = Box<dyn Fn(&str) -> io::Result<()> + Send + Sync>;

/// The function, ready to handle requests. All requests share it.
pub struct App {
    named_session_roles: NamedSessionRoles,
    max_request_age: MaxRequestAge,
    services: Services,
    audit: AuditSink,
    /// The function's name.
    name: String,
    reported: Reported,
}

impl fmt::Debug for App {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("App").field("services", &self.services).finish_non_exhaustive()
    }
}

/// One invocation, as Lambda describes it.
#[derive(Debug, Clone, Copy)]
pub struct Invocation<'a> {
    /// Its id.
    pub request_id: &'a str,
    /// When it arrived.
    pub now: UtcDateTime,
    /// How long the reply may take.
    pub time_left: Duration,
    /// The function's ARN.
    pub function_arn: &'a str,
}

impl<'a> Invocation<'a> {
    /// An invocation that arrived at `now` and ends at `deadline` (milliseconds since the Unix
    /// epoch).
    ///
    /// The reply gets the time until the deadline, less a tenth, at most half a second less. A
    /// deadline in the past is not Lambda's: `cargo lambda watch` sends a constant. It then counts
    /// as the template's ten seconds.
    #[must_use]
    pub fn new(
        request_id: &'a str,
        now: UtcDateTime,
        deadline: u64,
        function_arn: &'a str,
    ) -> Self {
        let now_millis = u64::try_from(now.unix_timestamp_nanos() / 1_000_000).unwrap_or(0);
        let left = Duration::from_millis(deadline.checked_sub(now_millis).unwrap_or(10_000));
        let reserve = (left / 10).min(Duration::from_millis(500));
        Self { request_id, now, time_left: left.saturating_sub(reserve), function_arn }
    }
}

impl App {
    /// The function with the settings in `config`; `audit` receives its audit lines.
    #[must_use]
    pub fn new(config: Config, services: Services, audit: AuditSink) -> Self {
        Self {
            named_session_roles: config.named_session_roles,
            max_request_age: config.max_request_age,
            services,
            audit,
            name: config.function_name,
            reported: Reported::default(),
        }
    }

    /// Answers one invocation, whose `payload` is JSON text.
    ///
    /// A request that would outlive its time is given up shortly before, so that it still leaves
    /// its audit line.
    pub async fn handle<'a>(&self, payload: &'a str, invocation: Invocation<'a>) -> Response {
        let event = Event::read(payload);
        let request_id = RequestId::new(invocation.request_id);
        let now = invocation.now;
        let mut request = InFlight {
            record: AuditRecord::open(&self.name, request_id.clone(), &event, now),
            quota: Outcome::Uncounted,
            request_id,
            event,
            now,
            own_account: function_owner(invocation.function_arn),
        };
        request.record.policy_in_force(&self.services.policies.held());
        let answer = AssertUnwindSafe(self.answer(&mut request)).catch_unwind();
        let outcome = match tokio::time::timeout(invocation.time_left, answer).await {
            Ok(outcome) => outcome.unwrap_or(Err(Error::Internal("a panic"))),
            Err(_) => Err(Error::OutOfTime),
        };
        let response = Response::render(&outcome, &request.quota, &request.request_id);
        if let (500.., Err(error)) = (response.status_code, &outcome) {
            tracing::error!(request_id = request.request_id.as_str(), "{error}");
        }
        let readings = self.services.readings(&self.reported, now);
        let line = request.record.close(outcome.as_ref().err(), &readings);
        match (self.audit)(&line) {
            Ok(()) => response,
            Err(error) => {
                let request_id = request.request_id.as_str();
                tracing::error!(%error, request_id, "the audit line could not be written");
                Response::render(&Err(Error::NotAudited), &request.quota, &request.request_id)
            }
        }
    }

    async fn answer(&self, request: &mut InFlight<'_>) -> Result<Reply, Error> {
        let own_account = request.own_account.or_else(|| self.services.sts.account());
        let named = self.named_session_roles.of_function_in(own_account);
        let caller = Caller::from_event(&request.event, named)?;
        request.record.caller(&caller);
        self.max_request_age.check(&request.event, request.now)?;
        self.services.policies.renew(request.now);
        let route = self.route(&request.event);
        self.admit_proven(request, &caller, tier::of(route)).await?;
        self.check_client_token(request).await?;
        match route? {
            Route::Credentials => self.vend(request, &caller).await.map(Reply::Credentials),
            Route::Profiles => {
                let policy = self.policy(request).await?;
                let profiles = policy.grantable(&caller, request.now, tokio::task::yield_now).await;
                Ok(Reply::Profiles(profiles))
            }
            Route::Explain => self.explain(request, &caller).await.map(Reply::Explanation),
            Route::Health => Ok(Reply::Health(self.health(request.now).await)),
            // Boxed: these are rare, and would make the future of every request larger.
            Route::RequestAccess => {
                Box::pin(self.request_access(request, &caller)).await.map(Reply::Access)
            }
            Route::ListAccess => {
                Box::pin(self.list_access(request, &caller)).await.map(Reply::AccessList)
            }
            Route::BreakGlass => {
                Box::pin(self.break_glass(request, &caller)).await.map(Reply::Emergency)
            }
            Route::ApproveAccess => self.changed(request, &caller, Change::Approve).await,
            Route::DenyAccess => self.changed(request, &caller, Change::Deny).await,
            Route::WithdrawAccess => self.changed(request, &caller, Change::Withdraw).await,
        }
    }

    async fn changed(
        &self,
        request: &mut InFlight<'_>,
        caller: &Caller,
        change: Change,
    ) -> Result<Reply, Error> {
        Box::pin(self.change_access(request, caller, change)).await.map(Reply::Access)
    }

    /// The route. Without a grants table there are no paths for requests for access.
    fn route(&self, event: &Event<'_>) -> Result<Route, RouteError> {
        match (&self.services.grants, Route::of(event)) {
            (Grants::Off, _) if is_about_access(&event.path()) => Err(RouteError::NotFound),
            (_, route) => route,
        }
    }

    /// Charges the quota and checks the caller proof, both at once. A refusal by the quota wins.
    async fn admit_proven(
        &self,
        request: &mut InFlight<'_>,
        caller: &Caller,
        tier: Tier,
    ) -> Result<(), Error> {
        let header = request.event.header("X-Sentinel-Caller-Proof");
        let identity = request.event.iam_identity().cloned();
        let host = request.event.domain_name();
        let (now, proof) = (request.now, &self.services.caller_proof);
        let proven = async move {
            let identity = identity.ok_or(Unauthenticated::NoIdentity)?;
            Ok::<_, Error>(proof.check(header.as_deref(), &identity, &host, now).await?)
        };
        let admitted = self.admit(request, caller, tier);
        let proven = match select(pin!(admitted), pin!(proven)).await {
            Either::Left((admitted, proven)) => {
                admitted?;
                proven.await
            }
            Either::Right((proven, admitted)) => {
                admitted.await?;
                proven
            }
        };
        request.record.proven(proven?);
        Ok(())
    }

    async fn admit(
        &self,
        request: &mut InFlight<'_>,
        caller: &Caller,
        tier: Tier,
    ) -> Result<(), Error> {
        let admission = self.services.limiter.admit(tier, caller.principal(), request.now).await;
        request.record.admission(&admission);
        request.quota = admission.outcome;
        match admission.outcome {
            Outcome::Uncounted | Outcome::Admitted(_) => Ok(()),
            Outcome::Throttled(_, retry_after) => Err(Error::Throttled(retry_after)),
            Outcome::Blocked(_) => Err(Error::Blocked),
            Outcome::Unavailable => Err(Error::LimiterUnavailable),
        }
    }

    async fn check_client_token(&self, request: &mut InFlight<'_>) -> Result<(), Error> {
        let presented = request.event.header("X-Sentinel-Token");
        self.services.client_tokens.check(presented.as_deref(), request.now).await?;
        request.record.client_token_checked();
        Ok(())
    }

    /// Reads the parameters, and looks up the device that they name and what is approved, both at
    /// once.
    async fn parse(&self, request: &mut InFlight<'_>, caller: &Caller) -> Result<Asked, Error> {
        let asked = VendRequest::parse(&request.event)?;
        request.record.asked(&asked);
        let policy = self.services.policies.held();
        let (device, held) = tokio::join!(
            self.services.devices.look_up(asked.device.as_ref(), request.now),
            self.held(Held::default(), &policy, caller, &asked.profile, request.now)
        );
        request.record.device(&device);
        Ok(Asked { wanted: asked, device, held: held.map_err(AccessError::from)? })
    }

    /// What the grants table holds, by the policy that decides. It may be a newer one than that of
    /// [`App::parse`], and read what that one did not.
    async fn held_for(
        &self,
        policy: &Policy,
        caller: &Caller,
        asked: &mut Asked,
        now: UtcDateTime,
    ) -> Result<(), Error> {
        let held = std::mem::take(&mut asked.held);
        let held = self.held(held, policy, caller, &asked.wanted.profile, now).await;
        asked.held = held.map_err(AccessError::from)?;
        Ok(())
    }

    /// The policy that decides this request.
    async fn policy(&self, request: &mut InFlight<'_>) -> Result<Arc<Policy>, Error> {
        let policies = &self.services.policies;
        let policy = policies.current(request.now).await;
        request.record.policy(&policies.held(), policies.age(request.now));
        Ok(policy?)
    }

    async fn vend(&self, request: &mut InFlight<'_>, caller: &Caller) -> Result<Vended, Error> {
        let mut known = self.parse(request, caller).await?;
        self.services.devices.verify(&known.device)?;
        let policy = self.policy(request).await?;
        self.held_for(&policy, caller, &mut known, request.now).await?;
        let (decision, shadow) =
            policy.decide(caller, &known.wanted, known.facts(), &request.request_id, request.now);
        request.record.decision(&decision, shadow);
        request.record.approved(known.held.approved());
        request.record.emergency(policy.emergency_in_force(
            caller,
            &known.wanted,
            known.facts(),
            request.now,
        ));
        let grant = decision.into_grant()?;
        request.record.granted(&grant);
        let issued = self.services.sts.assume_role(&grant).await;
        request.record.issued(issued.as_ref().ok());
        Ok(Vended {
            credentials: issued?,
            account: grant.account().to_owned(),
            duration: grant.duration(),
            clamped_by: grant.clamped_by(),
        })
    }

    /// What `vend` would do, without doing it. A device that would be refused is reported in
    /// `missing`.
    async fn explain(
        &self,
        request: &mut InFlight<'_>,
        caller: &Caller,
    ) -> Result<Explanation, Error> {
        let mut known = self.parse(request, caller).await?;
        let policy = self.policy(request).await?;
        match self.services.devices.verify(&known.device) {
            Ok(()) => {
                let now = request.now;
                self.held_for(&policy, caller, &mut known, now).await?;
                let (asked, facts) = (&known.wanted, known.facts());
                Ok(policy.explain(caller, asked, facts, now, tokio::task::yield_now).await)
            }
            Err(refused @ DeviceError::Refused(_)) => {
                let reason = Error::from(refused).public().message.into_owned();
                Ok(Explanation::without_device(known.wanted.profile, reason))
            }
            Err(unavailable @ DeviceError::Unavailable(_)) => Err(unavailable.into()),
        }
    }

    /// The function's state. Looks for a newer policy first, as a vend would.
    async fn health(&self, now: UtcDateTime) -> Health {
        let Services { limiter, policies, caller_proof, grants, .. } = &self.services;
        let _ = policies.current(now).await;
        Health {
            limiter: limiter.health(now),
            policy: policies.health(now),
            caller_proof: caller_proof.mode(),
            paths: tier::paths(grants),
        }
    }
}

fn is_about_access(path: &str) -> bool {
    path == "/v1/break-glass" || path.starts_with("/v1/requests")
}

/// A request for credentials, and what was looked up for it.
struct Asked {
    wanted: VendRequest,
    device: DeviceLookUp,
    held: Held,
}

impl Asked {
    fn facts(&self) -> Facts<'_> {
        Facts {
            device: self.device.device(),
            approval: self.held.approved(),
            emergency: self.held.emergency(),
        }
    }
}

/// One request, and what its stages have found out so far.
struct InFlight<'a> {
    event: Event<'a>,
    request_id: RequestId,
    now: UtcDateTime,
    own_account: Option<&'a str>,
    quota: Outcome,
    record: AuditRecord,
}
