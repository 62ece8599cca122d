//! HTTP over TLS, for the end point and for the AWS SDK alike.
//!
//! Certificates are the operating system's, or those of `AWS_CA_BUNDLE`. `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY` apply to
//! `https`; plain `http` goes to this machine or to a metadata service, never through a proxy.

use aws_smithy_http_client::Connector;
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::{self, TlsContext, TrustStore};
use aws_smithy_runtime_api::client::http::{
    HttpConnector as _, HttpConnectorSettings, SharedHttpClient, SharedHttpConnector,
    http_client_fn,
};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_types::body::SdkBody;
use http::HeaderMap;
use http_body_util::{BodyExt as _, Limited};
use std::time::Duration;

use crate::clock::Deadline;
use crate::environment::Environment;
use crate::failure::{Failure, chain_of, quoted};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Longer than the function may take.
const READ_TIMEOUT: Duration = Duration::from_secs(15);

/// The largest reply that is read.
const MOST_BYTES: usize = 256 * 1024;

/// A client.
#[derive(Debug, Clone)]
pub(crate) struct Http {
    transport: Transport,
    connector: SharedHttpConnector,
}

/// The proxy and the trusted certificates.
#[derive(Debug, Clone)]
struct Transport {
    proxy: ProxyConfig,
    tls: TlsContext,
}

/// A whole reply.
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl std::fmt::Debug for Reply {
    /// Without the body: it may hold credentials.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Reply").field("status", &self.status).finish_non_exhaustive()
    }
}

impl Reply {
    /// A header, if it is there and is text.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

/// Why no whole reply came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoReply {
    NameUnknown,
    Tls,
    NotReached,
    TimedOut,
    CutShort,
}

impl NoReply {
    /// Whether another attempt may succeed.
    pub(crate) fn may_pass(self) -> bool {
        self != Self::Tls
    }
}

impl Http {
    pub(crate) fn new(environment: &Environment) -> Result<Self, Failure> {
        let transport = Transport::of(environment)?;
        let settings = HttpConnectorSettings::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .read_timeout(READ_TIMEOUT)
            .build();
        let connector = transport.connector(&settings);
        Ok(Self { transport, connector })
    }

    /// The same transport for the AWS SDK, with the SDK's own time limits: a metadata service that does not exist is
    /// given up after a second.
    pub(crate) fn for_sdk(&self) -> SharedHttpClient {
        let transport = self.transport.clone();
        http_client_fn(move |settings, _| transport.connector(settings))
    }

    /// Sends a request and reads the whole reply.
    pub(crate) async fn send(
        &self,
        request: http::Request<SdkBody>,
        deadline: Deadline,
    ) -> Result<Reply, NoReply> {
        tokio::time::timeout(deadline.left(), self.send_now(request))
            .await
            .unwrap_or(Err(NoReply::TimedOut))
    }

    async fn send_now(&self, request: http::Request<SdkBody>) -> Result<Reply, NoReply> {
        let request = request.try_into().map_err(|_| NoReply::NotReached)?;
        let response = self.connector.call(request).await.map_err(|error| no_reply(&error))?;
        let response = response.try_into_http1x().map_err(|_| NoReply::CutShort)?;
        let (head, body) = response.into_parts();
        let body = Limited::new(body, MOST_BYTES).collect();
        let body = tokio::time::timeout(READ_TIMEOUT, body).await;
        let body = body.map_err(|_| NoReply::TimedOut)?.map_err(|_| NoReply::CutShort)?;
        Ok(Reply {
            status: head.status.as_u16(),
            headers: head.headers,
            body: body.to_bytes().into(),
        })
    }
}

impl Transport {
    fn of(environment: &Environment) -> Result<Self, Failure> {
        let tls = TlsContext::builder().with_trust_store(trust_store(environment)?).build();
        let tls = tls.map_err(|_| unusable_bundle("is not usable"))?;
        Ok(Self { proxy: proxy(environment)?, tls })
    }

    fn connector(&self, settings: &HttpConnectorSettings) -> SharedHttpConnector {
        let connector = Connector::builder()
            .connector_settings(settings.clone())
            .proxy_config(self.proxy.clone())
            .tls_provider(tls::Provider::Rustls(tls::rustls_provider::CryptoMode::AwsLc))
            .tls_context(self.tls.clone());
        SharedHttpConnector::new(connector.build())
    }
}

/// The certificates of `AWS_CA_BUNDLE`, else the operating system's.
fn trust_store(environment: &Environment) -> Result<TrustStore, Failure> {
    let Some(path) = environment.path("AWS_CA_BUNDLE") else { return Ok(TrustStore::default()) };
    let pem = std::fs::read(&path)
        .map_err(|error| unusable_bundle(&format!("{} cannot be read: {error}", path.display())))?;
    // The TLS library panics at a bundle that is not PEM.
    if !String::from_utf8_lossy(&pem).contains("-----BEGIN CERTIFICATE-----") {
        return Err(unusable_bundle(&format!("{} holds no PEM certificate", path.display())));
    }
    Ok(TrustStore::empty().with_pem_certificate(pem))
}

fn unusable_bundle(why: &str) -> Failure {
    Failure::settings(format!("AWS_CA_BUNDLE: {why}"), "correct or unset AWS_CA_BUNDLE")
}

fn proxy(environment: &Environment) -> Result<ProxyConfig, Failure> {
    let names = ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"];
    let Some(url) = names.iter().find_map(|name| environment.text(name)) else {
        return Ok(ProxyConfig::disabled());
    };
    // The URL is not shown: it may hold a password.
    let config = ProxyConfig::https(url).map_err(|_| {
        Failure::settings("HTTPS_PROXY or ALL_PROXY is not a URL", "correct or unset it")
    })?;
    let exempt = environment.text("NO_PROXY").or_else(|| environment.text("no_proxy"));
    Ok(config.no_proxy(exempt.unwrap_or_default()))
}

/// The kind of a connector's error, by what is in its chain.
fn no_reply(error: &ConnectorError) -> NoReply {
    if error.is_timeout() {
        return NoReply::TimedOut;
    }
    let chain = chain_of(error);
    let has = |text: &str| chain.contains(text);
    if has("dns error") || has("failed to lookup address") {
        NoReply::NameUnknown
    } else if has("certificate") || has("received corrupt message") || has("received fatal alert") {
        NoReply::Tls
    } else if has("error trying to connect") || has("client error (Connect)") {
        if has("peer misbehaved") || has("handshake") { NoReply::Tls } else { NoReply::NotReached }
    } else {
        NoReply::CutShort
    }
}

/// A failure for a host that did not reply.
pub(crate) fn unreachable(reason: NoReply, host: &str) -> Failure {
    let host = quoted(host);
    let (what, next) = match reason {
        NoReply::NameUnknown => (
            format!("the name {host} cannot be resolved (DNS)"),
            "check the URL, and that this machine is online",
        ),
        NoReply::Tls => (
            format!(
                "no trusted TLS connection to {host}: its certificate or protocol was not accepted"
            ),
            "check the URL; behind a proxy that re-encrypts, set AWS_CA_BUNDLE to its certificates",
        ),
        NoReply::NotReached => (
            format!("no connection to {host}"),
            "check the URL, the network, and HTTPS_PROXY if you need a proxy",
        ),
        NoReply::TimedOut => (
            format!("{host} did not reply in time"),
            "try again; if it stays so, run `sentinel doctor`",
        ),
        NoReply::CutShort => (
            format!("the reply of {host} was cut short"),
            "try again; if it stays so, run `sentinel doctor`",
        ),
    };
    Failure::unavailable(what, next)
}
