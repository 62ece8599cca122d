use super::*;
use serde_json::{Value, json};
use time::Duration;

const REGION: &str = "eu-central-1";
const HOST: &str = "sts.eu-central-1.amazonaws.com";
const AUDIENCE: &str = "urlid123.lambda-url.eu-central-1.on.aws";

/// Wednesday, 4 March 2026, 10:30 UTC.
fn now() -> UtcDateTime {
    UtcDateTime::from_unix_timestamp(1_772_620_200).unwrap()
}

fn authorization(scope: &str, signed: &str) -> String {
    format!("AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders={signed}, Signature=00")
}

fn proof() -> Value {
    let signed = "content-type;host;x-amz-date;x-amz-security-token;x-sentinel-audience";
    json!({
        "authorization": authorization("AKID/20260304/eu-central-1/sts/aws4_request", signed),
        "content-type": CONTENT_TYPE,
        "host": HOST,
        "x-amz-date": "20260304T103000Z",
        "x-amz-security-token": "token",
        "x-sentinel-audience": AUDIENCE,
    })
}

fn with(name: &str, value: impl Into<Value>) -> Value {
    let mut proof = proof();
    proof[name] = value.into();
    proof
}

fn check_at(proof: &Value, now: UtcDateTime) -> Result<(), MalformedProof> {
    let header = BASE64URL.encode(proof.to_string());
    Proof::read(&header)?.check(REGION, HOST, AUDIENCE, now)
}

#[test]
fn a_whole_proof_passes_for_a_minute() {
    for seconds in [-15, 0, 60] {
        assert_eq!(check_at(&proof(), now() + Duration::seconds(seconds)), Ok(()), "{seconds}");
    }
    for seconds in [-16, 61, 86_400] {
        let at = now() + Duration::seconds(seconds);
        assert_eq!(check_at(&proof(), at), Err(MalformedProof::Date), "{seconds}");
    }
    let upper = with("x-sentinel-audience", AUDIENCE.to_ascii_uppercase());
    assert_eq!(check_at(&upper, now()), Ok(()));
}

/// THREAT: a proof that a caller made for another end point, region or service is replayed here; or
/// a header that changes the request travels unsigned.
/// PREVENTION: host, scope and audience are this function's, and exactly the sent headers are signed.
#[test]
fn security_a_proof_for_something_else_is_refused() {
    use MalformedProof::{Audience, Authorization, Date, Encoding, Host};
    let scope = "AKID/20260304/eu-central-1/sts/aws4_request";
    let all = "content-type;host;x-amz-date;x-amz-security-token;x-sentinel-audience";
    for (proof, expected) in [
        (with("host", "sts.us-east-1.amazonaws.com"), Host),
        (with("host", "sts.amazonaws.com"), Host),
        (with("host", "sts.eu-central-1.amazonaws.com.example.com"), Host),
        (with("x-sentinel-audience", "other.lambda-url.eu-central-1.on.aws"), Audience),
        (with("x-sentinel-audience", ""), Audience),
        (with("x-amz-date", "yesterday"), Date),
        (with("authorization", "Bearer x"), Authorization),
        (with("authorization", authorization(scope, "host;x-amz-date")), Authorization),
        (with("authorization", authorization(scope, &format!("{all};range"))), Authorization),
        (with("content-type", "text/plain"), Authorization),
        (with("x-amz-security-token", "a\r\nx-evil: b"), Authorization),
        (with("x-amz-security-token", "a\u{7f}"), Authorization),
        (
            with("authorization", authorization("AKID/20260304/us-east-1/sts/aws4_request", all)),
            Authorization,
        ),
        (
            with("authorization", authorization("AKID/20260304/eu-central-1/s3/aws4_request", all)),
            Authorization,
        ),
        (with("x-forwarded-for", "198.51.100.7"), Encoding),
        (json!([]), Encoding),
        (json!("x"), Encoding),
    ] {
        assert_eq!(check_at(&proof, now()), Err(expected), "{proof}");
    }
    let no_audience = Proof::read(&BASE64URL.encode(proof().to_string())).unwrap();
    let refused = no_audience.check(REGION, HOST, "", now());
    assert_eq!(refused, Err(Audience), "an event without a host");
    for header in ["", "*", "{}", &"A".repeat(LONGEST + 1)] {
        assert_eq!(Proof::read(header).err(), Some(Encoding));
    }
}
