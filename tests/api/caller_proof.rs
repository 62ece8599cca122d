//! The proof of identity that does not rest on the event.

use crate::support::{Answer, Api, CANARY, Call, Dynamo};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

const ALICE: &str = "arn:aws:sts::123456789012:assumed-role/AWSReservedSSO_Developer_0123456789abcdef/alice@example.com";
const ALICES_ID: &str = "AROACKCEVSQ6C2EXAMPLE:alice@example.com";
const URL_HOST: &str = "urlid123.lambda-url.eu-central-1.on.aws";

fn proof(audience: &str) -> Value {
    let scope = "ASIAIOSFODNN7EXAMPLE/20260304/eu-central-1/sts/aws4_request";
    let signed = "content-type;host;x-amz-date;x-amz-security-token;x-sentinel-audience";
    json!({
        "authorization":
            format!("AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders={signed}, Signature=CANARY"),
        "content-type": "application/x-www-form-urlencoded",
        "host": "sts.eu-central-1.amazonaws.com",
        "x-amz-date": "20260304T103000Z",
        "x-amz-security-token": "CANARY-callers-token",
        "x-sentinel-audience": audience,
    })
}

fn with(proof: &Value) -> Call {
    let header = URL_SAFE_NO_PAD.encode(proof.to_string());
    Call::get("/?profile=development").set("/headers/x-sentinel-caller-proof", header)
}

async fn api(mode: &str) -> Api {
    let api = Api::with(&[("SENTINEL_CALLER_PROOF", mode)]).await;
    api.sts.identify(ALICE, ALICES_ID).await;
    api
}

fn is_refused(answer: &Answer) -> bool {
    answer.outcome() == (403, "CALLER_PROOF_INVALID".to_owned())
}

#[tokio::test]
async fn sts_confirms_the_caller_with_the_callers_own_signature() {
    let api = api("required").await;
    let answer = api.send(with(&proof(URL_HOST))).await;
    assert_eq!((answer.status(), &answer.audit["caller_proof"]), (200, &json!("verified")));
    let [asked] = &api.sts.identity_requests().await[..] else { panic!("one request") };
    assert!(asked["authorization"].ends_with("Signature=CANARY"), "{asked:?}");
    assert_eq!(asked["host"], "sts.eu-central-1.amazonaws.com");
    assert_eq!(asked["x-amz-security-token"], "CANARY-callers-token");
    assert_eq!(asked["x-amz-date"], "20260304T103000Z");
    assert!(!format!("{asked:?}").contains("CANARY-own"), "the function's own token stays here");
    let amz: Vec<&String> = asked.keys().filter(|name| name.starts_with("x-amz-")).collect();
    assert_eq!(amz, ["x-amz-date", "x-amz-security-token"], "and so do its unsigned headers");
    assert!(!answer.audit.to_string().contains(CANARY));
}

#[tokio::test]
async fn a_proof_is_optional_by_default_and_ignored_if_off() {
    let plain = || Call::get("/?profile=development");
    let accepted = Api::start().await;
    assert_eq!(accepted.send(plain()).await.audit["caller_proof"], Value::Null);
    assert!(is_refused(&accepted.send(with(&json!({}))).await), "a wrong proof is no proof");
    let off = api("off").await;
    let ignored = off.send(with(&proof(URL_HOST))).await;
    assert_eq!((ignored.status(), &ignored.audit["caller_proof"]), (200, &Value::Null));
    assert!(off.sts.identity_requests().await.is_empty());
}

/// THREAT: whoever may invoke the function directly writes somebody else's identity into the event.
/// PREVENTION: where a proof is required, STS names the caller, and the event must agree.
#[tokio::test]
async fn security_a_forged_event_is_refused() {
    let api = api("required").await;
    assert!(is_refused(&api.send(Call::get("/?profile=development")).await), "no proof");
    let bob = "arn:aws:iam::123456789012:user/bob";
    let forged = with(&proof(URL_HOST)).set("/requestContext/authorizer/iam/userArn", bob);
    assert!(is_refused(&api.send(forged).await), "alice's proof, bob's name");
    let id = "AROASOMEBODYELSE00000:alice@example.com";
    let reborn = with(&proof(URL_HOST)).set("/requestContext/authorizer/iam/userId", id);
    assert!(is_refused(&api.send(reborn).await), "another role of the same name");
    let assumed = api.sts.requests().await;
    assert!(assumed.iter().all(|request| request["Action"] != "AssumeRole"), "{assumed:?}");
}

/// THREAT: a proof that a caller made for another end point is replayed here, in an event that
/// names that other end point.
/// PREVENTION: the audience is signed, and the setting names this function's own.
#[tokio::test]
async fn security_a_proof_for_another_end_point_is_refused() {
    let other = "other.lambda-url.eu-central-1.on.aws";
    let by_event = api("required").await;
    assert!(is_refused(&by_event.send(with(&proof(other))).await));
    let forged = with(&proof(other)).set("/requestContext/domainName", other);
    let pinned =
        [("SENTINEL_CALLER_PROOF", "required"), ("SENTINEL_CALLER_PROOF_AUDIENCE", URL_HOST)];
    let pinned = Api::with(&pinned).await;
    pinned.sts.identify(ALICE, ALICES_ID).await;
    assert!(is_refused(&pinned.send(forged).await));
    assert_eq!(pinned.send(with(&proof(URL_HOST))).await.status(), 200);
    assert_eq!(pinned.sts.identity_requests().await.len(), 1, "a foreign proof is never sent");
}

#[tokio::test]
async fn security_a_proof_that_sts_does_not_confirm_is_no_proof() {
    let mut api = api("accepted").await;
    api.sts.refuse_identity(403, "SignatureDoesNotMatch").await;
    assert!(is_refused(&api.send(with(&proof(URL_HOST))).await));
    api.sts.refuse_identity(500, "InternalFailure").await;
    let down = api.send(with(&proof(URL_HOST))).await;
    assert_eq!(down.outcome(), (503, "SERVICE_UNAVAILABLE".to_owned()));
    api.wait(61);
    api.sts.identify(ALICE, ALICES_ID).await;
    assert!(is_refused(&api.send(with(&proof(URL_HOST))).await), "older than a minute");
}

/// THREAT: a flood of proofs makes the function flood STS.
/// PREVENTION: a refusal by the quota ends the check.
#[tokio::test]
async fn security_a_throttled_caller_reaches_no_sts() {
    let quota = [("SENTINEL_CALLER_PROOF", "required"), ("SENTINEL_RATE_LIMIT_REQUESTS", "1")];
    let api = Api::with(&quota).await;
    api.sts.identify(ALICE, ALICES_ID).await;
    assert_eq!(api.send(with(&proof(URL_HOST))).await.status(), 200);
    for _ in 0..5 {
        assert_eq!(api.send(with(&proof(URL_HOST))).await.status(), 429);
    }
    assert_eq!(api.sts.identity_requests().await.len(), 1);
}

/// THREAT: with a shared table, a bad proof is found out before the quota is charged, and the result
/// gets lost on the way.
/// PREVENTION: the proof decides whichever of the two ends first.
#[tokio::test]
async fn security_a_bad_proof_is_refused_before_and_after_the_quota() {
    let dynamo = Dynamo::start().await;
    let api = Api::with_table(&dynamo, &[("SENTINEL_CALLER_PROOF", "required")]).await;
    api.sts.identify(ALICE, ALICES_ID).await;
    let foreign = with(&proof("other.lambda-url.eu-central-1.on.aws"));
    for bad in [Call::get("/?profile=development"), with(&json!({})), foreign] {
        assert!(is_refused(&api.send(bad).await));
    }
    assert_eq!(api.send(with(&proof(URL_HOST))).await.status(), 200);
    let assumed = api.sts.requests().await;
    let vended = assumed.iter().filter(|request| request["Action"] == "AssumeRole");
    assert_eq!(vended.count(), 1);
}

/// THREAT: the function's own session token, or a header of its own, travels with the proof of a
/// caller who has none.
/// PREVENTION: the request carries exactly the headers of the proof.
#[tokio::test]
async fn security_the_functions_own_headers_stay_here() {
    let user = "arn:aws:iam::123456789012:user/engineering/alice";
    let api = Api::with(&[("SENTINEL_CALLER_PROOF", "required")]).await;
    api.sts.identify(user, "AIDACKCEVSQ6C2EXAMPLE").await;
    let mut proof = proof(URL_HOST);
    proof.as_object_mut().unwrap().remove("x-amz-security-token");
    let signed = "SignedHeaders=content-type;host;x-amz-date;x-sentinel-audience";
    let scope = "Credential=AKIAIOSFODNN7EXAMPLE/20260304/eu-central-1/sts/aws4_request";
    proof["authorization"] = format!("AWS4-HMAC-SHA256 {scope}, {signed}, Signature=00").into();
    let header = URL_SAFE_NO_PAD.encode(proof.to_string());
    let call = Call::event("function-url-user").target("GET", "/?profile=development");
    let answer = api.send(call.set("/headers/x-sentinel-caller-proof", header)).await;
    assert_eq!(answer.status(), 200, "{}", answer.audit);
    let [asked] = &api.sts.identity_requests().await[..] else { panic!("one request") };
    let names: Vec<&String> = asked.keys().collect();
    let of_the_proof = ["authorization", "content-length", "content-type", "host", "x-amz-date"];
    assert_eq!(names, [&of_the_proof[..], &["x-sentinel-audience"]].concat());
}
