//! Why `lambda_http` is not the reader in production: it fails on each of these events, before its
//! handler runs, so that there is neither a reply of this program's nor an audit line. `Event`
//! reads all of them.
//!
//! Each test is expected to fail when `lambda_http` mends what it shows: a reason to look again at
//! which of the two should read.

use super::{Failure, Reading, event_reads, lambda_http_reads};
use crate::support::EVENTS;
use sentinel_tvm::{Event, UnreadableInput};
use serde_json::{Value, json};

fn stored(name: &str) -> Value {
    let (_, text) = EVENTS.iter().find(|(known, _)| *known == name).unwrap();
    serde_json::from_str(text).unwrap()
}

/// A stored event with the member at a JSON pointer replaced.
fn with(name: &str, pointer: &str, value: impl Into<Value>) -> Value {
    let mut event = stored(name);
    *event.pointer_mut(pointer).unwrap_or_else(|| panic!("{name} has no {pointer}")) = value.into();
    event
}

fn failure(event: &Value) -> Option<Failure> {
    lambda_http_reads(&event.to_string()).err()
}

/// What `Event` reads, without headers.
fn reading(event: &Value) -> Reading {
    event_reads(&Event::read(&event.to_string()), [].iter())
}

/// What `Event` reads of the query.
fn query(event: &Value) -> Result<Vec<(String, String)>, UnreadableInput> {
    let text = event.to_string();
    let event = Event::read(&text);
    let owned = |pairs: Vec<sentinel_tvm::Parameter>| {
        pairs.into_iter().map(|(name, value)| (name.into_owned(), value.into_owned())).collect()
    };
    event.query().map(owned)
}

fn profile(value: &str) -> Vec<(String, String)> {
    vec![("profile".to_owned(), value.to_owned())]
}

/// Expected to fail when `lambda_http` mends it: a reason to look again.
#[test]
fn lambda_http_panics_on_a_body_that_is_not_base64() {
    for name in ["function-url-user", "rest-api-user"] {
        let mut event = stored(name);
        event["body"] = json!("not base64!");
        event["isBase64Encoded"] = json!(true);
        assert_eq!(failure(&event), Some(Failure::Panicked), "{name}");
        let text = event.to_string();
        let event = Event::read(&text);
        assert!(matches!(event.body(), Err(UnreadableInput::Malformed(_))), "{name}");
        assert!(
            event.iam_identity().is_some(),
            "so the reply is 400, and the audit line has a caller"
        );
    }
}

fn panics_on_query(raw: &str, value: &str) {
    let event = with("function-url-user", "/rawQueryString", raw);
    assert_eq!(failure(&event), Some(Failure::Panicked), "{raw}");
    assert_eq!(query(&event), Ok(profile(value)));
}

/// Expected to fail when `lambda_http` mends it: a reason to look again.
#[test]
fn lambda_http_panics_on_a_query_with_a_less_than_sign() {
    panics_on_query("profile=a<b", "a<b");
}

/// Expected to fail when `lambda_http` mends it: a reason to look again.
#[test]
fn lambda_http_panics_on_a_query_with_a_quotation_mark() {
    panics_on_query("profile=\"a\"", "\"a\"");
}

/// Expected to fail when `lambda_http` mends it: a reason to look again.
#[test]
fn lambda_http_panics_on_a_query_with_a_blank() {
    panics_on_query("profile=a b", "a b");
}

/// Expected to fail when `lambda_http` mends it: a reason to look again.
#[test]
fn lambda_http_panics_on_a_query_of_70_kilobytes() {
    let raw = format!("profile={}", "x".repeat(70_000));
    let event = with("function-url-user", "/rawQueryString", raw);
    assert_eq!(failure(&event), Some(Failure::Panicked));
    assert_eq!(query(&event), Err(UnreadableInput::TooLarge));
}

/// Expected to fail when `lambda_http` mends it: a reason to look again.
#[test]
fn lambda_http_panics_on_an_odd_host() {
    for (name, header) in [("function-url-user", "host"), ("rest-api-user", "Host")] {
        let plain = reading(&stored(name));
        for host in ["a b", "a:b", "[", "exa<mple", "%"] {
            let event = with(name, &format!("/headers/{header}"), host);
            assert_eq!(failure(&event), Some(Failure::Panicked), "{name} {host:?}");
            assert_eq!(reading(&event), plain, "nothing depends on the host");
        }
    }
}

/// Expected to fail when `lambda_http` mends it: a reason to look again.
#[test]
fn lambda_http_panics_on_an_odd_forwarded_protocol() {
    let plain = reading(&stored("function-url-user"));
    for protocol in ["", "1", "ht tp", "http,https:"] {
        let event = with("function-url-user", "/headers/x-forwarded-proto", protocol);
        let failed = failure(&event);
        assert_eq!(failed, Some(Failure::Panicked), "{protocol:?}");
        assert_eq!(reading(&event), plain, "nothing depends on the protocol");
    }
}

/// Expected to fail when `lambda_http` mends it: a reason to look again.
#[test]
fn lambda_http_panics_on_a_parameter_without_values() {
    let event = with(
        "rest-api-user",
        "/multiValueQueryStringParameters",
        json!({ "profile": [], "a": ["b"] }),
    );
    assert_eq!(failure(&event), Some(Failure::Panicked));
    assert_eq!(query(&event), Ok(vec![("a".to_owned(), "b".to_owned())]));
}

/// Expected to fail when `lambda_http` mends it: a reason to look again.
#[test]
fn lambda_http_refuses_null_in_members_that_the_request_does_not_need() {
    for (name, pointers) in [
        (
            "function-url-user",
            [
                "/headers/accept",
                "/isBase64Encoded",
                "/queryStringParameters/profile",
                "/requestContext/timeEpoch",
            ],
        ),
        (
            "rest-api-user",
            [
                "/headers/Accept",
                "/multiValueHeaders/Accept",
                "/pathParameters/proxy",
                "/requestContext/requestTimeEpoch",
            ],
        ),
    ] {
        let plain = reading(&stored(name));
        for pointer in pointers {
            let event = with(name, pointer, Value::Null);
            assert_eq!(failure(&event), Some(Failure::Refused), "{name} {pointer}");
            assert_eq!(reading(&event), plain, "{name} {pointer}");
        }
    }
}
