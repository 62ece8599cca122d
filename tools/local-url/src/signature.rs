//! Verification of AWS Signature Version 4 in the `Authorization` header.
//!
//! The request is signed again with the secret we know, over exactly the headers its caller signed,
//! and the two signatures are compared in constant time. Nothing of a request may be believed
//! before [`verify`] returned its signer.
//!
//! Rules:
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html>

use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use hyper::header::{AUTHORIZATION, HOST};
use hyper::http::request::Parts;
use subtle::ConstantTimeEq;
use thiserror::Error;
use time::{OffsetDateTime, PrimitiveDateTime, format_description};

use crate::keys::{Keys, Signer};

/// How far a request's clock may be from ours, as on AWS.
const CLOCK_SKEW: Duration = Duration::from_mins(5);
const DATE: &str = "x-amz-date";
const TOKEN: &str = "x-amz-security-token";

/// Why a request is not believed. For this server's log: the caller learns only that it is
/// forbidden.
#[derive(Debug, Error, PartialEq, Eq)]
pub(crate) enum Refusal {
    #[error(
        "not signed: no Authorization header of the form `AWS4-HMAC-SHA256 Credential=…, SignedHeaders=…, Signature=…`"
    )]
    Unsigned,
    #[error("signed for service `{0}`: sign for `lambda`")]
    WrongService(String),
    #[error("signed for Region `{signed}`: this URL is in `{expected}`")]
    WrongRegion { signed: String, expected: String },
    #[error("header `{0}` is missing, or is not among the signed ones")]
    Uncovered(&'static str),
    #[error("x-amz-date is malformed, or is not the day of the credential scope")]
    BadDate,
    #[error("signed more than five minutes away from this machine's clock")]
    Expired,
    #[error("unknown access key id: it is not in the keys file")]
    UnknownKey,
    #[error("x-amz-security-token is not the one that belongs to the access key")]
    WrongToken,
    #[error("the signature is not that of this request")]
    WrongSignature,
    #[error(
        "the signature is not that of this request. Its query is not in alphabetical order: AWS sorts the query, and some \
         clients sign it unsorted (curl 7.88 does). Send the parameters in alphabetical order"
    )]
    UnsortedQuery,
}

/// What an `Authorization` header claims.
struct Authorization<'r> {
    access_key_id: &'r str,
    day: &'r str,
    region: &'r str,
    service: &'r str,
    signed_headers: Vec<&'r str>,
    signature: &'r str,
}

impl<'r> Authorization<'r> {
    fn parse(header: &'r str) -> Option<Self> {
        let fields = header.strip_prefix("AWS4-HMAC-SHA256 ")?;
        let field = |name: &str| {
            fields.split(',').find_map(|field| field.trim().strip_prefix(name)?.strip_prefix('='))
        };
        let scope: Vec<&str> = field("Credential")?.split('/').collect();
        let [access_key_id, day, region, service, "aws4_request"] = scope[..] else {
            return None;
        };
        Some(Self {
            access_key_id,
            day,
            region,
            service,
            signed_headers: field("SignedHeaders")?.split(';').collect(),
            signature: field("Signature")?,
        })
    }
}

/// Who signed `request` with this `body`, or why it is not believed.
pub(crate) fn verify<'k>(
    request: &Parts,
    body: &[u8],
    keys: &'k Keys,
    region: &str,
    now: SystemTime,
) -> Result<&'k Signer, Refusal> {
    let authorization = header(request, AUTHORIZATION.as_str())
        .and_then(Authorization::parse)
        .ok_or(Refusal::Unsigned)?;
    if authorization.service != "lambda" {
        return Err(Refusal::WrongService(authorization.service.to_owned()));
    }
    if authorization.region != region {
        let signed = authorization.region.to_owned();
        return Err(Refusal::WrongRegion { signed, expected: region.to_owned() });
    }
    covered(request, &authorization, HOST.as_str())?;
    let signed_at = signed_at(covered(request, &authorization, DATE)?, &authorization, now)?;
    let signer = keys.find(authorization.access_key_id).ok_or(Refusal::UnknownKey)?;
    check_token(request, &authorization, signer)?;

    let expected = signature(request, body, &authorization, signer, signed_at)
        .ok_or(Refusal::WrongSignature)?;
    if same(&expected, authorization.signature) {
        Ok(signer)
    } else if is_sorted(request.uri.query().unwrap_or_default()) {
        Err(Refusal::WrongSignature)
    } else {
        Err(Refusal::UnsortedQuery)
    }
}

/// Whether the parameters of a query are in the order in which a signature covers them.
fn is_sorted(query: &str) -> bool {
    query.split('&').is_sorted()
}

fn header<'r>(request: &'r Parts, name: &str) -> Option<&'r str> {
    request.headers.get(name)?.to_str().ok()
}

/// The value of a header that the signature must cover.
fn covered<'r>(
    request: &'r Parts,
    authorization: &Authorization<'_>,
    name: &'static str,
) -> Result<&'r str, Refusal> {
    header(request, name)
        .filter(|_| authorization.signed_headers.contains(&name))
        .ok_or(Refusal::Uncovered(name))
}

/// When the request says it was signed, if that is near `now`.
fn signed_at(
    date: &str,
    authorization: &Authorization<'_>,
    now: SystemTime,
) -> Result<SystemTime, Refusal> {
    let format =
        format_description::parse_borrowed::<2>("[year][month][day]T[hour][minute][second]Z").ok();
    let time = format
        .and_then(|format| PrimitiveDateTime::parse(date, &format).ok())
        .filter(|_| date.starts_with(authorization.day))
        .ok_or(Refusal::BadDate)?
        .assume_utc();
    let skew = OffsetDateTime::from(now) - time;
    if skew.unsigned_abs() <= CLOCK_SKEW { Ok(time.into()) } else { Err(Refusal::Expired) }
}

/// A temporary key works only with its token, and a permanent key only without one.
fn check_token(
    request: &Parts,
    authorization: &Authorization<'_>,
    signer: &Signer,
) -> Result<(), Refusal> {
    let (expected, presented) = match &signer.session_token {
        Some(token) => (token.as_str(), covered(request, authorization, TOKEN)?),
        None => ("", header(request, TOKEN).unwrap_or_default()),
    };
    if same(expected, presented) { Ok(()) } else { Err(Refusal::WrongToken) }
}

/// The signature this request would have if `signer` signed it; `None` if it cannot be signed at
/// all.
fn signature(
    request: &Parts,
    body: &[u8],
    authorization: &Authorization<'_>,
    signer: &Signer,
    signed_at: SystemTime,
) -> Option<String> {
    let identity = Credentials::new(
        &signer.access_key_id,
        &signer.secret_access_key,
        signer.session_token.clone(),
        None,
        "keys file",
    )
    .into();
    let mut settings = SigningSettings::default();
    // The default leaves out headers such as user-agent even where the caller signed them.
    settings.excluded_headers = None;
    let params = v4::SigningParams::builder()
        .identity(&identity)
        .region(authorization.region)
        .name(authorization.service)
        .time(signed_at)
        .settings(settings)
        .build()
        .ok()?
        .into();
    let headers = authorization.signed_headers.iter().flat_map(|name| {
        let values = request.headers.get_all(*name).into_iter();
        values.filter_map(move |value| Some((*name, value.to_str().ok()?)))
    });
    let target = request.uri.path_and_query()?.as_str();
    let signable =
        SignableRequest::new(request.method.as_str(), target, headers, SignableBody::Bytes(body))
            .ok()?;
    Some(sign(signable, &params).ok()?.signature().to_owned())
}

/// Whether two secrets are the same, without telling by the time taken how much of them is.
fn same(expected: &str, presented: &str) -> bool {
    expected.as_bytes().ct_eq(presented.as_bytes()).into()
}

#[cfg(test)]
mod tests;
