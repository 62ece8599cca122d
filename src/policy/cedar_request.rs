//! A request in Cedar's terms: principal, action, resource, context, and the entities with their
//! attributes.
//!
//! Every attribute comes from the verified caller, the catalogue, the device management or AWS;
//! clients choose none of them.

use super::catalogue::Profile;
use crate::caller::Caller;
use crate::device::Device;
use crate::request::SessionDuration;
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
    pub(super) now: UtcDateTime,
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
        let context = Context::from_pairs(context_attributes(caller, context)?).ok()?;
        let request =
            Request::new(principal.clone(), uid(&ACTION, "vend")?, resource, context, None).ok()?;
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
    let text = |value: &str| RestrictedExpression::new_string(value.to_owned());
    named(present.map(|(name, value)| (name, value.map(text)))).collect()
}

/// `source_ip` is absent if the event has none: a policy that reads it then fails to evaluate,
/// which refuses the request.
fn context_attributes(
    caller: &Caller,
    context: RequestContext<'_>,
) -> Option<Vec<(String, RestrictedExpression)>> {
    let RequestContext { duration, device, now } = context;
    // If Cedar rejects the device or the address, fail; never decide as if none was given.
    let device = match device {
        Some(device) => Some(device_record(device)?),
        None => None,
    };
    let source_ip = match caller.source_ip() {
        Some(ip) => Some(extension(&IP, ip.to_string())?),
        None => None,
    };
    let present = [
        ("now", Some(datetime(now)?)),
        (
            "weekday",
            Some(RestrictedExpression::new_long(i64::from(now.weekday().number_from_monday()))),
        ),
        ("duration", Some(RestrictedExpression::new_long(i64::from(duration.seconds())))),
        ("source_ip", source_ip),
        ("device", device),
    ];
    Some(named(present).collect())
}

fn device_record(device: &Device) -> Option<RestrictedExpression> {
    let text = |value: &str| RestrictedExpression::new_string(value.to_owned());
    let last_seen = match device.last_seen {
        Some(at) => Some(datetime(at)?),
        None => None,
    };
    let present = [
        ("managed", Some(RestrictedExpression::new_bool(device.managed))),
        ("compliant", Some(RestrictedExpression::new_bool(device.compliant))),
        ("owner", device.owner.as_deref().map(text)),
        ("last_seen", last_seen),
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
