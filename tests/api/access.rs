//! Requests for access: who may make, see and decide them, and what an approval is good for; part of
//! `cargo test security`.

use crate::support::{Answer, Api, Call, Dynamo};
use futures_util::future::join_all;
use serde_json::{Value, json};

const GRANTS: &str = Dynamo::GRANTS;

const PEOPLE: &str =
    "arn:aws:sts::123456789012:assumed-role/AWSReservedSSO_Developer_0123456789abcdef";

pub(crate) fn person(name: &str) -> String {
    format!("{PEOPLE}/{name}@example.com")
}

pub(crate) fn alice() -> String {
    person("alice")
}

pub(crate) fn operator() -> String {
    person("op-olga")
}

pub(crate) async fn api(dynamo: &Dynamo) -> Api {
    let bundle = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/api/access_bundle");
    let variables = [("SENTINEL_GRANTS_TABLE", GRANTS), ("SENTINEL_POLICY_DIR", bundle)];
    Api::with_table(dynamo, &variables).await
}

pub(crate) fn send(by: &str, method: &str, target: &str) -> Call {
    Call::by(by).target(method, target)
}

pub(crate) fn ask(by: &str, body: &Value) -> Call {
    send(by, "POST", "/v1/requests").set("/body", body.to_string())
}

pub(crate) fn for_production() -> Value {
    json!({ "profile": "production", "reason": "an outage", "ticket": "OPS-4711", "duration": 1800 })
}

pub(crate) fn change(by: &str, id: &str, what: &str) -> Call {
    send(by, "POST", &format!("/v1/requests/{id}/{what}"))
}

pub(crate) fn vend(by: &str, profile: &str) -> Call {
    send(by, "GET", &format!("/v1/credentials?profile={profile}"))
}

pub(crate) async fn asked(api: &Api, by: &str, body: &Value) -> String {
    let answer = api.send(ask(by, body)).await;
    assert_eq!(answer.status(), 200, "{}", answer.audit);
    answer.body()["id"].as_str().unwrap().to_owned()
}

pub(crate) async fn listed(api: &Api, by: &str) -> Vec<Value> {
    let answer = api.send(send(by, "GET", "/v1/requests")).await;
    assert_eq!(answer.status(), 200, "{}", answer.audit);
    answer.body()["requests"].as_array().unwrap().clone()
}

pub(crate) fn code(answer: &Answer) -> String {
    answer.body()["Code"].as_str().unwrap_or("OK").to_owned()
}

#[tokio::test]
async fn a_request_an_approval_and_a_session_that_is_no_longer_than_approved() {
    let dynamo = Dynamo::start().await;
    let mut api = api(&dynamo).await;
    assert_eq!(code(&api.send(vend(&alice(), "production")).await), "POLICY_DENY");

    let request = api.send(ask(&alice(), &for_production())).await;
    let id = request.body()["id"].as_str().unwrap().to_owned();
    assert_eq!(
        request.body(),
        json!({
            "id": id, "profile": "production", "state": "pending", "requester": alice(), "reason": "an outage",
            "ticket": "OPS-4711", "duration": 1800, "created_at": "2026-03-04T10:30:00Z",
            "expires_at": "2026-03-05T10:30:00Z", "may": ["withdraw"],
        })
    );
    assert_eq!(request.audit["access"]["action"], "request");
    assert_eq!(code(&api.send(vend(&alice(), "production")).await), "POLICY_DENY", "not yet");

    let [seen] = &listed(&api, &operator()).await[..] else { panic!("one request") };
    assert_eq!((&seen["id"], &seen["may"]), (&json!(id), &json!(["approve", "deny"])));
    api.wait(3_600);
    let approved = api.send(change(&operator(), &id, "approve")).await;
    assert_eq!(approved.body()["state"], "approved");
    assert_eq!(approved.body()["decided_by"], operator());
    assert_eq!(approved.body()["expires_at"], "2026-03-04T19:30:00Z", "the claim window");
    assert_eq!(approved.audit["rules"], json!(["operators-approve"]));
    assert_eq!(approved.audit["access"]["requester"], alice());

    let vended = api.send(vend(&alice(), "production&duration=3600")).await;
    assert_eq!(vended.status(), 200, "{}", vended.audit);
    assert_eq!(vended.header("X-Sentinel-Granted-Seconds"), Some("1800"));
    assert_eq!(vended.header("X-Sentinel-Clamped-By"), Some("approval"));
    assert_eq!(vended.audit["rules"], json!(["approved-production"]));
    assert_eq!(
        vended.audit["approval"],
        json!({ "id": id, "by": operator(), "reason": "an outage", "ticket": "OPS-4711", "approved_at": "2026-03-04T11:30:00Z" })
    );
}

/// A vend that no approval concerns makes not one more call, and one that an approval concerns makes
/// exactly one.
#[tokio::test]
async fn only_profiles_whose_policies_mention_an_approval_cost_a_read() {
    let dynamo = Dynamo::start().await;
    let api = api(&dynamo).await;
    let calls = || -> Vec<String> {
        dynamo.requests().into_iter().map(|(operation, _)| operation).collect()
    };
    calls();
    assert_eq!(api.send(vend(&alice(), "development")).await.status(), 200);
    assert_eq!(calls(), ["UpdateItem"], "the limiter's write alone");
    assert_eq!(api.send(vend(&alice(), "secret")).await.status(), 403);
    assert_eq!(api.send(vend(&alice(), "no-such-profile")).await.status(), 403);
    assert_eq!(calls(), ["UpdateItem", "UpdateItem"]);
    assert_eq!(api.send(vend(&alice(), "production")).await.status(), 403);
    assert_eq!(calls(), ["UpdateItem", "GetItem"]);
}

#[tokio::test]
async fn without_a_grants_table_there_are_no_such_paths() {
    let api = Api::start().await;
    for (method, path) in [
        ("GET", "/v1/requests"),
        ("POST", "/v1/requests"),
        ("PUT", "/v1/requests"),
        ("POST", "/v1/requests/0123456789abcdef-01234567/approve"),
    ] {
        assert_eq!(code(&api.send(Call::get("/").target(method, path)).await), "NOT_FOUND");
    }
}

#[tokio::test]
async fn a_request_needs_a_profile_that_an_approval_would_open() {
    let dynamo = Dynamo::start().await;
    let api = api(&dynamo).await;
    for (profile, expected) in [
        ("production", "OK"),
        ("vault", "OK"),
        ("development", "APPROVAL_NOT_NEEDED"),
        ("secret", "POLICY_DENY"),
        ("no-such-profile", "POLICY_DENY"),
    ] {
        let answer = api.send(ask(&alice(), &json!({ "profile": profile, "reason": "x" }))).await;
        assert_eq!(code(&answer), expected, "{profile}");
    }
    let words = async |profile: &str| {
        let body = json!({ "profile": profile, "reason": "x" });
        api.send(ask(&alice(), &body)).await.body()["Message"].clone()
    };
    assert_eq!(words("secret").await, words("no-such-profile").await, "existence is not told");
}

#[tokio::test]
async fn a_dry_run_says_that_an_approval_would_help() {
    let dynamo = Dynamo::start().await;
    let api = api(&dynamo).await;
    for (profile, missing) in [
        ("production", json!(["approval"])),
        ("vault", json!(["device", "approval"])),
        ("ticketed", json!(["approval"])),
        ("secret", json!([])),
    ] {
        let target = format!("/v1/explain?profile={profile}");
        assert_eq!(api.send(send(&alice(), "GET", &target)).await.body()["missing"], missing);
    }
    let without = Api::with(&[(
        "SENTINEL_POLICY_DIR",
        concat!(env!("CARGO_MANIFEST_DIR"), "/tests/api/access_bundle"),
    )])
    .await;
    let explained = without.send(send(&alice(), "GET", "/v1/explain?profile=production")).await;
    assert_eq!(explained.body()["missing"], json!([]), "nobody could approve");
}

#[tokio::test]
async fn one_request_at_a_time_and_a_new_one_after_the_last_is_over() {
    let dynamo = Dynamo::start().await;
    let mut api = api(&dynamo).await;
    let first = asked(&api, &alice(), &for_production()).await;
    assert_eq!(asked(&api, &alice(), &for_production()).await, first, "a retry of the invocation");
    api.request_id.replace_range(..8, "00000000");
    assert_eq!(code(&api.send(ask(&alice(), &for_production())).await), "REQUEST_EXISTS");
    asked(&api, &person("bob"), &for_production()).await;
    assert_eq!(api.send(change(&alice(), &first, "withdraw")).await.status(), 200);
    api.request_id.replace_range(..8, "11111111");
    let second =
        asked(&api, &alice(), &json!({ "profile": "production", "reason": "again" })).await;
    assert_ne!(first, second);
    assert_eq!(code(&api.send(change(&operator(), &first, "approve")).await), "NOT_FOUND");
    api.wait(86_400);
    api.request_id.replace_range(..8, "22222222");
    let third = asked(&api, &alice(), &for_production()).await;
    assert_eq!(api.send(change(&operator(), &third, "approve")).await.status(), 200);
    assert_eq!(code(&api.send(ask(&alice(), &for_production())).await), "REQUEST_EXISTS");
    api.wait(8 * 3_600);
    asked(&api, &alice(), &for_production()).await;
}

/// THREAT: a requester approves alone: by another session name, in another case, with another
/// permission set, or through a role.
/// PREVENTION: the code, not the policy, refuses everybody who could be the requester, and every
/// caller who is not identified as a person.
#[tokio::test]
async fn security_nobody_approves_their_own_request() {
    let dynamo = Dynamo::start().await;
    let api = api(&dynamo).await;
    let id = asked(&api, &person("op-alice"), &for_production()).await;
    let sso = "arn:aws:sts::123456789012:assumed-role/AWSReservedSSO";
    for (approver, expected) in [
        (person("op-alice"), "OWN_REQUEST"),
        (format!("{sso}_Operator_0123456789abcdef/op-alice@example.com"), "OWN_REQUEST"),
        (format!("{sso}_Operator_0123456789abcdef/op-Alice@EXAMPLE.com"), "OWN_REQUEST"),
        (
            "arn:aws:sts::123456789012:assumed-role/approver/op-olga@example.com".to_owned(),
            "PERSON_REQUIRED",
        ),
        ("arn:aws:iam::123456789012:root".to_owned(), "NOT_FOUND"),
        (person("bob"), "NOT_FOUND"),
    ] {
        for what in ["approve", "deny"] {
            let answer = api.send(change(&approver, &id, what)).await;
            assert_eq!(code(&answer), expected, "{approver} {what}");
        }
    }
    assert_eq!(code(&api.send(vend(&person("op-alice"), "production")).await), "POLICY_DENY");
    assert_eq!(api.send(change(&operator(), &id, "approve")).await.status(), 200);
}

/// THREAT: a person assumes a role, requests as the role, and approves as a person.
/// PREVENTION: only people request.
#[tokio::test]
async fn security_roles_request_nothing() {
    let dynamo = Dynamo::start().await;
    let api = api(&dynamo).await;
    for arn in [
        "arn:aws:sts::123456789012:assumed-role/ci/job-7",
        "arn:aws:iam::123456789012:root",
        "arn:aws:sts::123456789012:federated-user/alice",
    ] {
        assert_eq!(code(&api.send(ask(arn, &for_production())).await), "PERSON_REQUIRED", "{arn}");
    }
}

/// THREAT: a bundle that once permitted somebody everything now lets them approve.
/// PREVENTION: a permit counts for approvals only if its scope names the action.
#[tokio::test]
async fn security_a_permit_for_any_action_approves_nothing() {
    let dynamo = Dynamo::start().await;
    let api = api(&dynamo).await;
    let root = "arn:aws:iam::123456789012:root";
    let id = asked(&api, &alice(), &for_production()).await;
    assert_eq!(api.send(vend(root, "secret")).await.status(), 200, "it permits credentials");
    assert_eq!(code(&api.send(change(root, &id, "approve")).await), "NOT_FOUND");
    assert!(listed(&api, root).await.is_empty());
}

/// THREAT: an approval is replayed: for another profile, by another principal, or after its end.
/// PREVENTION: the item names both; what is read is compared, and the time too.
#[tokio::test]
async fn security_an_approval_cannot_be_replayed() {
    let dynamo = Dynamo::start().await;
    let mut api = api(&dynamo).await;
    let id = asked(&api, &alice(), &for_production()).await;
    assert_eq!(api.send(change(&operator(), &id, "approve")).await.status(), 200);
    assert_eq!(api.send(vend(&alice(), "production")).await.status(), 200);
    assert_eq!(code(&api.send(vend(&person("bob"), "production")).await), "POLICY_DENY");
    assert_eq!(code(&api.send(vend(&alice(), "vault")).await), "POLICY_DENY");
    let elsewhere = alice().replace("_Developer_", "_Operator_");
    assert_eq!(code(&api.send(vend(&elsewhere, "production")).await), "POLICY_DENY");
    assert_eq!(code(&api.send(change(&operator(), &id, "approve")).await), "REQUEST_CLOSED");
    api.wait(8 * 3_600 - 1);
    assert_eq!(api.send(vend(&alice(), "production")).await.status(), 200);
    api.wait(1);
    assert_eq!(code(&api.send(vend(&alice(), "production")).await), "POLICY_DENY");
    let place = dynamo.items(GRANTS);
    assert_eq!(place.len(), 1);

    // Another caller's approval, moved to where that caller's would be.
    let mut stolen = place[0].clone();
    let bobs = api.send(ask(&person("bob"), &for_production())).await.body()["id"].clone();
    stolen["PK"]["S"] = bobs.as_str().unwrap().split('-').next().unwrap().into();
    stolen["ExpiresAt"]["N"] = "9999999999".into();
    dynamo.put(GRANTS, &stolen);
    assert_eq!(code(&api.send(vend(&person("bob"), "production")).await), "POLICY_DENY");
}

/// THREAT: a caller finds out what others request, and why, by listing or by trying ids.
/// PREVENTION: a request that one may neither own nor decide looks like one that does not exist.
#[tokio::test]
async fn security_other_peoples_requests_cannot_be_enumerated() {
    let dynamo = Dynamo::start().await;
    let api = api(&dynamo).await;
    let id = asked(&api, &alice(), &for_production()).await;
    let bob = person("bob");
    assert!(listed(&api, &bob).await.is_empty());
    assert_eq!(listed(&api, &alice()).await.len(), 1);
    let nothing = api.send(change(&bob, "0123456789abcdef-01234567", "approve")).await;
    for what in ["approve", "deny", "withdraw"] {
        for id in [id.as_str(), "x", "", &id.to_uppercase(), &format!("{id}0")] {
            let answer = api.send(change(&bob, id, what)).await;
            assert_eq!(answer.outcome(), nothing.outcome(), "{id} {what}");
            assert_eq!(answer.body(), nothing.body());
        }
    }
    assert_eq!(api.send(change(&operator(), &id, "withdraw")).await.outcome(), nothing.outcome());
}

#[tokio::test]
async fn the_reason_of_a_forbid_reaches_the_approver() {
    let dynamo = Dynamo::start().await;
    let api = api(&dynamo).await;
    let gift = json!({ "profile": "production", "reason": "a gift" });
    let id = asked(&api, &alice(), &gift).await;
    let answer = api.send(change(&operator(), &id, "approve")).await;
    assert_eq!(answer.outcome(), (403, "POLICY_DENY".to_owned()));
    assert_eq!(answer.body()["Message"], "A gift is no reason.");
    assert!(listed(&api, &operator()).await.is_empty());
}

/// THREAT: a reason with control characters forges a line of a log or a terminal, or shows an
/// approver another text than the one that was written.
/// PREVENTION: one line of visible characters; a ticket is a word.
#[tokio::test]
async fn security_reasons_and_tickets_are_what_they_look_like() {
    let dynamo = Dynamo::start().await;
    let api = api(&dynamo).await;
    for reason in [
        "",
        " ",
        "a\nb",
        "a\r\nb",
        "\u{1b}[2Jb",
        "\u{202e}b",
        "\u{200b}",
        "\u{3164}",
        &"x".repeat(257),
    ] {
        let answer =
            api.send(ask(&alice(), &json!({ "profile": "production", "reason": reason }))).await;
        assert_eq!(answer.outcome(), (400, "INVALID_REQUEST".to_owned()), "{reason:?}");
    }
    for body in [
        json!({ "profile": "production" }),
        json!({ "reason": "x" }),
        json!({ "profile": "production", "reason": "x", "ticket": "a b" }),
        json!({ "profile": "production", "reason": "x", "duration": 60 }),
        json!({ "profile": "production", "reason": "x", "role_arn": "arn:aws:iam::1:role/x" }),
        json!(["production", "x", null, null]),
    ] {
        assert_eq!(api.send(ask(&alice(), &body)).await.status(), 400, "{body}");
    }
    let id = "0123456789abcdef-01234567";
    let with_body = change(&operator(), id, "approve").set("/body", r#"{"by":"somebody"}"#);
    assert_eq!(api.send(with_body).await.status(), 400);
    assert!(dynamo.items(GRANTS).is_empty());
}

/// THREAT: ten approvers, as many who deny, and the requester decide at one moment, in several
/// instances.
/// PREVENTION: one conditional write each, and DynamoDB orders them: at most one approval, and at most
/// one end, after which nothing changes. With an end, no approval remains.
#[tokio::test]
async fn security_a_race_of_decisions_leaves_one_outcome() {
    let dynamo = Dynamo::start().await;
    let instances = instances(&dynamo, 21).await;
    for round in 0..5 {
        let requester = person(&format!("r{round}"));
        let id = asked(&instances[0], &requester, &for_production()).await;
        let racing = instances.iter().enumerate().map(|(turn, api)| {
            let approver = person(&format!("op-{turn}"));
            api.send(match turn {
                20 => change(&requester, &id, "withdraw"),
                _ if turn % 2 == 0 => change(&approver, &id, "approve"),
                _ => change(&approver, &id, "deny"),
            })
        });
        let answers = join_all(racing).await;
        let won = answers.iter().filter(|answer| answer.status() == 200);
        let states: Vec<_> = won.map(|answer| answer.body()["state"].clone()).collect();
        let (approvals, ends): (Vec<_>, Vec<_>) =
            states.iter().partition(|state| **state == "approved");
        assert!(approvals.len() <= 1, "{states:?}");
        assert_eq!(ends.len(), 1, "{:?}", answers.iter().map(code).collect::<Vec<_>>());
        let refused = answers.iter().filter(|answer| code(answer) == "REQUEST_CLOSED");
        assert_eq!(refused.count(), 21 - states.len());
        let items = dynamo.items(GRANTS);
        let item = items.iter().find(|item| item["Id"]["S"] == id).unwrap();
        assert_eq!(item["State"]["S"], *ends[0], "the table has that outcome");
        assert_eq!(code(&instances[0].send(vend(&requester, "production")).await), "POLICY_DENY");
    }
}

#[tokio::test]
async fn security_a_race_of_requests_makes_one() {
    let dynamo = Dynamo::start().await;
    let mut instances = instances(&dynamo, 10).await;
    for (turn, api) in instances.iter_mut().enumerate() {
        api.request_id.replace_range(..8, &format!("{turn:08x}"));
    }
    let racing = instances.iter().map(|api| api.send(ask(&alice(), &for_production())));
    let codes: Vec<_> = join_all(racing).await.iter().map(code).collect();
    assert_eq!(codes.iter().filter(|code| *code == "OK").count(), 1, "{codes:?}");
    assert_eq!(codes.iter().filter(|code| *code == "REQUEST_EXISTS").count(), 9);
    assert_eq!(dynamo.items(GRANTS).len(), 1);
}

/// As many instances of the function, on the same tables.
pub(crate) async fn instances(dynamo: &Dynamo, count: usize) -> Vec<Api> {
    join_all((0..count).map(|_| api(dynamo))).await
}

/// THREAT: the grants table fails, or holds nonsense, and a decision treats that as an approval.
/// PREVENTION: without an answer that reads as a request, 503.
#[tokio::test]
async fn security_without_the_table_nothing_is_approved() {
    let dynamo = Dynamo::start().await;
    let api = api(&dynamo).await;
    let id = asked(&api, &alice(), &for_production()).await;
    assert_eq!(api.send(change(&operator(), &id, "approve")).await.status(), 200);
    let approved = dynamo.items(GRANTS).remove(0);
    for (name, value) in [
        ("State", json!({ "S": "APPROVED" })),
        ("ExpiresAt", json!({ "S": "9999999999" })),
        ("DecidedAt", json!({ "N": "-1" })),
        ("Requester", json!({ "S": alice() })),
        ("Reason", json!({ "S": "a\nb" })),
    ] {
        let mut broken = approved.clone();
        broken[name] = value;
        dynamo.put(GRANTS, &broken);
        let answer = api.send(vend(&alice(), "production")).await;
        assert_eq!(answer.outcome(), (503, "SERVICE_UNAVAILABLE".to_owned()), "{name}");
    }
    dynamo.put(GRANTS, &approved);
    assert_eq!(api.send(vend(&alice(), "production")).await.status(), 200);
    for (status, error) in [(500, "InternalServerError"), (400, "AccessDeniedException")] {
        dynamo.fail_operation("GetItem", status, error);
        let answer = api.send(vend(&alice(), "production")).await;
        assert_eq!(answer.outcome(), (503, "SERVICE_UNAVAILABLE".to_owned()));
        assert!(!answer.response.body.contains("CANARY"));
        assert_eq!(api.send(vend(&alice(), "development")).await.status(), 200, "others go on");
    }
}
