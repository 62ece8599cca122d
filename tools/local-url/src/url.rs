//! One request's way: read, verify, invoke, answer.

use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::SystemTime;

use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::service::{HttpService, service_fn};
use hyper::{Request, Response, StatusCode, Uri};
use uuid::Uuid;

use crate::event::Verified;
use crate::function::Function;
use crate::keys::Keys;
use crate::signature;

/// The largest request that Lambda takes.
const MAX_BODY: usize = 6 * 1024 * 1024;

/// The stand-in for a Function URL.
pub(crate) struct FunctionUrl {
    keys: Keys,
    function: Function,
}

impl FunctionUrl {
    /// A URL that believes `keys` and invokes the function at `invoke_url`.
    pub(crate) fn new(keys: Keys, invoke_url: Uri) -> Arc<Self> {
        let function = Function::new(invoke_url);
        Arc::new(Self { keys, function })
    }

    /// The service for one connection from `source_ip`.
    pub(crate) fn service(
        self: &Arc<Self>,
        source_ip: IpAddr,
    ) -> impl HttpService<Incoming, ResBody = Full<Bytes>, Error = Infallible, Future: Send> + use<>
    {
        let url = Arc::clone(self);
        service_fn(move |request| {
            let url = Arc::clone(&url);
            async move { Ok(url.answer(request, source_ip).await) }
        })
    }

    async fn answer(&self, request: Request<Incoming>, source_ip: IpAddr) -> Response<Full<Bytes>> {
        let request_id = Uuid::new_v4().to_string();
        let mut response =
            self.handle(request, source_ip, &request_id).await.unwrap_or_else(|refusal| refusal);
        if let Ok(id) = HeaderValue::from_str(&request_id) {
            response.headers_mut().insert("x-amzn-requestid", id);
        }
        response
    }

    /// The function's answer; or, as the error, what AWS itself would answer in its place.
    async fn handle(
        &self,
        request: Request<Incoming>,
        source_ip: IpAddr,
        request_id: &str,
    ) -> Result<Response<Full<Bytes>>, Response<Full<Bytes>>> {
        #[expect(
            clippy::disallowed_methods,
            reason = "the edge of the program: the one reading per request"
        )]
        let received_at = SystemTime::now();
        let refuse = |status, message, reason: &dyn std::fmt::Display| {
            eprintln!("local-url: {request_id} {status}: {reason}");
            refusal(status, message)
        };
        let (request, body) = request.into_parts();
        let body = match Limited::new(body, MAX_BODY).collect().await {
            Ok(body) => body.to_bytes(),
            Err(error) => {
                return Err(refuse(
                    StatusCode::PAYLOAD_TOO_LARGE,
                    "Request Entity Too Large",
                    &error,
                ));
            }
        };
        let signer = signature::verify(&request, &body, &self.keys, received_at)
            .map_err(|reason| refuse(StatusCode::FORBIDDEN, "Forbidden", &reason))?;
        let verified =
            Verified { request: &request, body: &body, signer, source_ip, request_id, received_at };
        self.function
            .invoke(&verified.event(), request_id)
            .await
            .map_err(|reason| refuse(StatusCode::BAD_GATEWAY, "Internal Server Error", &reason))
    }
}

fn refusal(status: StatusCode, message: &str) -> Response<Full<Bytes>> {
    let body = serde_json::json!({ "Message": message }).to_string();
    let mut response = Response::new(Full::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
