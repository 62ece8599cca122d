//! One request's way: read, verify, invoke, answer.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::SystemTime;

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use tokio::io::{AsyncRead, AsyncWrite};
use uuid::Builder;

use crate::event::Verified;
use crate::exchange::{self, ReadError};
use crate::function::{Function, FunctionError};
use crate::keys::Keys;
use crate::signature;

/// The stand-in for a Function URL.
pub(crate) struct FunctionUrl {
    keys: Keys,
    region: String,
    function: Function,
}

impl FunctionUrl {
    /// A URL of `region` that accepts the signatures of `keys` and invokes `function`.
    pub(crate) fn new(keys: Keys, region: String, function: Function) -> Arc<Self> {
        Arc::new(Self { keys, region, function })
    }

    /// Reads the request of one connection from `source_ip` and responds to it.
    pub(crate) async fn serve<S>(&self, stream: &mut S, source_ip: IpAddr) -> io::Result<()>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let request = match exchange::read(stream).await {
            Ok(Some(request)) => Ok(request),
            Ok(None) => return Ok(()),
            Err(ReadError::Broken(error)) => return Err(error),
            Err(error) => Err(error),
        };
        let method = request.as_ref().map_or(Method::GET, |request| request.method().clone());
        // Not `Uuid::new_v4`: its feature is one that the function does not enable.
        let request_id = Builder::from_random_bytes(fastrand::u128(..).to_ne_bytes()).into_uuid();
        let request_id = request_id.to_string();
        let mut response =
            self.handle(request, source_ip, &request_id).await.unwrap_or_else(|refusal| refusal);
        if let Ok(id) = HeaderValue::from_str(&request_id) {
            response.headers_mut().insert("x-amzn-requestid", id);
        }
        exchange::respond(stream, &method, response).await
    }

    /// The function's answer; or, as the error, what AWS itself would answer in its place.
    async fn handle(
        &self,
        request: Result<Request<Vec<u8>>, ReadError>,
        source_ip: IpAddr,
        request_id: &str,
    ) -> Result<Response<Full<Bytes>>, Response<Full<Bytes>>> {
        #[expect(
            clippy::disallowed_methods,
            reason = "the edge of the program: the one reading per request"
        )]
        let received_at = SystemTime::now();
        let refuse = |status, message: &str, reason: &dyn std::fmt::Display| {
            eprintln!("local-url: {request_id} {status}: {reason}");
            refusal(status, message)
        };
        let (request, body) = match request {
            Ok(request) => request.into_parts(),
            Err(error @ ReadError::BodyTooLarge) => {
                return Err(refuse(
                    StatusCode::PAYLOAD_TOO_LARGE,
                    "Request Entity Too Large",
                    &error,
                ));
            }
            Err(error) => return Err(refuse(StatusCode::BAD_REQUEST, "Bad Request", &error)),
        };
        let signer = signature::verify(&request, &body, &self.keys, &self.region, received_at)
            .map_err(|reason| refuse(StatusCode::FORBIDDEN, "Forbidden", &reason))?;
        let verified =
            Verified { request: &request, body: &body, signer, source_ip, request_id, received_at };
        self.function.invoke(&verified.event(), request_id).await.map_err(|error| {
            // AWS says no more than this. Here the caller is the developer, who has to know the
            // reason.
            let message = match &error {
                FunctionError::DoesNotStart(_) | FunctionError::Silent => error.to_string(),
                _ => "Internal Server Error".to_owned(),
            };
            refuse(StatusCode::BAD_GATEWAY, &message, &error)
        })
    }
}

fn refusal(status: StatusCode, message: &str) -> Response<Full<Bytes>> {
    let body = serde_json::json!({ "Message": message }).to_string();
    let mut response = Response::new(Full::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
