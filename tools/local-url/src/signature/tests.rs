//! The signatures were made by botocore and curl, so the verification is held to another
//! implementation than its own.

use hyper::Request;

use super::*;

const REGION: &str = "us-east-1";
const ALICE: &str = "AWS4-HMAC-SHA256 Credential=ASIALICE/20260101/us-east-1/lambda/aws4_request, \
    SignedHeaders=host;x-amz-date;x-amz-security-token, \
    Signature=4d00d8301a9f40ec2e8ad04276f16b222faff55a47b5d038defc46cfe94b6b74";
const BOB_POST: &str = "AWS4-HMAC-SHA256 Credential=AKIABOB/20260101/us-east-1/lambda/aws4_request, \
    SignedHeaders=content-type;host;x-amz-date, \
    Signature=87d342f938fff59ce72eeb7efc9da0cb3c3be7d1fee958d1bec39eb323173879";
const BOB_ODD_TARGET: &str = "AWS4-HMAC-SHA256 Credential=AKIABOB/20260101/us-east-1/lambda/aws4_request, \
    SignedHeaders=host;x-amz-date, \
    Signature=915a4818577ead336ada9f4b58f4b13a2be80bcdc5c3c6bc4c18a045400aa94f";
const CURL_UNSORTED: &str = "AWS4-HMAC-SHA256 Credential=AKIABOB/20260101/us-east-1/lambda/aws4_request, \
    SignedHeaders=host;x-amz-date, \
    Signature=ffb1bde714f1ca891d04ff423d95fea8d49a7b75a69d1d698f65b060be114de2";
const CURL_SORTED: &str = "AWS4-HMAC-SHA256 Credential=AKIABOB/20260101/us-east-1/lambda/aws4_request, \
    SignedHeaders=host;x-amz-date, \
    Signature=f770ab49b2939adf98b105e80aa510ec0571e2fa29e969883b2011237eb2627b";

fn signer(id: &str, secret: &str, token: Option<&str>) -> Signer {
    Signer {
        access_key_id: id.to_owned(),
        secret_access_key: secret.to_owned(),
        session_token: token.map(str::to_owned),
        user_arn: "arn:aws:iam::123456789012:user/someone".to_owned(),
        account_id: "123456789012".to_owned(),
        user_id: "AIDASOMEONE".to_owned(),
        principal_org_id: None,
    }
}

fn keys() -> Keys {
    Keys::from(vec![
        signer("ASIALICE", "alice-secret", Some("alice-token")),
        signer("AKIABOB", "bob-secret", None),
    ])
}

fn request(method: &str, target: &str, authorization: &str) -> Parts {
    let request = Request::builder()
        .method(method)
        .uri(target)
        .header("host", "127.0.0.1:9010")
        .header("x-amz-date", "20260101T000000Z")
        .header("authorization", authorization);
    request.body(()).unwrap().into_parts().0
}

fn alice() -> Parts {
    let target = "/v1/credentials?profile=development&duration=900";
    let mut request = request("GET", target, ALICE);
    set(&mut request, TOKEN, "alice-token");
    request
}

fn bob_post() -> Parts {
    let mut request = request("POST", "/v1/credentials", BOB_POST);
    set(&mut request, "content-type", "application/json");
    request
}

fn set(request: &mut Parts, name: &'static str, value: &str) {
    request.headers.insert(name, value.parse().unwrap());
}

fn after(seconds: u64) -> SystemTime {
    let signed_at = OffsetDateTime::from_unix_timestamp(1_767_225_600).unwrap();
    SystemTime::from(signed_at) + Duration::from_secs(seconds)
}

fn check(request: &Parts, body: &[u8]) -> Result<String, Refusal> {
    verify(request, body, &keys(), REGION, after(0)).map(|signer| signer.access_key_id.clone())
}

#[test]
fn a_request_signed_by_botocore_verifies() {
    assert_eq!(check(&alice(), b""), Ok("ASIALICE".to_owned()));
    assert_eq!(check(&bob_post(), br#"{"profile":"development"}"#), Ok("AKIABOB".to_owned()));
    let odd = request("GET", "/a%20b/~c?b=2&a=%2F%20x&a=1&empty=", BOB_ODD_TARGET);
    assert_eq!(check(&odd, b""), Ok("AKIABOB".to_owned()));
}

#[test]
fn a_request_changed_after_signing_is_refused() {
    let mut path = alice();
    path.uri = "/v1/profiles".parse().unwrap();
    assert_eq!(check(&path, b""), Err(Refusal::WrongSignature));

    let mut query = alice();
    query.uri = "/v1/credentials?profile=production&duration=900".parse().unwrap();
    assert_eq!(check(&query, b""), Err(Refusal::UnsortedQuery));

    let mut method = alice();
    method.method = hyper::Method::DELETE;
    assert_eq!(check(&method, b""), Err(Refusal::UnsortedQuery));

    let mut header = bob_post();
    set(&mut header, "content-type", "text/plain");
    assert_eq!(check(&header, br#"{"profile":"development"}"#), Err(Refusal::WrongSignature));

    assert_eq!(check(&bob_post(), br#"{"profile":"production"}"#), Err(Refusal::WrongSignature));
}

#[test]
fn a_request_without_a_usable_authorization_is_refused() {
    let mut unsigned = alice();
    unsigned.headers.remove(AUTHORIZATION);
    assert_eq!(check(&unsigned, b""), Err(Refusal::Unsigned));

    for nonsense in
        ["", "Bearer x", "AWS4-HMAC-SHA256 ", "AWS4-HMAC-SHA256 Credential=a/b, Signature=c"]
    {
        assert_eq!(
            check(&request("GET", "/", nonsense), b""),
            Err(Refusal::Unsigned),
            "{nonsense}"
        );
    }
    let other_service = request("GET", "/", &BOB_POST.replace("/lambda/", "/execute-api/"));
    assert_eq!(check(&other_service, b""), Err(Refusal::WrongService("execute-api".to_owned())));
}

#[test]
fn a_signature_for_another_region_is_refused() {
    let elsewhere = request("GET", "/", &BOB_ODD_TARGET.replace("/us-east-1/", "/eu-central-1/"));
    let refusal =
        Refusal::WrongRegion { signed: "eu-central-1".to_owned(), expected: REGION.to_owned() };
    assert_eq!(check(&elsewhere, b""), Err(refusal));
}

/// Signed by curl 7.88.1, with `--aws-sigv4 aws:amz:us-east-1:lambda`.
#[test]
fn a_client_that_signs_the_query_unsorted_is_named() {
    let sorted = request("GET", "/v1/credentials?duration=900&profile=development", CURL_SORTED);
    assert_eq!(check(&sorted, b""), Ok("AKIABOB".to_owned()));
    let unsorted =
        request("GET", "/v1/credentials?profile=development&duration=900", CURL_UNSORTED);
    assert_eq!(check(&unsorted, b""), Err(Refusal::UnsortedQuery));
}

#[test]
fn an_unknown_key_is_refused() {
    let stranger = request("GET", "/", &BOB_ODD_TARGET.replace("AKIABOB", "AKIAEVE"));
    assert_eq!(check(&stranger, b""), Err(Refusal::UnknownKey));
}

#[test]
fn a_temporary_key_needs_its_own_token_and_a_permanent_one_takes_none() {
    let mut missing = alice();
    missing.headers.remove(TOKEN);
    assert_eq!(check(&missing, b""), Err(Refusal::Uncovered(TOKEN)));

    let mut wrong = alice();
    set(&mut wrong, TOKEN, "alice-tokem");
    assert_eq!(check(&wrong, b""), Err(Refusal::WrongToken));

    let mut unasked = bob_post();
    set(&mut unasked, TOKEN, "alice-token");
    assert_eq!(check(&unasked, b""), Err(Refusal::WrongToken));
}

#[test]
fn host_date_and_token_must_be_signed() {
    for name in [HOST.as_str(), DATE, TOKEN] {
        let mut request = alice();
        set(&mut request, "authorization", &ALICE.replace(name, "accept"));
        assert_eq!(check(&request, b""), Err(Refusal::Uncovered(name)));
    }
}

#[test]
fn a_signature_holds_for_five_minutes_either_way() {
    let verified_at = |now| verify(&alice(), b"", &keys(), REGION, now).map(|_| ());
    assert_eq!(verified_at(after(300)), Ok(()));
    assert_eq!(verified_at(after(301)), Err(Refusal::Expired));
    assert_eq!(verified_at(after(0) - Duration::from_mins(5)), Ok(()));
    assert_eq!(verified_at(after(0) - Duration::from_secs(301)), Err(Refusal::Expired));
}

#[test]
fn a_date_that_is_malformed_or_of_another_day_is_refused() {
    for date in ["yesterday", "2026-01-01T00:00:00Z", "20260102T000000Z"] {
        let mut request = alice();
        set(&mut request, DATE, date);
        assert_eq!(check(&request, b""), Err(Refusal::BadDate), "{date}");
    }
}
