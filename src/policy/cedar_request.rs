//! A request in Cedar's terms: principal, action, resource, context, and the entities with their
//! attributes.
//!
//! Every attribute comes from the verified caller, the catalogue, the device management, AWS or the
//! grants table, but for these, which clients choose:
//! - `claimed`: rules may demand and restrict by it, but must not grant by it alone.
//! - `scope`: the session has it, or is not granted.
//! - The reason and the ticket of a request for access: another person has read and approved them, or
//!   is about to.

use super::catalogue::Profile;
use crate::access::{AccessRequest, Approval, Emergency, Requester};
use crate::caller::Caller;
use crate::claims::Claims;
use crate::device::Device;
use crate::request::{ScopeName, SessionDuration, VendRequest};
use cedar_policy::{
    Context, Entities, Entity, EntityId, EntityTypeName, EntityUid, Request, RestrictedExpression,
};
use cedar_policy_core::ast::{Name, RestrictedExpr};
use std::collections::{HashMap, HashSet};
use std::str::FromStr;
use std::sync::LazyLock;
use time::UtcDateTime;
use time::format_description::well_known::Rfc3339;

static CALLER: LazyLock<Option<EntityTypeName>> = LazyLock::new(|| type_name("Sentinel::Caller"));
static PROFILE: LazyLock<Option<EntityTypeName>> = LazyLock::new(|| type_name("Sentinel::Profile"));
static GROUP: LazyLock<Option<EntityTypeName>> =
    LazyLock::new(|| type_name("Sentinel::ProfileGroup"));
static ACTION: LazyLock<Option<EntityTypeName>> = LazyLock::new(|| type_name("Sentinel::Action"));
static DATETIME: LazyLock<Option<Name>> = LazyLock::new(|| Name::from_str("datetime").ok());
static IP: LazyLock<Option<Name>> = LazyLock::new(|| Name::from_str("ip").ok());

fn type_name(text: &str) -> Option<EntityTypeName> {
    EntityTypeName::from_str(text).ok()
}

fn uid(kind: &LazyLock<Option<EntityTypeName>>, id: &str) -> Option<EntityUid> {
    Some(EntityUid::from_type_name_and_id(Option::clone(kind)?, EntityId::new(id)))
}

/// What a decision depends on, besides the caller and the profile.
#[derive(Debug, Clone, Copy)]
pub(super) struct RequestContext<'a> {
    /// The duration that would be granted.
    pub(super) duration: SessionDuration,
    /// The caller's device, if it is known.
    pub(super) device: Option<&'a Device>,
    /// The approval in force, if there is one.
    pub(super) approval: Option<&'a Approval>,
    /// The emergency that the caller took, if it leaves time for a session.
    pub(super) emergency: Option<&'a Emergency>,
    pub(super) action: Action<'a>,
    pub(super) now: UtcDateTime,
}

impl<'a> RequestContext<'a> {
    /// A context without a device, an approval or an emergency.
    pub(super) fn of(action: Action<'a>, duration: SessionDuration, now: UtcDateTime) -> Self {
        Self { duration, device: None, approval: None, emergency: None, action, now }
    }
}

/// What the caller wants to do with the profile.
#[derive(Debug, Clone, Copy)]
pub(super) enum Action<'a> {
    /// Get credentials, by this request if there is one.
    Vend(Option<&'a VendRequest>),
    /// Approve or deny this request for access.
    Approve(&'a AccessRequest),
    /// Take this emergency.
    BreakGlass(&'a Emergency),
}

impl<'a> Action<'a> {
    fn name(self) -> &'static str {
        match self {
            Self::Vend(_) => "vend",
            Self::Approve(_) => "approve",
            Self::BreakGlass(_) => "break-glass",
        }
    }

    /// The scope that is asked for.
    pub(super) fn scope(self) -> Option<&'a ScopeName> {
        self.request()?.scope.as_ref()
    }

    fn claims(self) -> Option<&'a Claims> {
        Some(&self.request()?.claims)
    }

    fn request(self) -> Option<&'a VendRequest> {
        match self {
            Self::Vend(request) => request,
            Self::Approve(_) | Self::BreakGlass(_) => None,
        }
    }
}

/// A request in Cedar's terms.
#[derive(Debug)]
pub(super) struct CedarRequest {
    request: Request,
    entities: Entities,
    principal: EntityUid,
    /// The profile, and the groups it is in.
    resources: Vec<EntityUid>,
}

impl CedarRequest {
    /// `None` if Cedar rejects it, which the tests of the schema exclude.
    pub(super) fn new(
        caller: &Caller,
        profile: &Profile,
        context: RequestContext<'_>,
    ) -> Option<Self> {
        let principal = uid(&CALLER, caller.principal().as_str())?;
        let resource = uid(&PROFILE, profile.name.as_str())?;
        let groups: HashSet<EntityUid> =
            profile.groups.iter().map(|group| uid(&GROUP, group)).collect::<Option<_>>()?;
        let resources = std::iter::once(&resource).chain(&groups).cloned().collect();
        let entities = [
            Entity::new(principal.clone(), caller_attributes(caller), HashSet::new()).ok()?,
            Entity::new_no_attrs(resource.clone(), groups),
        ];
        let action = uid(&ACTION, context.action.name())?;
        let context = Context::from_pairs(context_attributes(caller, context)?).ok()?;
        let request = Request::new(principal.clone(), action, resource, context, None).ok()?;
        Some(Self {
            request,
            entities: Entities::from_entities(entities, None).ok()?,
            principal,
            resources,
        })
    }

    pub(super) fn request(&self) -> &Request {
        &self.request
    }

    pub(super) fn entities(&self) -> &Entities {
        &self.entities
    }

    /// Every principal and resource that the scope of a matching policy can name; `None` means any.
    pub(super) fn scopes(&self) -> impl Iterator<Item = (Option<EntityUid>, Option<EntityUid>)> {
        let resources = || std::iter::once(None).chain(self.resources.iter().cloned().map(Some));
        [None, Some(&self.principal)].into_iter().flat_map(move |principal| {
            resources().map(move |resource| (principal.cloned(), resource))
        })
    }
}

fn caller_attributes(caller: &Caller) -> HashMap<String, RestrictedExpression> {
    let present = [
        ("arn", Some(caller.principal().as_str())),
        ("account", Some(caller.account())),
        ("name", Some(caller.name())),
        ("kind", Some(caller.kind().name())),
        ("session_name", caller.session_name()),
        ("org", caller.org()),
        ("unique_id", caller.unique_id()),
    ];
    named(present.map(|(name, value)| (name, value.map(text)))).collect()
}

/// `source_ip` is absent if the event has none: a policy that reads it then fails to evaluate,
/// which refuses the request.
fn context_attributes(
    caller: &Caller,
    context: RequestContext<'_>,
) -> Option<Vec<(String, RestrictedExpression)>> {
    let RequestContext { duration, device, approval, emergency, action, now } = context;
    let (requester, reason, ticket) = match action {
        Action::Vend(_) => (None, None, None),
        Action::Approve(access) => {
            (Some(&access.requester), Some(&access.reason), access.ticket.as_ref())
        }
        Action::BreakGlass(emergency) => (None, Some(&emergency.reason), emergency.ticket.as_ref()),
    };
    // If Cedar rejects a value, fail; never decide as if none was given.
    let present = [
        ("now", Some(datetime(now)?)),
        ("weekday", Some(number(now.weekday().number_from_monday().into()))),
        ("duration", Some(number(duration.seconds().into()))),
        ("source_ip", known(caller.source_ip(), |ip| extension(&IP, ip.to_string())).ok()?),
        ("device", known(device, device_record).ok()?),
        ("approval", known(approval, approval_record).ok()?),
        ("emergency", known(emergency, emergency_record).ok()?),
        ("scope", action.scope().map(|scope| text(scope.as_str()))),
        ("claimed", Some(claimed_record(action.claims())?)),
        ("requester", known(requester, requester_record).ok()?),
        ("reason", reason.map(|reason| text(reason.as_str()))),
        ("ticket", ticket.map(|ticket| text(ticket.as_str()))),
    ];
    Some(named(present).collect())
}

/// Cedar rejects a value.
struct Rejected;

/// The attribute of a value, if there is one.
fn known<T>(
    value: Option<T>,
    attribute: impl FnOnce(T) -> Option<RestrictedExpression>,
) -> Result<Option<RestrictedExpression>, Rejected> {
    value.map(|value| attribute(value).ok_or(Rejected)).transpose()
}

fn claimed_record(claims: Option<&Claims>) -> Option<RestrictedExpression> {
    let reason = claims.and_then(|claims| claims.reason.as_ref());
    let ticket = claims.and_then(|claims| claims.ticket.as_ref());
    let agent = claims.and_then(|claims| claims.agent.as_ref());
    let present = [
        ("reason", reason.map(|reason| text(reason.as_str()))),
        ("ticket", ticket.map(|ticket| text(ticket.as_str()))),
        ("agent", agent.map(|agent| text(agent.as_str()))),
    ];
    RestrictedExpression::new_record(named(present)).ok()
}

fn approval_record(approval: &Approval) -> Option<RestrictedExpression> {
    let present = [
        ("by", Some(text(&approval.by))),
        ("reason", Some(text(approval.reason.as_str()))),
        ("ticket", approval.ticket.as_ref().map(|ticket| text(ticket.as_str()))),
        ("duration", Some(number(approval.duration.seconds().into()))),
        ("approved_at", Some(datetime(approval.approved_at)?)),
        ("expires_at", Some(datetime(approval.expires_at)?)),
    ];
    RestrictedExpression::new_record(named(present)).ok()
}

fn emergency_record(emergency: &Emergency) -> Option<RestrictedExpression> {
    let present = [
        ("reason", Some(text(emergency.reason.as_str()))),
        ("ticket", emergency.ticket.as_ref().map(|ticket| text(ticket.as_str()))),
        ("began_at", Some(datetime(emergency.began_at)?)),
        ("ends_at", Some(datetime(emergency.ends_at)?)),
    ];
    RestrictedExpression::new_record(named(present)).ok()
}

fn requester_record(requester: &Requester) -> Option<RestrictedExpression> {
    let present = [
        ("arn", Some(&requester.arn)),
        ("account", Some(&requester.account)),
        ("name", Some(&requester.name)),
        ("kind", Some(&requester.kind)),
        ("session_name", requester.session_name.as_ref()),
        ("org", requester.org.as_ref()),
        ("unique_id", requester.unique_id.as_ref()),
    ];
    let present = present.map(|(name, value)| (name, value.map(|value| text(value))));
    RestrictedExpression::new_record(named(present)).ok()
}

fn text(value: &str) -> RestrictedExpression {
    RestrictedExpression::new_string(value.to_owned())
}

fn number(value: i64) -> RestrictedExpression {
    RestrictedExpression::new_long(value)
}

fn device_record(device: &Device) -> Option<RestrictedExpression> {
    let present = [
        ("managed", Some(RestrictedExpression::new_bool(device.managed))),
        ("compliant", Some(RestrictedExpression::new_bool(device.compliant))),
        ("owner", device.owner.as_deref().map(text)),
        ("last_seen", known(device.last_seen, datetime).ok()?),
        ("os_version", device.os_version.as_deref().map(text)),
        ("provider", Some(text(device.provider))),
    ];
    RestrictedExpression::new_record(named(present)).ok()
}

fn named<const N: usize>(
    present: [(&'static str, Option<RestrictedExpression>); N],
) -> impl Iterator<Item = (String, RestrictedExpression)> {
    present.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)))
}

/// In whole seconds: Cedar accepts fractions of exactly three digits only.
fn datetime(at: UtcDateTime) -> Option<RestrictedExpression> {
    let whole = at.replace_nanosecond(0).unwrap_or(at);
    extension(&DATETIME, whole.format(&Rfc3339).ok()?)
}

/// A call of an extension function. `RestrictedExpression::new_datetime` and its like would run
/// Cedar's parser over the function's name for every value.
fn extension(name: &LazyLock<Option<Name>>, text: String) -> Option<RestrictedExpression> {
    let name = Option::clone(name)?;
    Some(RestrictedExpr::call_extension_fn(name, [RestrictedExpr::val(text)]).into())
}
