//! The loopback end point: credentials for local programs, in the form of containers.
//!
//! AWS SDKs read it from `AWS_CONTAINER_CREDENTIALS_FULL_URI` and send `AWS_CONTAINER_AUTHORIZATION_TOKEN` with each request
//! (AWS SDKs and Tools Reference Guide, "Container credential provider").
//!
//! Invariant: credentials go only to who knows the token, which is random and compared in constant time. Any `Host` but this
//! server's own is refused before that, so that a web page cannot reach it by a name that resolves to this machine.

use http::header::{AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, HOST};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::json;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use subtle::ConstantTimeEq as _;
use tokio::net::TcpListener;

use crate::cache::Cache;
use crate::credentials::Credentials;
use crate::environment::Environment;
use crate::failure::{Exit, Failure};
use crate::hex::hex;
use crate::terminal;
use crate::vend;

/// How long a client may take to send the head of its request.
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);
const MOST_HEAD_BYTES: usize = 16 * 1024;

/// Where the credentials of a server come from.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) request: vend::Request,
    pub(crate) cache: Cache,
    pub(crate) environment: Environment,
    /// The failure that was reported last: each is reported once.
    reported: Mutex<Option<Failure>>,
}

impl Source {
    /// Asks once, before anything is served. `--refresh` applies to that request only.
    pub(crate) fn open(
        request: vend::Request,
        environment: Environment,
    ) -> Result<(Self, Credentials), Failure> {
        let cache = vend::open_cache(&request, &environment);
        let mut source = Self { request, cache, environment, reported: Mutex::new(None) };
        let credentials = source.credentials()?;
        source.request.refreshed();
        Ok((source, credentials))
    }

    /// Valid credentials, from the cache or the end point. Blocks while it asks.
    pub(crate) fn credentials(&self) -> Result<Credentials, Failure> {
        vend::credentials(&self.request, &self.cache, &self.environment)
    }

    /// Reports at the terminal what the program gets as an HTTP status only.
    fn report(&self, failure: &Failure) {
        if let Ok(mut reported) = self.reported.lock()
            && reported.as_ref() != Some(failure)
        {
            terminal::report(failure);
            *reported = Some(failure.clone());
        }
    }
}

/// A server that listens, and serves once it runs.
#[derive(Debug)]
pub(crate) struct Server {
    listener: TcpListener,
    door: Door,
}

/// What a request must know.
#[derive(Debug)]
struct Door {
    host: String,
    token: SecretString,
}

impl Server {
    /// Listens on a loopback address.
    pub(crate) async fn bind(address: SocketAddr) -> Result<Self, Failure> {
        if !address.ip().is_loopback() {
            return Err(Failure::new(
                Exit::Usage,
                format!("{address} is not an address of this machine alone"),
                "use --listen with 127.0.0.1",
            ));
        }
        let listening = async {
            let listener = TcpListener::bind(address).await?;
            let host = listener.local_addr()?.to_string();
            Ok((listener, host))
        };
        let (listener, host) = listening.await.map_err(|error: std::io::Error| {
            Failure::local(
                format!("cannot listen on {address}: {error}"),
                "choose another port with --listen, or leave it out",
            )
        })?;
        Ok(Self { listener, door: Door { host, token: random_token()? } })
    }

    /// The URL for `AWS_CONTAINER_CREDENTIALS_FULL_URI`.
    pub(crate) fn url(&self) -> String {
        format!("http://{}/", self.door.host)
    }

    /// The value for `AWS_CONTAINER_AUTHORIZATION_TOKEN`.
    pub(crate) fn token(&self) -> &str {
        self.door.token.expose_secret()
    }

    /// Serves until it is dropped.
    pub(crate) async fn run(self, source: Arc<Source>) -> Infallible {
        let door = Arc::new(self.door);
        loop {
            let Ok((stream, _)) = self.listener.accept().await else {
                // No free descriptor, mostly. Those in use become free.
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            };
            let (door, source) = (Arc::clone(&door), Arc::clone(&source));
            let service = service_fn(move |request| {
                let (door, source) = (Arc::clone(&door), Arc::clone(&source));
                async move { Ok::<_, Infallible>(door.answer(&request, source).await) }
            });
            let mut connection = http1::Builder::new();
            connection
                .timer(TokioTimer::new())
                .half_close(true)
                .header_read_timeout(HEAD_TIMEOUT)
                .max_buf_size(MOST_HEAD_BYTES);
            // A connection that breaks off is its client's loss.
            tokio::spawn(connection.serve_connection(TokioIo::new(stream), service));
        }
    }
}

impl Door {
    async fn answer(
        &self,
        request: &Request<Incoming>,
        source: Arc<Source>,
    ) -> Response<Full<Bytes>> {
        if let Err((status, message)) =
            self.check(request.method(), request.uri(), request.headers())
        {
            return error(status, "REFUSED", message);
        }
        let vended = tokio::task::spawn_blocking({
            let source = Arc::clone(&source);
            move || source.credentials()
        });
        match vended.await {
            Ok(Ok(credentials)) => reply(StatusCode::OK, credentials.to_container_json()),
            Ok(Err(failure)) => {
                source.report(&failure);
                error(status(failure.exit), "UNAVAILABLE", &failure.to_string())
            }
            Err(_) => {
                error(StatusCode::INTERNAL_SERVER_ERROR, "DEFECT", "a defect of this program")
            }
        }
    }

    /// Whether a request may have credentials.
    fn check(
        &self,
        method: &Method,
        uri: &http::Uri,
        headers: &HeaderMap,
    ) -> Result<(), (StatusCode, &'static str)> {
        let mut hosts = headers.get_all(HOST).iter();
        let own = hosts.next().is_some_and(|host| host.as_bytes() == self.host.as_bytes());
        if !own || hosts.next().is_some() || uri.host().is_some() {
            return Err((StatusCode::FORBIDDEN, "the Host is not this server's own"));
        }
        let sent = headers.get(AUTHORIZATION).map(http::HeaderValue::as_bytes).unwrap_or_default();
        if !bool::from(sent.ct_eq(self.token.expose_secret().as_bytes())) {
            return Err((StatusCode::UNAUTHORIZED, "the authorization token is missing or wrong"));
        }
        if uri.path() != "/" {
            return Err((StatusCode::NOT_FOUND, "there is nothing but /"));
        }
        if method != Method::GET {
            return Err((StatusCode::METHOD_NOT_ALLOWED, "use GET"));
        }
        Ok(())
    }
}

fn status(exit: Exit) -> StatusCode {
    match exit {
        Exit::Refused | Exit::AwsCredentials => StatusCode::FORBIDDEN,
        Exit::Throttled => StatusCode::TOO_MANY_REQUESTS,
        _ => StatusCode::SERVICE_UNAVAILABLE,
    }
}

fn error(status: StatusCode, code: &str, message: &str) -> Response<Full<Bytes>> {
    reply(status, json!({"Code": code, "Message": message}).to_string())
}

fn reply(status: StatusCode, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(body));
    *response.status_mut() = status;
    let fields = [(CONTENT_TYPE, "application/json"), (CACHE_CONTROL, "no-store")];
    for (name, value) in fields {
        response.headers_mut().insert(name, http::HeaderValue::from_static(value));
    }
    response
}

/// 256 random bits of the operating system, in hexadecimal.
pub(crate) fn random_token() -> Result<SecretString, Failure> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|_| {
        Failure::local("the operating system gives no random numbers", "report this as a defect")
    })?;
    Ok(hex(&bytes).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOST_AND_PORT: &str = "127.0.0.1:4000";

    fn refused(fields: &[(http::HeaderName, &str)], method: &Method, uri: &str) -> Option<u16> {
        let door = Door { host: HOST_AND_PORT.to_owned(), token: "the-token".into() };
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(name, value.parse().unwrap());
        }
        door.check(method, &uri.parse().unwrap(), &headers).err().map(|(status, _)| status.as_u16())
    }

    #[test]
    fn who_knows_the_token_is_served() {
        let fields = [(HOST, HOST_AND_PORT), (AUTHORIZATION, "the-token")];
        assert_eq!(refused(&fields, &Method::GET, "/"), None);
        assert_eq!(refused(&fields, &Method::POST, "/"), Some(405));
        assert_eq!(refused(&fields, &Method::GET, "/other"), Some(404));
    }

    /// THREAT: a web page reads credentials through a name that it lets resolve to 127.0.0.1.
    /// PREVENTION: any Host but the server's own is refused, the token notwithstanding.
    #[test]
    fn security_another_host_is_refused() {
        for host in ["evil.example:4000", "localhost:4000", "127.0.0.1", "127.0.0.1:4001", ""] {
            let fields = [(HOST, host), (AUTHORIZATION, "the-token")];
            assert_eq!(refused(&fields, &Method::GET, "/"), Some(403), "{host}");
        }
        assert_eq!(refused(&[(AUTHORIZATION, "the-token")], &Method::GET, "/"), Some(403));
        let twice = [(HOST, HOST_AND_PORT), (HOST, "evil.example"), (AUTHORIZATION, "the-token")];
        assert_eq!(refused(&twice, &Method::GET, "/"), Some(403));
        let absolute = [(HOST, HOST_AND_PORT), (AUTHORIZATION, "the-token")];
        assert_eq!(refused(&absolute, &Method::GET, "http://evil.example/"), Some(403));
    }

    /// THREAT: another user of the machine asks the server.
    /// PREVENTION: no credentials without the token.
    #[test]
    fn security_no_token_no_credentials() {
        for token in ["", "the-toke", "the-token2", "THE-TOKEN", "Bearer the-token"] {
            let fields = [(HOST, HOST_AND_PORT), (AUTHORIZATION, token)];
            assert_eq!(refused(&fields, &Method::GET, "/"), Some(401), "{token}");
        }
        assert_eq!(refused(&[(HOST, HOST_AND_PORT)], &Method::GET, "/"), Some(401));
    }

    #[test]
    fn tokens_are_long_and_differ() {
        let tokens = [random_token().unwrap(), random_token().unwrap()];
        assert_eq!(tokens[0].expose_secret().len(), 64);
        assert_ne!(tokens[0].expose_secret(), tokens[1].expose_secret());
    }
}
