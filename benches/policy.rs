//! What 1 000 policies and 1 000 profiles cost a request, beside a whole warm request of the same
//! function.
//!
//! Everything is on: the rate-limit table, the policy, the audit line, STS. The services answer at
//! once, inside this process, so a request takes this function's own time only. What the thousand
//! cost is the difference between a decision among them and one with a single policy and profile;
//! the rest of a decision is the same for both: telling Cedar who asks, and making the grant.
//!
//! `make bench` runs it. Times differ between machines and moments; the ratios are what to look at.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a program for the terminal")]

mod pair;

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_smithy_http_client::test_util::infallible_client_fn;
use pair::pair;
use sentinel_tvm::{
    App, BundleFiles, BundleOptions, Caller, Config, Event, Invocation, NamedSessionRoles, Policy,
    PolicyStore, ProfileName, RequestId, Services, SessionDuration, VendRequest,
};
use serde_json::json;
use std::fmt::Write;
use std::sync::Arc;
use time::UtcDateTime;
use tokio::runtime::Runtime;

const MANY: usize = 1_000;
const TIMES: u32 = 500;
const FUNCTION: &str = "arn:aws:lambda:eu-central-1:123456789012:function:sentinel-tvm";
const REQUEST_ID: &str = "0a1b2c3d-4e5f-6789-abcd-ef0123456789";

fn main() {
    let runtime = Runtime::new().unwrap();
    let (many, one) = (bundle(0..MANY), bundle(500..501));
    let app = runtime.block_on(app(&many));
    let mut now = now();
    let whole = || {
        now += time::Duration::milliseconds(1);
        let invocation = Invocation::new(REQUEST_ID, now, u64::MAX, FUNCTION);
        let response = runtime.block_on(app.handle(&event(), invocation));
        assert_eq!(response.status_code, 200);
    };
    let (among_many, among_one) = pair(
        "policies and profiles",
        TIMES,
        ("a decision among 1 000", decision(&many)),
        ("a decision with 1", decision(&one)),
    );
    let (_, request) = pair(
        "a whole request",
        TIMES,
        ("a decision among 1 000", decision(&many)),
        ("a warm request, services at once", whole),
    );
    println!(
        "what 1 000 policies and 1 000 profiles cost, of a warm request: {:.3}",
        (among_many - among_one) / request
    );
}

fn decision(text: &BundleFiles) -> impl FnMut() {
    let policy = load(text);
    let named = NamedSessionRoles::default();
    let caller =
        Caller::from_event(&Event::read(&event()), named.of_function_in(Some("123456789012")))
            .unwrap();
    let profile = ProfileName::try_from("profile-500".to_owned()).unwrap();
    let request = VendRequest::of(profile);
    move || {
        let (decision, _) =
            policy.decide(&caller, &request, None, &RequestId::new(REQUEST_ID), now());
        assert!(decision.into_grant().is_ok());
    }
}

fn load(text: &BundleFiles) -> Policy {
    let options = BundleOptions {
        default_duration: SessionDuration::MIN,
        named_session_roles: NamedSessionRoles::default(),
    };
    Policy::load(text, &options).unwrap()
}

/// Profiles in a hundred groups, a permit for each of them or its group, and for each hundred a
/// forbid about all of them.
fn bundle(numbers: std::ops::Range<usize>) -> BundleFiles {
    let (mut profiles, mut rules) = (String::new(), String::new());
    for n in numbers.clone() {
        let role = format!("arn:aws:iam::123456789012:role/vended-{n}");
        writeln!(
            profiles,
            "[profile-{n}]\nrole_arn = \"{role}\"\ngroups = [\"group-{}\"]",
            n % 100
        )
        .unwrap();
    }
    for n in numbers {
        let resource = match n {
            ..100 => format!("resource in Sentinel::ProfileGroup::\"group-{n}\""),
            _ => format!("resource == Sentinel::Profile::\"profile-{n}\""),
        };
        let role = format!(
            "arn:aws:sts::123456789012:assumed-role/AWSReservedSSO_Team{}_0123456789abcdef/*",
            n % 50
        );
        let policy = match n % 100 {
            99 => format!(
                "forbid (principal, action, resource) when {{ principal.name == \"gone-{n}\" }};"
            ),
            _ => format!(
                "permit (principal, action, {resource}) when {{ principal.arn like {role:?} }};"
            ),
        };
        writeln!(rules, "@id(\"rule-{n}\") {policy}").unwrap();
    }
    let parameters = [("profiles", profiles), ("policies/access", rules)];
    BundleFiles::from_parameters(parameters.map(|(name, text)| (name.to_owned(), text))).unwrap()
}

fn event() -> String {
    let arn = "arn:aws:sts::123456789012:assumed-role/AWSReservedSSO_Team0_0123456789abcdef/ann@example.com";
    json!({
        "version": "2.0",
        "rawPath": "/v1/credentials",
        "rawQueryString": "profile=profile-500",
        "requestContext": {
            "authorizer": { "iam": { "userArn": arn, "accessKey": "ASIAIOSFODNN7EXAMPLE" } },
            "http": { "method": "GET", "path": "/v1/credentials", "sourceIp": "198.51.100.7", "userAgent": "bench" },
        },
    })
    .to_string()
}

/// The function with this bundle.
async fn app(text: &BundleFiles) -> App {
    let settings = [
        ("SENTINEL_POLICY_DIR", concat!(env!("CARGO_MANIFEST_DIR"), "/policy")),
        ("SENTINEL_RATE_LIMIT_TABLE", "limits"),
        ("SENTINEL_RATE_LIMIT_REQUESTS", "1000000"),
        ("SENTINEL_RATE_LIMIT_WINDOW", "1"),
        ("AWS_LAMBDA_RUNTIME_API", "127.0.0.1:1"),
    ];
    let config =
        Config::from_variables(settings.map(|(name, value)| (name.to_owned(), value.to_owned())))
            .unwrap();
    let starter = Services::open(&config, &services_at_once().await, now()).await.unwrap();
    let services =
        Services { policies: PolicyStore::fixed(Arc::new(load(text)), now()), ..starter };
    App::new(
        config,
        services,
        Box::new(|line| {
            std::hint::black_box(line);
            Ok(())
        }),
    )
}

/// A DynamoDB that admits everything and an STS that issues, both without a network.
async fn services_at_once() -> SdkConfig {
    let issued = "<AssumeRoleResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><AssumeRoleResult><Credentials>\
        <AccessKeyId>ASIAIOSFODNN7EXAMPLE</AccessKeyId><SecretAccessKey>secret</SecretAccessKey><SessionToken>token</SessionToken>\
        <Expiration>2026-03-04T10:45:00Z</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>";
    let answer = move |request: http::Request<_>| {
        let to_dynamodb = request.headers().contains_key("x-amz-target");
        let attributes = "{\"Attributes\":{\"TAT\":{\"N\":\"0\"}}}";
        http::Response::new(if to_dynamodb { attributes } else { issued })
    };
    aws_config::defaults(BehaviorVersion::latest())
        .region(Region::new("eu-central-1"))
        .credentials_provider(Credentials::new("AKID", "secret", None, None, "bench"))
        .http_client(infallible_client_fn(answer))
        .load()
        .await
}

fn now() -> UtcDateTime {
    UtcDateTime::from_unix_timestamp(1_772_620_200).unwrap()
}
