//! HTTP with a device-management system.
//!
//! Invariant: only JSON of the expected shape gets past this module; an error is an HTTP status or
//! fixed text. Redirects are not followed, so a token goes to the configured host and to no other.

use super::base_url::BaseUrl;
use super::posture::PostureError;
use reqwest::header::{ACCEPT, CONTENT_TYPE};
use reqwest::redirect::Policy;
use reqwest::{Client, RequestBuilder, Response, StatusCode, Url};
use secrecy::{ExposeSecret, SecretString};
use serde::de::DeserializeOwned;
use std::time::Duration;

/// The longest reply that is read, in bytes.
const MAX_REPLY: usize = 256 * 1024;
const CONNECT: Duration = Duration::from_millis(1_500);
const MALFORMED: &str = "a malformed reply";

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
pub(super) struct Http(Client);

impl Http {
    /// A client for the system at `base`. It keeps no idle connections: the process may be frozen
    /// between requests, and what then looks like a connection may be none.
    pub(super) fn new(base: &BaseUrl) -> Result<Self, &'static str> {
        let client = Client::builder()
            .user_agent(concat!("sentinel-tvm/", env!("CARGO_PKG_VERSION")))
            .https_only(!base.is_loopback())
            .redirect(Policy::none())
            .referer(false)
            .no_proxy()
            .connect_timeout(CONNECT)
            .pool_max_idle_per_host(0)
            .build();
        client
            .map(Self)
            .map_err(|_| "no HTTP client: this system has no usable certificate authorities")
    }

    /// A GET with a bearer token (RFC 6750).
    pub(super) async fn get<T: DeserializeOwned>(
        &self,
        url: Url,
        token: &SecretString,
    ) -> Result<T, HttpError> {
        json(self.0.get(url).bearer_auth(token.expose_secret())).await
    }

    /// A POST of a form.
    pub(super) async fn post<T: DeserializeOwned>(
        &self,
        url: Url,
        form: &[(&str, &str)],
    ) -> Result<T, HttpError> {
        json(self.0.post(url).form(form)).await
    }
}

async fn json<T: DeserializeOwned>(request: RequestBuilder) -> Result<T, HttpError> {
    let response =
        request.header(ACCEPT, "application/json").send().await.map_err(|error| failed(&error))?;
    match response.status() {
        StatusCode::OK => {}
        StatusCode::UNAUTHORIZED => return Err(HttpError::Unauthorized),
        StatusCode::NOT_FOUND => return Err(HttpError::NotFound),
        status => return Err(PostureError::upstream(format!("HTTP {}", status.as_u16())).into()),
    }
    if !is_json(&response) {
        return Err(PostureError::upstream("a reply that is not JSON").into());
    }
    let body = body(response).await?;
    serde_json::from_slice(&body).map_err(|_| PostureError::upstream(MALFORMED).into())
}

fn is_json(response: &Response) -> bool {
    let value = response
        .headers()
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    value.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("application/json")
}

async fn body(mut response: Response) -> Result<Vec<u8>, HttpError> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| failed(&error))? {
        if body.len() + chunk.len() > MAX_REPLY {
            return Err(PostureError::upstream("a reply over 256 KiB").into());
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

fn failed(error: &reqwest::Error) -> HttpError {
    let cause = match error {
        _ if error.is_timeout() => "time-out",
        _ if error.is_connect() => "no connection",
        _ if error.is_builder() => "the request could not be built",
        _ if error.is_body() || error.is_decode() => MALFORMED,
        _ => "the connection broke",
    };
    PostureError::upstream(cause).into()
}
