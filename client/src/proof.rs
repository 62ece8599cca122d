//! The caller proof: a signed `GetCallerIdentity` that the end point sends to STS, to hear from AWS itself who calls.
//!
//! The header `X-Sentinel-Caller-Proof` is base64url, without padding, of a JSON object of the signed headers of
//! `POST https://sts.REGION.amazonaws.com/` with the body `Action=GetCallerIdentity&Version=2011-06-15`. `docs/api.md` lists them.
//!
//! Invariant: the signature covers `x-sentinel-audience`, the end point's host, so that a proof is of no use to another end
//! point. A proof is made for one request and never stored.

use aws_credential_types::Credentials;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::header::{CONTENT_TYPE, HOST};
use serde_json::{Map, Value};

use crate::failure::Failure;
use crate::settings::Endpoint;
use crate::sign::{Scope, signed};

/// The header of the request to the end point.
pub(crate) const HEADER: &str = "x-sentinel-caller-proof";

const AUDIENCE: &str = "x-sentinel-audience";
/// The body of the request to STS.
pub(crate) const GET_CALLER_IDENTITY: &str = "Action=GetCallerIdentity&Version=2011-06-15";

/// A proof that the holder of `credentials` calls `endpoint` now.
pub(crate) fn header(endpoint: &Endpoint, credentials: &Credentials) -> Result<String, Failure> {
    let host = sts_host(&endpoint.region);
    let url = format!("https://{host}/");
    let request = http::Request::post(&url)
        .header(HOST, &host)
        .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
        .header(AUDIENCE, endpoint.url.authority())
        .body(GET_CALLER_IDENTITY.to_owned())
        .unwrap_or_default();
    let scope = Scope { region: &endpoint.region, service: "sts" };
    let request = signed(request, scope, credentials)?;
    let text = |value: &http::HeaderValue| Value::from(value.to_str().unwrap_or_default());
    let proof: Map<String, Value> =
        request.headers().iter().map(|(name, value)| (name.to_string(), text(value))).collect();
    Ok(URL_SAFE_NO_PAD.encode(Value::from(proof).to_string()))
}

/// The host of STS in a region. China has a domain of its own.
pub(crate) fn sts_host(region: &str) -> String {
    let domain = if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
    format!("sts.{region}.{domain}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::Shared;
    use crate::environment::Environment;

    fn proof() -> Value {
        let url = "https://ABC.lambda-url.eu-central-1.on.aws";
        let environment = Environment::from([("SENTINEL_URL", url)]);
        let endpoint = Endpoint::select(&Shared::default(), &environment).unwrap();
        let credentials =
            Credentials::new("AKIDEXAMPLE", "very-secret", Some("token".into()), None, "test");
        let header = header(&endpoint, &credentials).unwrap();
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(header).unwrap()).unwrap()
    }

    #[test]
    fn a_proof_is_a_signed_get_caller_identity() {
        let proof = proof();
        let names: Vec<&String> = proof.as_object().unwrap().keys().collect();
        let documented = [
            "authorization",
            "content-type",
            "host",
            "x-amz-date",
            "x-amz-security-token",
            "x-sentinel-audience",
        ];
        assert_eq!(names, documented, "the function refuses any other member");
        assert_eq!(proof["host"], "sts.eu-central-1.amazonaws.com");
        let authorization = proof["authorization"].as_str().unwrap();
        assert!(authorization.contains("/eu-central-1/sts/aws4_request"), "{authorization}");
    }

    /// THREAT: an end point replays a caller's proof at another end point.
    /// PREVENTION: the signature covers the host for which the proof was made, and its time.
    #[test]
    fn security_the_signature_covers_the_audience_and_the_time() {
        let proof = proof();
        assert_eq!(proof[AUDIENCE], "abc.lambda-url.eu-central-1.on.aws");
        let authorization = proof["authorization"].as_str().unwrap();
        let signed =
            authorization.split("SignedHeaders=").nth(1).unwrap().split(',').next().unwrap();
        let signed: Vec<_> = signed.split(';').collect();
        for name in [AUDIENCE, "content-type", "x-amz-date", "host", "x-amz-security-token"] {
            assert!(signed.contains(&name), "{name} in {signed:?}");
        }
        assert!(!proof.to_string().contains("very-secret"));
    }
}
