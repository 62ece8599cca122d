//! Arbitrary text as the caller's ARN. It is refused, or the principal is the ARN without the part that the caller can choose.
//!
//! An optional first line lists the roles whose session names identify people.

#![no_main]

use libfuzzer_sys::fuzz_target;
use sentinel_tvm::{Caller, CallerKind, Event, NamedSessionRoles, Unauthenticated};
use sentinel_tvm_fuzz::{check_caller, event};
use serde_json::json;

fuzz_target!(|text: &str| {
    let (named, arn) = match text.split_once('\n') {
        None => (Ok(NamedSessionRoles::default()), text),
        Some((list, arn)) => (NamedSessionRoles::parse(list), arn),
    };
    let Ok(named) = named else {
        return;
    };
    assert_eq!(NamedSessionRoles::parse(&named.to_string()).as_ref(), Ok(&named));

    let from = |event: &Event| Caller::from_event(event, &named);
    let principal = |event: &Event| from(event).map(|caller| caller.principal().clone());
    let function_url = event(arn, None, None);
    let rest_api = json!({ "requestContext": { "identity": { "userArn": arn } } });
    assert_eq!(principal(&Event::new(rest_api)), principal(&function_url));
    let both = json!({ "requestContext": { "identity": { "userArn": arn }, "authorizer": { "iam": { "userArn": arn } } } });
    assert_eq!(principal(&Event::new(both)), Err(Unauthenticated::NoIdentity));

    let Ok(caller) = from(&function_url) else {
        return;
    };
    check_caller(&caller);
    assert_eq!(caller.arn(), arn);
    let itself = match caller.kind() {
        CallerKind::User | CallerKind::Root => true,
        CallerKind::AssumedRole => caller.session_name().is_some(),
        CallerKind::FederatedUser => false,
    };
    let with_principal = |suffix: &str| event(&format!("{}{suffix}", caller.principal()), None, None);
    let again = if itself {
        assert_eq!(caller.principal().as_str(), arn);
        from(&with_principal("")).unwrap()
    } else {
        assert_eq!(principal(&with_principal("")), Err(Unauthenticated::UnknownArn));
        from(&with_principal("/another")).unwrap()
    };
    assert_eq!(again.principal(), caller.principal());
    assert_eq!((again.name(), again.session_name()), (caller.name(), caller.session_name()));
    assert_eq!(again.source_identity(), caller.source_identity());
});
