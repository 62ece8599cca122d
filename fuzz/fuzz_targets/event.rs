//! Arbitrary bytes as an invocation's payload. Reading never fails, and every value that it returns
//! is valid.

#![no_main]

use libfuzzer_sys::fuzz_target;
use sentinel_tvm::{
    Caller, DeviceId, Event, MAX_INPUT_BYTES, NamedSessionRoles, Payload, Route, VendRequest,
};
use sentinel_tvm_fuzz::{ACCOUNT, check_caller};
use serde::Deserialize;
use serde_json::{Deserializer, Value, json};

fuzz_target!(|bytes: &[u8]| {
    // As `lambda_runtime` deserializes it.
    let payload = Payload::deserialize(&mut Deserializer::from_slice(bytes))
        .expect("every payload deserializes");
    let text = payload.text();
    assert!(text.is_empty() || bytes.trim_ascii_start().starts_with(text.as_bytes()));
    let event = Event::read(text);
    check_event(&event);
    if let Ok(structure) = serde_json::from_str(text) {
        check_headers(&event, &structure);
    }
});

fn check_event(event: &Event<'_>) {
    let _ = (event.source_ip(), event.user_agent());
    assert_eq!(format!("{event:?}"), "Event(..)");
    if let Ok(query) = event.query() {
        let length: usize = query.iter().map(|(name, value)| name.len() + value.len()).sum();
        assert!(length <= MAX_INPUT_BYTES);
    }
    if let Ok(body) = event.body() {
        assert!(body.len() <= MAX_INPUT_BYTES);
    }
    if Route::of(event).is_ok() {
        assert!(event.path().starts_with('/') && ["GET", "POST"].contains(&&*event.method()));
    }
    let named = NamedSessionRoles::default();
    if let Ok(caller) = Caller::from_event(event, named.of_function_in(Some(ACCOUNT))) {
        check_caller(&caller);
        let identity = event.iam_identity().unwrap();
        assert_eq!((caller.arn(), caller.org()), (&*identity.user_arn, identity.org.as_deref()));
    }
    if let Ok(request) = VendRequest::parse(event) {
        check_request(&request);
    }
}

/// The case of a header's name does not matter.
fn check_headers(event: &Event<'_>, structure: &Value) {
    for map in ["/headers", "/multiValueHeaders"] {
        for name in structure
            .pointer(map)
            .and_then(Value::as_object)
            .into_iter()
            .flat_map(|headers| headers.keys())
        {
            assert_eq!(event.header(name), event.header(&name.to_ascii_uppercase()));
        }
    }
}

/// A request has the same meaning as a GET and as a POST.
fn check_request(request: &VendRequest) {
    let (profile, duration) =
        (request.profile.as_str(), request.duration.map(|duration| duration.seconds().to_string()));
    let device = request.device.as_ref().map(DeviceId::as_str);
    // These values need no encoding.
    let of = |name, value: Option<&str>| {
        value.map_or_else(String::new, |value| format!("&{name}={value}"))
    };
    let query = format!(
        "profile={profile}{}{}",
        of("duration", duration.as_deref()),
        of("device_id", device)
    );
    let get = json!({ "requestContext": { "http": { "method": "GET" } }, "rawQueryString": query });
    let body = json!({ "profile": profile, "duration": duration, "device_id": device }).to_string();
    let post = json!({ "httpMethod": "POST", "body": body });
    for again in [get, post] {
        assert_eq!(VendRequest::parse(&Event::read(&again.to_string())).as_ref(), Ok(request));
    }
}
