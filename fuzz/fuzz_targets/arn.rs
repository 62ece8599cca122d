//! Arbitrary text as the caller's ARN. It is refused, or the principal is the ARN without the part
//! that the caller can choose.
//!
//! An optional first line lists the roles whose session names identify people.

#![no_main]

use libfuzzer_sys::fuzz_target;
use sentinel_tvm::{Caller, CallerKind, Event, IamIdentity, NamedSessionRoles, Unauthenticated};
use sentinel_tvm_fuzz::{ACCOUNT, check_caller};
use serde_json::{Value, json};

fuzz_target!(|text: &str| {
    let (named, arn) = match text.split_once('\n') {
        None => (Ok(NamedSessionRoles::default()), text),
        Some((list, arn)) => (NamedSessionRoles::parse(list), arn),
    };
    let Ok(named) = named else {
        return;
    };
    assert_eq!(NamedSessionRoles::parse(&named.to_string()).as_ref(), Ok(&named));

    let sessions = named.of_function_in(Some(ACCOUNT));
    let from = |event: Value| Caller::from_event(&Event::read(&event.to_string()), sessions);
    let principal = |event: Value| from(event).map(|caller| caller.principal().clone());
    let verified = |arn: &str| Caller::verified(&IamIdentity::of_arn(arn), None, sessions);
    let expected = verified(arn).map(|caller| caller.principal().clone());
    let payload_2 = json!({ "requestContext": { "authorizer": { "iam": { "userArn": arn } } } });
    let payload_1 = json!({ "requestContext": { "identity": { "userArn": arn } } });
    let both = json!({ "requestContext": { "identity": { "userArn": arn }, "authorizer": { "iam": { "userArn": arn } } } });
    if !arn.is_empty() {
        assert_eq!(principal(payload_2), expected);
        assert_eq!(principal(payload_1), expected);
        assert_eq!(principal(both), Err(Unauthenticated::NoIdentity));
    }

    let Ok(caller) = verified(arn) else {
        return;
    };
    check_caller(&caller);
    assert_eq!(caller.arn(), arn);
    let itself = match caller.kind() {
        CallerKind::User | CallerKind::Root => true,
        CallerKind::AssumedRole => caller.session_name().is_some(),
        CallerKind::FederatedUser => false,
    };
    let with_principal = |suffix: &str| verified(&format!("{}{suffix}", caller.principal()));
    let again = if itself {
        assert_eq!(caller.principal().as_str(), arn);
        with_principal("").unwrap()
    } else {
        assert_eq!(with_principal("").err(), Some(Unauthenticated::UnknownArn));
        with_principal("/another").unwrap()
    };
    assert_eq!(again.principal(), caller.principal());
    assert_eq!((again.name(), again.session_name()), (caller.name(), caller.session_name()));
    assert_eq!(again.source_identity(), caller.source_identity());
});
