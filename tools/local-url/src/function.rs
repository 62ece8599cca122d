//! The function behind the URL: invoked with an event, it returns the reply for its caller.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::{Request, Response, StatusCode, Uri};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde::Deserialize;
use serde_json::Value;
use thiserror::Error;
use tokio::time::timeout;

use crate::start::StartLog;

/// `cargo lambda watch` takes the request id of an invocation from this header.
const REQUEST_ID: &str = "lambda-runtime-aws-request-id";

/// How long an answer may take: longer than the function's own time-out, so that a restart in
/// between is waited for.
const PATIENCE: Duration = Duration::from_secs(20);

/// How often the log is read while an answer is awaited.
const TICK: Duration = Duration::from_millis(100);

/// The function's invoke end point.
#[derive(Clone)]
pub(crate) struct Function {
    client: Client<HttpConnector, Full<Bytes>>,
    invoke_url: Uri,
    start: Arc<StartLog>,
}

/// Why the function gave no reply that can be passed on.
#[derive(Debug, Error)]
pub(crate) enum FunctionError {
    #[error("cannot reach the function: {0:?}")]
    Unreachable(#[from] hyper_util::client::legacy::Error),
    #[error("the function does not start: {0}")]
    DoesNotStart(String),
    #[error(
        "the function has not answered in {PATIENCE:?}: did a change restart it meanwhile? Try again"
    )]
    Silent,
    #[error("the function's answer broke off: {0}")]
    Truncated(#[from] hyper::Error),
    #[error("the function failed with {0}: {1}")]
    Failed(StatusCode, String),
    #[error("the function's answer is not a Lambda response: {0}")]
    NotAResponse(#[from] serde_json::Error),
    #[error("the function's answer has a body that is not base64: {0}")]
    NotBase64(#[from] base64::DecodeError),
    #[error("the function's answer is not an HTTP response: {0}")]
    NotHttp(#[from] hyper::http::Error),
}

/// A Lambda proxy response.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ProxyResponse {
    status_code: u16,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    #[serde(default)]
    body: Option<String>,
    #[serde(default)]
    is_base64_encoded: bool,
}

impl Function {
    /// The function that is invoked by a POST to `invoke_url`, and reports in `start` why it does
    /// not run.
    pub(crate) fn new(invoke_url: Uri, start: StartLog) -> Self {
        let client = Client::builder(TokioExecutor::new()).build_http();
        Self { client, invoke_url, start: Arc::new(start) }
    }

    /// Invokes the function with `event` and turns its answer into HTTP.
    pub(crate) async fn invoke(
        &self,
        event: &Value,
        request_id: &str,
    ) -> Result<Response<Full<Bytes>>, FunctionError> {
        let request = Request::post(&self.invoke_url)
            .header(REQUEST_ID, request_id)
            .body(Full::from(event.to_string()))?;
        let response = self.answer(request).await?;
        let status = response.status();
        let answer = response.into_body().collect().await?.to_bytes();
        if !status.is_success() {
            let detail = String::from_utf8_lossy(&answer).into_owned();
            return Err(FunctionError::Failed(status, detail));
        }
        serde_json::from_slice::<ProxyResponse>(&answer)?.into_http()
    }

    /// Sends an invocation and waits for its answer, but only while the function may still run.
    ///
    /// An invocation of a function that does not run is not sent: it would be kept, and decided
    /// once the function runs again, for a caller who has long been answered.
    async fn answer(
        &self,
        request: Request<Full<Bytes>>,
    ) -> Result<Response<Incoming>, FunctionError> {
        let mut answer = pin!(self.client.request(request));
        let mut waited = Duration::ZERO;
        while waited < PATIENCE {
            if let Some(reason) = self.start.failure() {
                return Err(FunctionError::DoesNotStart(reason));
            }
            if let Ok(response) = timeout(TICK, answer.as_mut()).await {
                return Ok(response?);
            }
            waited += TICK;
        }
        Err(FunctionError::Silent)
    }
}

impl ProxyResponse {
    fn into_http(self) -> Result<Response<Full<Bytes>>, FunctionError> {
        let body = self.body.unwrap_or_default();
        let body = if self.is_base64_encoded { STANDARD.decode(body)? } else { body.into_bytes() };
        let mut response = Response::builder().status(self.status_code);
        for (name, value) in self.headers {
            response = response.header(name, value);
        }
        Ok(response.body(Full::from(body))?)
    }
}

#[cfg(test)]
mod tests;
