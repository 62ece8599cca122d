//! Requests to an end point: signed, retried where that helps, and their failures in words.
//!
//! | reply | what happens |
//! |---|---|
//! | 429 | waits `Retry-After` and asks again, if that fits the deadline |
//! | 503, or no reply | asks again after a random pause, if that fits the deadline |
//! | any other error | is reported; a refusal is never retried |
//!
//! After a `POLICY_DENY` for credentials, `/v1/explain` is asked once whether an approval would help.

mod approval;
mod refusal;
mod retry;

use aws_smithy_types::body::SdkBody;
use secrecy::{ExposeSecret as _, SecretString};
use serde::de::DeserializeOwned;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::aws_credentials;
use crate::client_token;
use crate::clock::{self, Deadline};
use crate::credentials::Credentials;
use crate::environment::Environment;
use crate::failure::{Exit, Failure};
use crate::http::{Http, NoReply, Reply, unreachable};
use crate::memo;
use crate::proof;
use crate::settings::{CallerProof, Endpoint};
use crate::sign::{Scope, signed};
use crate::terminal::waiting;
use crate::vend::Request;
use retry::{Next, Retry};

pub(crate) use refusal::{MOST_SKEW, skew};

/// Runs asynchronous work to its end. Made only when there is something to ask: a cached answer starts no runtime.
pub(crate) fn run<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    match runtime {
        Ok(runtime) => runtime.block_on(work),
        Err(error) => Err(Failure::local(
            format!("the asynchronous runtime cannot start: {error}"),
            "check the limits of this user: open files, processes",
        )),
    }
}

/// Asks for credentials.
pub(crate) async fn vend(
    request: &Request,
    environment: &Environment,
    deadline: Deadline,
) -> Result<Credentials, Failure> {
    let query = request.wanted.query()?;
    let client = Client::connect(&request.endpoint, environment, deadline).await?;
    let waited =
        format!("credentials for {} from {}", request.wanted.profile, request.endpoint.label());
    let reply = match waiting(&waited, client.get(&format!("/v1/credentials?{query}"))).await {
        Ok(reply) => reply,
        Err(failure) => {
            return Err(approval::advised(failure, &client, &request.wanted, &query).await);
        }
    };
    let credentials = Credentials::parse(&reply.body).ok_or_else(|| client.unusable(&reply))?;
    if credentials.expires <= clock::unix_now() {
        return Err(Failure::unavailable(
            format!(
                "{} sent credentials that expired at {}",
                client.host(),
                credentials.expiration()
            ),
            "set the clock of this machine; `sentinel doctor` measures it",
        ));
    }
    Ok(credentials)
}

/// Asks for a JSON document.
pub(crate) fn fetch<T: DeserializeOwned>(
    endpoint: &Endpoint,
    environment: &Environment,
    path: &str,
) -> Result<T, Failure> {
    let deadline = Deadline::after(endpoint.timeout);
    run(async { Client::connect(endpoint, environment, deadline).await?.json(path).await })
}

/// Sends a POST with a JSON body, and reads the JSON document of the reply.
pub(crate) fn send<T: DeserializeOwned>(
    endpoint: &Endpoint,
    environment: &Environment,
    path: &str,
    body: &str,
) -> Result<T, Failure> {
    let deadline = Deadline::after(endpoint.timeout);
    run(async {
        let client = Client::connect(endpoint, environment, deadline).await?;
        let waited = format!("a reply of {}", endpoint.label());
        let reply = waiting(&waited, client.post(path, body)).await?;
        serde_json::from_slice(&reply.body).map_err(|_| client.unusable(&reply))
    })
}

/// A caller of one end point.
#[derive(Debug)]
pub(crate) struct Client<'e> {
    pub(crate) endpoint: &'e Endpoint,
    pub(crate) http: Http,
    pub(crate) credentials: aws_credential_types::Credentials,
    token: Option<SecretString>,
    proves: AtomicBool,
    pub(crate) environment: &'e Environment,
    pub(crate) deadline: Deadline,
}

impl<'e> Client<'e> {
    /// Finds the AWS credentials, the client token and whether the end point wants a proof.
    pub(crate) async fn connect(
        endpoint: &'e Endpoint,
        environment: &'e Environment,
        deadline: Deadline,
    ) -> Result<Self, Failure> {
        let http = Http::new(environment)?;
        let token = client_token::read(endpoint)?;
        let credentials = aws_credentials::resolve(endpoint, environment, &http, deadline).await?;
        let proves = AtomicBool::new(false);
        let client = Self { endpoint, http, credentials, token, proves, environment, deadline };
        client.decide_on_proof(memo::Use::Remembered).await;
        Ok(client)
    }

    /// Reads a JSON document.
    async fn json<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failure> {
        let waited = format!("a reply of {}", self.endpoint.label());
        let reply = waiting(&waited, self.get(path)).await?;
        serde_json::from_slice(&reply.body).map_err(|_| self.unusable(&reply))
    }

    /// Sends a `GET` until it succeeds, is refused, or the deadline passes. Returns a reply with status 200.
    pub(crate) async fn get(&self, path: &str) -> Result<Reply, Failure> {
        let mut retry = Retry::new(self.deadline);
        loop {
            let replied = self.send(path).await?;
            if let Ok(reply) = &replied
                && self.lacks_proof(reply).await
            {
                continue;
            }
            match retry.after(replied, self)? {
                Next::Done(reply) => return Ok(reply),
                Next::Again(pause) => tokio::time::sleep(pause).await,
            }
        }
    }

    /// Sends a `GET` once.
    pub(crate) async fn send(&self, path: &str) -> Result<Result<Reply, NoReply>, Failure> {
        let request = self.request(http::Method::GET, path, "")?;
        Ok(self.http.send(request, self.deadline).await)
    }

    /// Sends a `POST`. It changes something, so it is sent again only if the first one lacked a proof: that one changed
    /// nothing. Returns a reply with status 200.
    async fn post(&self, path: &str, body: &str) -> Result<Reply, Failure> {
        loop {
            let request = self.request(http::Method::POST, path, body)?;
            match self.http.send(request, self.deadline).await {
                Ok(reply) if reply.status == 200 => return Ok(reply),
                Ok(reply) if self.lacks_proof(&reply).await => {}
                Ok(reply) => return Err(self.failure(&reply)),
                Err(reason) => return Err(unreachable(reason, self.host())),
            }
        }
    }

    fn request(
        &self,
        method: http::Method,
        path: &str,
        body: &str,
    ) -> Result<http::Request<SdkBody>, Failure> {
        let mut request = http::Request::builder()
            .method(method)
            .uri(self.endpoint.url.at(path))
            .header(http::header::HOST, self.host())
            .header(http::header::ACCEPT, "application/json")
            .header(http::header::USER_AGENT, concat!("sentinel/", env!("CARGO_PKG_VERSION")));
        if let Some(token) = &self.token {
            let mut value = http::HeaderValue::from_str(token.expose_secret())
                .map_err(|_| client_token::malformed())?;
            value.set_sensitive(true);
            request = request.header("x-sentinel-token", value);
        }
        if self.proves.load(Ordering::Relaxed) {
            request =
                request.header(proof::HEADER, proof::header(self.endpoint, &self.credentials)?);
        }
        if !body.is_empty() {
            request = request.header(http::header::CONTENT_TYPE, "application/json");
        }
        let request = request.body(body.to_owned()).map_err(|_| {
            Failure::new(Exit::Defect, "the request cannot be built", "report this as a defect")
        })?;
        let scope = Scope { region: &self.endpoint.region, service: &self.endpoint.service };
        signed(request, scope, &self.credentials)
    }

    /// Whether the end point refused because it began to require a proof since it was last asked. From then on, proves.
    async fn lacks_proof(&self, reply: &Reply) -> bool {
        !self.proves.load(Ordering::Relaxed)
            && refusal::code(reply).as_deref() == Some("CALLER_PROOF_INVALID")
            && self.decide_on_proof(memo::Use::AskAgain).await
    }

    /// Decides whether to prove who calls. Returns the decision.
    async fn decide_on_proof(&self, memory: memo::Use) -> bool {
        let proves = self.endpoint.caller_proof == CallerProof::Auto
            && memo::accepts_proof(self, memory).await;
        self.proves.store(proves, Ordering::Relaxed);
        proves
    }

    /// The host of the end point.
    pub(crate) fn host(&self) -> &str {
        self.endpoint.url.authority()
    }

    /// The failure for an error reply.
    pub(crate) fn failure(&self, reply: &Reply) -> Failure {
        refusal::failure(self, reply)
    }

    /// A failure for a reply with status 200 that is not what the end point sends.
    pub(crate) fn unusable(&self, reply: &Reply) -> Failure {
        refusal::unusable(self.host(), reply)
    }
}
