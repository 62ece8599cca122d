//! Single members of an event, and the limits of its input.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use sentinel_tvm::{Event, MAX_INPUT_BYTES, Payload, UnreadableInput};
use serde_json::{Value, json};

fn text(event: &Value) -> String {
    event.to_string()
}

#[test]
fn the_user_agent_is_that_of_the_context_in_both_payloads() {
    for context in
        [json!({ "http": { "userAgent": "a/1" } }), json!({ "identity": { "userAgent": "a/1" } })]
    {
        let event = text(&json!({ "requestContext": context }));
        assert_eq!(Event::read(&event).user_agent().as_deref(), Some("a/1"));
    }
    for context in
        [json!({}), json!({ "http": { "userAgent": "" } }), json!({ "http": { "userAgent": 1 } })]
    {
        let event = text(&json!({ "requestContext": context, "headers": { "user-agent": "b" } }));
        assert_eq!(Event::read(&event).user_agent(), None, "{event}");
    }
}

#[test]
fn a_query_may_have_as_many_bytes_as_the_limit_says() {
    let query = |name: usize, value: usize| {
        let raw = format!("{}={}&X-Amz-Date=1", "n".repeat(name), "v".repeat(value));
        let event = text(&json!({ "rawQueryString": raw }));
        Event::read(&event).query().map(|pairs| pairs.len())
    };
    let half = MAX_INPUT_BYTES / 2;
    assert_eq!(query(half, half), Ok(1));
    assert_eq!(query(half, half + 1), Err(UnreadableInput::TooLarge));
    assert_eq!(query(half + 1, half), Err(UnreadableInput::TooLarge));
    assert_eq!(query(1, 2 * MAX_INPUT_BYTES), Err(UnreadableInput::TooLarge));
}

#[test]
fn a_body_may_have_as_many_bytes_as_the_limit_says_encoded_or_not() {
    for length in [0, 1, MAX_INPUT_BYTES - 1, MAX_INPUT_BYTES] {
        let plain = "x".repeat(length);
        for event in [
            text(&json!({ "body": plain })),
            text(&json!({ "body": BASE64.encode(&plain), "isBase64Encoded": true })),
        ] {
            assert_eq!(Event::read(&event).body().as_deref(), Ok(plain.as_str()), "{length}");
        }
    }
    for length in [MAX_INPUT_BYTES + 1, MAX_INPUT_BYTES + 2, 2 * MAX_INPUT_BYTES] {
        let plain = "x".repeat(length);
        for event in [
            text(&json!({ "body": plain })),
            text(&json!({ "body": BASE64.encode(&plain), "isBase64Encoded": true })),
        ] {
            assert_eq!(Event::read(&event).body(), Err(UnreadableInput::TooLarge), "{length}");
        }
    }
    let no_base64 =
        text(&json!({ "body": "*".repeat(3 * MAX_INPUT_BYTES), "isBase64Encoded": true }));
    assert_eq!(
        Event::read(&no_base64).body(),
        Err(UnreadableInput::TooLarge),
        "before it is decoded"
    );
}

/// THREAT: an event in a log line reveals a signature or a client token.
/// PREVENTION: it prints its type alone.
#[test]
fn security_events_do_not_print_their_contents() {
    let event = text(&json!({ "headers": { "authorization": "CANARY" }, "body": "CANARY" }));
    assert_eq!(format!("{:?}", Event::read(&event)), "Event(..)");
    let payload: Payload = serde_json::from_str(&event).unwrap();
    assert_eq!(format!("{payload:?}"), "Payload(..)");
}
