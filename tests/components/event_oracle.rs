//! `lambda_http` as the oracle: wherever it can read an event, `Event` reads the same request.
//!
//! It is the ecosystem's reader of these events. `reasons` has why it is not the reader in
//! production.

mod exceptions;
mod mutations;
mod reasons;

use crate::support::EVENTS;
use lambda_http::aws_lambda_events::apigw::ApiGatewayRequestAuthorizerIamDescription;
use lambda_http::request::RequestContext;
use lambda_http::{Request, RequestExt};
use mutations::{Mutation, Mutations};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use sentinel_tvm::{Event, UnreadableInput};
use serde_json::Value;
use std::cell::Cell;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;

/// An event's text, changed by no, one or two mutations.
struct Sample {
    text: String,
    event: Value,
}

/// A request as a reader sees it.
#[derive(Debug, PartialEq)]
struct Reading {
    method: String,
    path: String,
    /// The values of each parameter in order. The order of the parameters is not compared:
    /// `lambda_http` does not keep it.
    query: Result<BTreeMap<String, Vec<String>>, Unreadable>,
    /// By lower-case name.
    headers: BTreeMap<String, Option<String>>,
    body: Result<String, Unreadable>,
    identity: Option<Identity>,
    domain_name: String,
    source_ip: Option<IpAddr>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Unreadable {
    TooLarge,
    Malformed,
}

#[derive(Debug, PartialEq, Eq)]
struct Identity {
    arn: Option<String>,
    access_key: Option<String>,
    org: Option<String>,
    user_id: Option<String>,
}

/// Why `lambda_http` has no request.
#[derive(Debug, PartialEq, Eq)]
enum Failure {
    Panicked,
    Refused,
}

#[test]
fn the_stored_events_read_the_same() {
    for (name, text) in EVENTS {
        let sample = Mutation::apply_all(text, &[]);
        assert!(agree(&sample).unwrap(), "lambda_http reads {name}");
    }
}

#[test]
fn mutated_events_read_the_same_wherever_lambda_http_can_read_them() {
    let mut runner =
        TestRunner::new(Config { cases: 6_000, failure_persistence: None, ..Config::default() });
    let read = Cell::new(0_u32);
    let cases = (0..EVENTS.len(), Mutations::strategy());
    let run = runner.run(&cases, |(event, Mutations(mutations))| {
        let sample = Mutation::apply_all(EVENTS[event].1, &mutations);
        let both_read = agree(&sample)
            .map_err(|differ| TestCaseError::fail(format!("{differ}\n{}", sample.text)))?;
        read.set(read.get() + u32::from(both_read));
        Ok(())
    });
    run.unwrap_or_else(|failure| panic!("{failure}"));
    assert!(read.get() > 3_000, "most are compared, not {}", read.get());
}

/// For `lambda_http` the last of them counts. Readers of other programs may take the first, so here
/// none counts.
#[test]
fn an_object_that_repeats_a_name_reads_as_empty() {
    let (_, text) = EVENTS.iter().find(|(name, _)| *name == "function-url-user").unwrap();
    let (accept, iam) = (r#""accept": "*/*""#, r#""iam": {"#);
    let repeated = text.replace(accept, &format!("{accept}, {accept}"));
    assert!(lambda_http_reads(&repeated).unwrap().headers().contains_key("accept"));
    assert_eq!(Event::read(&repeated).header("accept"), None);
    assert_eq!(Event::read(&repeated).header("host"), None, "nor any other header");
    let repeated = text.replace(iam, &format!("{iam} \"other\": 1, \"other\": 2,"));
    assert!(identities(&lambda_http_reads(&repeated).unwrap())[0].is_some());
    assert_eq!(Event::read(&repeated).iam_identity(), None);
}

/// Whether `lambda_http` reads the event; an error if it does, and `Event` reads another request.
fn agree(sample: &Sample) -> Result<bool, String> {
    let Ok(request) = lambda_http_reads(&sample.text) else {
        return Ok(false);
    };
    let expected = exceptions::applied(&request, sample);
    let actual = event_reads(&Event::read(&sample.text), expected.headers.keys());
    if actual == expected {
        Ok(true)
    } else {
        Err(format!("Event reads {actual:?}\nlambda_http {expected:?}"))
    }
}

/// What `Event` reads, of the headers those with these names.
fn event_reads<'a>(event: &Event, names: impl Iterator<Item = &'a String>) -> Reading {
    let unreadable = |error| match error {
        UnreadableInput::TooLarge => Unreadable::TooLarge,
        UnreadableInput::Malformed(_) => Unreadable::Malformed,
    };
    let header = |name: &String| (name.clone(), event.header(name).map(String::from));
    let query = event.query().map_err(unreadable).map(|pairs| {
        let mut grouped = BTreeMap::<String, Vec<String>>::new();
        for (name, value) in pairs {
            grouped.entry(name.into_owned()).or_default().push(value.into_owned());
        }
        grouped
    });
    Reading {
        method: event.method().into_owned(),
        path: event.path().into_owned(),
        query,
        headers: names.map(header).collect(),
        body: event.body().map_err(unreadable).map(String::from),
        identity: event.iam_identity().map(|identity| Identity {
            arn: Some(identity.user_arn.to_string()),
            access_key: identity.access_key_id.as_deref().map(String::from),
            org: identity.org.as_deref().map(String::from),
            user_id: identity.user_id.as_deref().map(String::from),
        }),
        domain_name: event.domain_name().into_owned(),
        source_ip: event.source_ip(),
    }
}

/// The request that `lambda_http` gives its handler, which can read its query.
fn lambda_http_reads(text: &str) -> Result<Request, Failure> {
    let read = quietly(|| {
        lambda_http::request::from_str(text)
            .inspect(|request| _ = request.query_string_parameters().iter().count())
    });
    read.map_err(|()| Failure::Panicked)?.map_err(|_| Failure::Refused)
}

/// Catches a panic, without its message on standard error.
fn quietly<T>(run: impl FnOnce() -> T) -> Result<T, ()> {
    thread_local!(static IS_QUIET: Cell<bool> = const { Cell::new(false) });
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let loud = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if !IS_QUIET.get() {
                loud(info);
            }
        }));
    });
    IS_QUIET.set(true);
    let result = panic::catch_unwind(AssertUnwindSafe(run));
    IS_QUIET.set(false);
    result.map_err(|_| ())
}

/// The identities that `lambda_http` hands over: payload 2.0's, payload 1.0's.
fn identities(request: &Request) -> [Option<Identity>; 2] {
    let of_iam = |iam: &ApiGatewayRequestAuthorizerIamDescription| Identity {
        arn: iam.user_arn.clone(),
        access_key: iam.access_key.clone(),
        org: iam.principal_org_id.clone(),
        user_id: iam.user_id.clone(),
    };
    let text = |value: &Value, name: &str| Some(value.get(name)?.as_str()?.to_owned());
    let of_json = |value: &Value| Identity {
        arn: text(value, "userArn"),
        access_key: text(value, "accessKey"),
        org: text(value, "principalOrgId"),
        user_id: text(value, "userId").or_else(|| text(value, "user")),
    };
    match request.request_context_ref() {
        Some(RequestContext::ApiGatewayV2(context)) => {
            let iam = context.authorizer.as_ref().and_then(|authorizer| authorizer.iam.as_ref());
            [iam.map(of_iam), context.other.get("identity").map(of_json)]
        }
        Some(RequestContext::ApiGatewayV1(context)) => {
            let identity = &context.identity;
            let own = Identity {
                arn: identity.user_arn.clone(),
                access_key: identity.access_key.clone(),
                org: identity.other.get("principalOrgId").and_then(Value::as_str).map(String::from),
                user_id: identity.user.clone(),
            };
            [context.authorizer.fields.get("iam").map(of_json), Some(own)]
        }
        other => panic!("{other:?}"),
    }
}

/// The domain of the function or API.
fn domain_name(request: &Request) -> String {
    let name = match request.request_context_ref() {
        Some(RequestContext::ApiGatewayV2(context)) => context.domain_name.clone(),
        Some(RequestContext::ApiGatewayV1(context)) => context.domain_name.clone(),
        other => panic!("{other:?}"),
    };
    name.unwrap_or_default()
}

fn source_ip(request: &Request) -> Option<IpAddr> {
    let text = match request.request_context_ref()? {
        RequestContext::ApiGatewayV2(context) => context.http.source_ip.as_deref(),
        RequestContext::ApiGatewayV1(context) => context.identity.source_ip.as_deref(),
        other => panic!("{other:?}"),
    };
    text?.parse().ok().map(|ip: IpAddr| ip.to_canonical())
}
