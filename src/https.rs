//! HTTPS for all outgoing calls, to AWS and to the device management.
//!
//! Invariant: there is one TLS configuration. A server must present a certificate for its host name
//! that chains to a trusted root: one of Mozilla's, which are compiled in, or, if `AWS_CA_BUNDLE`
//! names a file, one in that file and no other.

use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, SharedHttpClient, SharedHttpConnector, http_client_fn,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_types::body::SdkBody;
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector as TcpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// How long a TCP connection may take to open.
const CONNECT: Duration = Duration::from_millis(1_500);

/// The certificate authorities to trust.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TrustedRoots {
    /// Mozilla's, in the crate `webpki-roots`.
    CompiledIn,
    /// Those in a PEM file, and no others.
    File(PathBuf),
}

/// Why a file of certificate authorities cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnusableRoots {
    /// It cannot be read.
    #[error("cannot be read")]
    Unreadable,
    /// It holds no certificate.
    #[error("holds no certificate in PEM")]
    Empty,
    /// One of its certificates does not parse.
    #[error("holds a certificate that does not parse")]
    Malformed,
}

/// An HTTP client over TLS. Its bodies are those of the AWS SDK.
pub(crate) type HttpsClient = Client<HttpsConnector<TcpConnector>, SdkBody>;

/// What all clients share: the TLS configuration, and with it the sessions to resume.
#[derive(Debug, Clone)]
pub struct Https {
    tls: Arc<ClientConfig>,
}

impl Https {
    /// TLS 1.3 and 1.2, with the roots to trust.
    pub fn new(roots: &TrustedRoots) -> Result<Self, UnusableRoots> {
        let roots = match roots {
            TrustedRoots::CompiledIn => webpki_roots::TLS_SERVER_ROOTS.iter().cloned().collect(),
            TrustedRoots::File(path) => read(path)?,
        };
        let tls = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_protocol_versions(rustls::DEFAULT_VERSIONS)
            .map_err(|_| UnusableRoots::Malformed)?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self { tls: Arc::new(tls) })
    }

    /// A client for the AWS SDK. It keeps idle connections.
    #[must_use]
    pub fn for_aws(&self) -> SharedHttpClient {
        let connector = SharedHttpConnector::new(AwsConnector(self.client(usize::MAX)));
        http_client_fn(move |_, _| connector.clone())
    }

    /// A client that keeps this many idle connections to each host.
    pub(crate) fn client(&self, idle: usize) -> HttpsClient {
        let mut tcp = TcpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(CONNECT));
        Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_max_idle_per_host(idle)
            .build(HttpsConnector::from((tcp, Arc::clone(&self.tls))))
    }
}

fn read(path: &Path) -> Result<RootCertStore, UnusableRoots> {
    let pem = std::fs::read(path).map_err(|_| UnusableRoots::Unreadable)?;
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        let certificate = certificate.map_err(|_| UnusableRoots::Malformed)?;
        roots.add(certificate).map_err(|_| UnusableRoots::Malformed)?;
    }
    if roots.is_empty() { Err(UnusableRoots::Empty) } else { Ok(roots) }
}

/// The client as the SDK wants it. The SDK's own connector would read the certificates of the
/// operating system, which takes longer than the rest of a start. Time limits are those of the SDK's
/// operations, so the settings of a connector are not needed.
#[derive(Debug)]
struct AwsConnector(HttpsClient);

impl HttpConnector for AwsConnector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let request = match request.try_into_http1x() {
            Ok(request) => request,
            Err(error) => {
                return HttpConnectorFuture::ready(Err(ConnectorError::user(error.into())));
            }
        };
        let sent = self.0.request(request);
        HttpConnectorFuture::new(async move {
            let response = sent.await.map_err(|error| ConnectorError::io(error.into()))?;
            HttpResponse::try_from(response.map(SdkBody::from_body_1_x))
                .map_err(|error| ConnectorError::other(error.into(), None))
        })
    }
}
