//! A request in Cedar's terms: principal, action, resource, context, and the entities with their attributes.
//!
//! Every attribute comes from the verified caller, the catalogue or AWS; none is the client's word.

use super::catalogue::Profile;
use crate::caller::Caller;
use crate::request::{ProfileName, SessionDuration};
use cedar_policy::{Context, Entities, Entity, EntityId, EntityTypeName, EntityUid, Request, RestrictedExpression};
use std::collections::{HashMap, HashSet};
use std::str::FromStr;
use std::sync::LazyLock;
use time::UtcDateTime;
use time::format_description::well_known::Rfc3339;

static CALLER: LazyLock<Option<EntityTypeName>> = LazyLock::new(|| type_name("Sentinel::Caller"));
static PROFILE: LazyLock<Option<EntityTypeName>> = LazyLock::new(|| type_name("Sentinel::Profile"));
static GROUP: LazyLock<Option<EntityTypeName>> = LazyLock::new(|| type_name("Sentinel::ProfileGroup"));
static ACTION: LazyLock<Option<EntityTypeName>> = LazyLock::new(|| type_name("Sentinel::Action"));

fn type_name(text: &str) -> Option<EntityTypeName> {
    EntityTypeName::from_str(text).ok()
}

fn uid(kind: &LazyLock<Option<EntityTypeName>>, id: &str) -> Option<EntityUid> {
    Some(EntityUid::from_type_name_and_id(Option::clone(kind)?, EntityId::new(id)))
}

/// The question in Cedar's terms. None if Cedar does not take it, which the schema's own tests exclude.
pub(super) fn ask(
    caller: &Caller,
    name: &ProfileName,
    profile: &Profile,
    duration: SessionDuration,
    now: UtcDateTime,
) -> Option<(Request, Entities)> {
    let principal = uid(&CALLER, caller.principal().as_str())?;
    let resource = uid(&PROFILE, name.as_str())?;
    let groups: HashSet<EntityUid> = profile.groups.iter().map(|group| uid(&GROUP, group)).collect::<Option<_>>()?;
    let entities = [
        Entity::new(principal.clone(), caller_attributes(caller), HashSet::new()).ok()?,
        Entity::new_no_attrs(resource.clone(), groups),
    ];
    let context = Context::from_pairs(context_attributes(caller, duration, now)).ok()?;
    let request = Request::new(principal, uid(&ACTION, "vend")?, resource, context, None).ok()?;
    Some((request, Entities::from_entities(entities, None).ok()?))
}

fn caller_attributes(caller: &Caller) -> HashMap<String, RestrictedExpression> {
    let present = [
        ("arn", Some(caller.principal().as_str())),
        ("account", Some(caller.account())),
        ("name", Some(caller.name())),
        ("kind", Some(caller.kind().name())),
        ("session_name", caller.session_name()),
        ("org", caller.org()),
    ];
    let attribute = |(name, value): (&str, Option<&str>)| {
        value.map(|value| (name.to_owned(), RestrictedExpression::new_string(value.to_owned())))
    };
    present.into_iter().filter_map(attribute).collect()
}

/// `source_ip` is left out if AWS did not tell it: a policy that looks at it then fails to evaluate, which refuses.
fn context_attributes(caller: &Caller, duration: SessionDuration, now: UtcDateTime) -> Vec<(String, RestrictedExpression)> {
    let mut context = vec![
        ("now".to_owned(), RestrictedExpression::new_datetime(cedar_datetime(now))),
        ("weekday".to_owned(), RestrictedExpression::new_long(i64::from(now.weekday().number_from_monday()))),
        ("duration".to_owned(), RestrictedExpression::new_long(i64::from(duration.seconds()))),
    ];
    if let Some(ip) = caller.source_ip() {
        context.push(("source_ip".to_owned(), RestrictedExpression::new_ip(ip.to_string())));
    }
    context
}

/// Whole seconds: Cedar takes no fraction but exactly three digits.
fn cedar_datetime(now: UtcDateTime) -> String {
    now.replace_nanosecond(0).unwrap_or(now).format(&Rfc3339).unwrap_or_default()
}
