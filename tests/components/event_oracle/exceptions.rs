//! Where `Event` reads something else than `lambda_http` on purpose, each with its reason.

use super::{Identity, Reading, Sample, Unreadable, domain_name, identities, source_ip};
use lambda_http::http::HeaderValue;
use lambda_http::request::RequestContext;
use lambda_http::{Request, RequestExt};
use sentinel_tvm::MAX_INPUT_BYTES;
use serde_json::Value;
use std::collections::BTreeMap;

/// What `Event` must read, given what `lambda_http` reads.
pub(super) fn applied(request: &Request, sample: &Sample) -> Reading {
    Reading {
        method: method(request, sample),
        path: path(request),
        query: query(request, sample),
        headers: headers(request, sample),
        body: body(request),
        identity: identity(request, sample),
        domain_name: domain_name(request),
        source_ip: source_ip(request),
    }
}

/// An empty method is `GET` to `lambda_http`. Here it stays empty, and the reply is 405: no client
/// sends it.
fn method(request: &Request, sample: &Sample) -> String {
    let own = if is_payload_2(request) { "/requestContext/http/method" } else { "/httpMethod" };
    match sample.event.pointer(own) {
        Some(Value::String(method)) if method.is_empty() => String::new(),
        _ => request.method().to_string(),
    }
}

/// Payload 2.0 has a named stage in its path, payload 1.0 does not. Here it has none, so that
/// routes are the same in both; `lambda_http` leaves it where it is.
fn path(request: &Request) -> String {
    let path = request.raw_http_path();
    let stage = match request.request_context_ref() {
        Some(RequestContext::ApiGatewayV2(context)) => context.stage.as_deref(),
        _ => None,
    };
    let stage = stage.filter(|stage| !["", "$default"].contains(stage));
    let below = stage.and_then(|stage| path.strip_prefix('/')?.strip_prefix(stage));
    below.filter(|below| below.starts_with('/')).unwrap_or(path).to_owned()
}

/// - The parameters of a pre-signed request, `X-Amz-*`, are not the caller's.
/// - A query longer than 8 KiB is refused.
/// - In payload 2.0, `queryStringParameters` joins repeated parameters with commas. `lambda_http`
///   splits all values at commas if `rawQueryString` is absent. Here they stay whole: a comma of
///   the caller's must not become a second parameter.
fn query(request: &Request, sample: &Sample) -> Result<BTreeMap<String, Vec<String>>, Unreadable> {
    let joined = is_payload_2(request) && !sample.event["rawQueryString"].is_string();
    let mut query = BTreeMap::<String, Vec<String>>::new();
    for (name, value) in request.query_string_parameters().iter() {
        if !name.to_ascii_lowercase().starts_with("x-amz-") {
            query.entry(name.to_owned()).or_default().push(value.to_owned());
        }
    }
    if joined {
        for (name, values) in &mut query {
            if sample.event["queryStringParameters"][name].is_string() {
                *values = vec![values.join(",")];
            }
        }
    }
    let length = |(name, values): (&String, &Vec<String>)| {
        values.iter().map(|value| name.len() + value.len()).sum::<usize>()
    };
    let total: usize = query.iter().map(length).sum();
    if total > MAX_INPUT_BYTES { Err(Unreadable::TooLarge) } else { Ok(query) }
}

/// - A header that occurs more than once has no value here. `lambda_http` gives the last one, and
///   not every proxy would.
/// - In payload 1.0 each header is in two maps. AWS fills both; if they differ, `multiValueHeaders`
///   counts here, because it alone shows that a header occurs twice. In `lambda_http`, `headers`
///   counts.
fn headers(request: &Request, sample: &Sample) -> BTreeMap<String, Option<String>> {
    let lossy = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let value = |name: &str| match (
        all(&sample.event, "multiValueHeaders", name),
        request.headers().get(name),
    ) {
        (Some(values), _) => single(&values).and_then(text),
        (None, value) => {
            let values = all(&sample.event, "headers", name).unwrap_or_default();
            value.filter(|_| values.len() < 2).map(lossy)
        }
    };
    let mut names: Vec<String> = request.headers().keys().map(ToString::to_string).collect();
    names.push("x-absent".to_owned());
    names.into_iter().map(|name| (name.clone(), value(&name))).collect()
}

/// All values of a header in one of the event's maps, whatever the case of its name; `None` if the
/// map is absent or empty.
fn all<'a>(event: &'a Value, map: &str, name: &str) -> Option<Vec<&'a Value>> {
    let map = event[map].as_object().filter(|map| !map.is_empty())?;
    let values = map.iter().filter(|(known, _)| known.eq_ignore_ascii_case(name));
    Some(
        values
            .flat_map(|(_, value)| {
                value.as_array().map_or(vec![value], |many| many.iter().collect())
            })
            .collect(),
    )
}

fn single<'a>(values: &[&'a Value]) -> Option<&'a Value> {
    if let [value] = values { Some(value) } else { None }
}

/// A body longer than 8 KiB, or one that is not UTF-8, is refused.
fn body(request: &Request) -> Result<String, Unreadable> {
    let bytes: &[u8] = request.body().as_ref();
    if bytes.len() > MAX_INPUT_BYTES {
        return Err(Unreadable::TooLarge);
    }
    String::from_utf8(bytes.to_owned()).map_err(|_| Unreadable::Malformed)
}

/// - An empty text is an absent one.
/// - `authorizer.iam` counts only without a `version`, or with `2.0`: in other payloads it is what
///   a Lambda authorizer wrote.
/// - An identity may stand where either payload has it, but an event with both has none. AWS fills
///   in both places, not callers.
fn identity(request: &Request, sample: &Sample) -> Option<Identity> {
    let present = |text: Option<String>| text.filter(|text| !text.is_empty());
    let [payload_2, payload_1] = identities(request).map(|identity| {
        let Identity { arn, access_key, org, user_id } = identity?;
        Some(Identity {
            arn: Some(present(arn)?),
            access_key: present(access_key),
            org: present(org),
            user_id: present(user_id),
        })
    });
    let is_2 = matches!(sample.event["version"].as_str(), None | Some("2.0"));
    match (payload_2.filter(|_| is_2), payload_1) {
        (Some(identity), None) | (None, Some(identity)) => Some(identity),
        _ => None,
    }
}

fn text(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}

fn is_payload_2(request: &Request) -> bool {
    matches!(request.request_context_ref(), Some(RequestContext::ApiGatewayV2(_)))
}
