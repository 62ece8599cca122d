//! HTTP with a device-management system.
//!
//! Invariant: only JSON of the expected shape gets past this module; an error is an HTTP status or
//! fixed text. Redirects are not followed, so a token goes to the configured host and to no other.

use super::posture::PostureError;
use crate::https::{Https, HttpsClient};
use aws_smithy_types::body::SdkBody;
use form_urlencoded::Serializer;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, USER_AGENT};
use http::request::Builder;
use http::{HeaderMap, HeaderValue, Request, StatusCode};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use secrecy::{ExposeSecret, SecretString};
use serde::de::DeserializeOwned;
use std::borrow::Cow;
use url::Url;

/// The longest reply that is read, in bytes.
const MAX_REPLY: usize = 256 * 1024;
const MALFORMED: &str = "a malformed reply";
const UNSENDABLE: &str = "the request could not be built";

/// Why a call returned no reply of the expected shape.
#[derive(Debug)]
pub(super) enum HttpError {
    /// 401: the credential was rejected; a fresh one may work.
    Unauthorized,
    /// 404.
    NotFound,
    /// Any other failure; another try does not help.
    Final(PostureError),
}

impl From<PostureError> for HttpError {
    fn from(error: PostureError) -> Self {
        Self::Final(error)
    }
}

impl From<HttpError> for PostureError {
    fn from(failure: HttpError) -> Self {
        match failure {
            HttpError::Unauthorized => Self::upstream("it refuses the secret"),
            HttpError::NotFound => Self::upstream("HTTP 404"),
            HttpError::Final(error) => error,
        }
    }
}

#[derive(Debug)]
pub(super) struct Http(HttpsClient);

impl Http {
    /// It keeps no idle connections: the process may be frozen between requests, and what then
    /// looks like a connection may be none.
    pub(super) fn new(https: &Https) -> Self {
        Self(https.client(0))
    }

    /// A GET with a bearer token (RFC 6750).
    pub(super) async fn get<T: DeserializeOwned>(
        &self,
        url: Url,
        token: &SecretString,
    ) -> Result<T, HttpError> {
        let authorization = bearer(token).ok_or_else(|| upstream(UNSENDABLE))?;
        let request = Request::get(url.as_str()).header(AUTHORIZATION, authorization);
        self.json(request, SdkBody::empty()).await
    }

    /// A POST of a form.
    pub(super) async fn post<T: DeserializeOwned>(
        &self,
        url: Url,
        form: &[(&str, &str)],
    ) -> Result<T, HttpError> {
        let body = Serializer::new(String::new()).extend_pairs(form).finish();
        let request =
            Request::post(url.as_str()).header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        self.json(request, body.into()).await
    }

    async fn json<T: DeserializeOwned>(
        &self,
        request: Builder,
        body: SdkBody,
    ) -> Result<T, HttpError> {
        let request = request
            .header(ACCEPT, "application/json")
            .header(USER_AGENT, concat!("sentinel-tvm/", env!("CARGO_PKG_VERSION")))
            .body(body)
            .map_err(|_| upstream(UNSENDABLE))?;
        let response = self.0.request(request).await.map_err(|error| {
            upstream(if error.is_connect() { "no connection" } else { "the connection broke" })
        })?;
        match response.status() {
            StatusCode::OK => {}
            StatusCode::UNAUTHORIZED => return Err(HttpError::Unauthorized),
            StatusCode::NOT_FOUND => return Err(HttpError::NotFound),
            status => return Err(upstream(format!("HTTP {}", status.as_u16()))),
        }
        if !is_json(response.headers()) {
            return Err(upstream("a reply that is not JSON"));
        }
        let body = Limited::new(response.into_body(), MAX_REPLY).collect().await;
        let body = body.map_err(|error| {
            upstream(if error.is::<LengthLimitError>() {
                "a reply over 256 KiB"
            } else {
                MALFORMED
            })
        })?;
        serde_json::from_slice(&body.to_bytes()).map_err(|_| upstream(MALFORMED))
    }
}

/// `None` if the token has characters that no header may have.
fn bearer(token: &SecretString) -> Option<HeaderValue> {
    let mut value = HeaderValue::try_from(format!("Bearer {}", token.expose_secret())).ok()?;
    value.set_sensitive(true);
    Some(value)
}

fn is_json(headers: &HeaderMap) -> bool {
    let value = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    value.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("application/json")
}

fn upstream(cause: impl Into<Cow<'static, str>>) -> HttpError {
    PostureError::upstream(cause).into()
}
