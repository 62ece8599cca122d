//! TLS to AWS and to the device management, against a server on loopback with certificates made
//! for each test.

use crate::support::{sdk_config_with, wednesday_morning};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd,
};
use sentinel_tvm::{
    BaseUrl, CachedSecret, DeviceId, Https, Mdm, MdmCredential, MdmSettings, Posture, PostureError,
    Provider, SecretError, Served, TrustedRoots, UnusableRoots,
};
use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration as Real;
use time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use tokio_rustls::rustls::{HandshakeKind, ServerConfig};

type Issuer = CertifiedIssuer<'static, KeyPair>;

/// What the server answers, to Secrets Manager's client and to the device management's.
const SECRET: &str = r#"{"Name":"mdm","SecretString":"token","VersionId":"1"}"#;
const NO_DEVICES: &str = "[]";

fn authority(name: &str) -> Issuer {
    let mut root = CertificateParams::default();
    root.distinguished_name.push(DnType::CommonName, name);
    root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(root, KeyPair::generate().unwrap()).unwrap()
}

fn certificate(host: &str) -> CertificateParams {
    CertificateParams::new(vec![host.to_owned()]).unwrap()
}

/// A server on `localhost`, and the kinds of its handshakes that succeeded.
struct Server {
    port: u16,
    handshakes: Arc<Mutex<Vec<HandshakeKind>>>,
}

impl Server {
    /// Serves with a certificate that `issuer` signed.
    async fn start(certificate: CertificateParams, issuer: &Issuer) -> Self {
        let key = KeyPair::generate().unwrap();
        let leaf = certificate.signed_by(&key, issuer).unwrap();
        let config = ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(
                vec![leaf.der().clone()],
                PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
            )
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("localhost:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let handshakes = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&handshakes);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let _ = serve(&acceptor, stream, &seen).await;
            }
        });
        Self { port, handshakes }
    }

    fn url(&self) -> String {
        format!("https://localhost:{}", self.port)
    }

    /// Whether both clients reach the server.
    async fn reached(&self, roots: &TrustedRoots) -> (bool, bool) {
        let https = Https::new(roots).unwrap();
        let secret = match self.ask_aws(&https).await {
            Ok(_) => true,
            Err(SecretError::Unavailable { .. }) => false,
            Err(error) => panic!("{error}"),
        };
        let device = match self.ask_mdm(&self.mdm(&https)).await {
            Err(PostureError::UnknownDevice) => true,
            Err(PostureError::Upstream { cause }) if cause == "no connection" => false,
            other => panic!("{other:?}"),
        };
        (secret, device)
    }

    async fn ask_aws(&self, https: &Https) -> Result<Served<MdmCredential>, SecretError> {
        let aws = sdk_config_with(https, &self.url()).await;
        let secret = CachedSecret::from_secrets_manager(&aws, "mdm", Duration::HOUR);
        secret.value(wednesday_morning()).await
    }

    fn mdm(&self, https: &Https) -> Mdm {
        let settings = MdmSettings {
            provider: Provider::Kandji,
            base_url: BaseUrl::parse(&self.url()).unwrap(),
            timeout: Real::from_secs(30),
            posture_ttl: Duration::ZERO,
        };
        Mdm::new(settings, CachedSecret::fixed("token".to_owned().into()), https).unwrap()
    }

    async fn ask_mdm(&self, mdm: &Mdm) -> Result<Posture, PostureError> {
        mdm.posture(&DeviceId::parse("C02XK1".to_owned()).unwrap(), wednesday_morning()).await
    }
}

/// Answers one request.
async fn serve(
    acceptor: &TlsAcceptor,
    stream: TcpStream,
    handshakes: &Mutex<Vec<HandshakeKind>>,
) -> std::io::Result<()> {
    let mut stream = acceptor.accept(stream).await?;
    handshakes.lock().unwrap().extend(stream.get_ref().1.handshake_kind());
    let mut request = [0; 8192];
    let length = stream.read(&mut request).await?;
    let body = if request[..length].starts_with(b"POST") { SECRET } else { NO_DEVICES };
    let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close";
    let answer = format!("{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    stream.write_all(answer.as_bytes()).await?;
    stream.shutdown().await
}

fn bundle_of(issuer: &Issuer) -> TrustedRoots {
    bundle(&issuer.pem())
}

/// A new file with this text.
fn bundle(text: &str) -> TrustedRoots {
    let name = format!("roots-{:032x}.pem", fastrand::u128(..));
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::write(&path, text).unwrap();
    TrustedRoots::File(path)
}

#[tokio::test]
async fn a_server_with_a_certificate_from_the_bundle_is_reached() {
    let issuer = authority("the bundle's");
    let server = Server::start(certificate("localhost"), &issuer).await;
    assert_eq!(server.reached(&bundle_of(&issuer)).await, (true, true));
}

/// THREAT: somebody between the function and AWS, or the device management, presents a certificate
/// of their own. PREVENTION: both clients refuse a certificate from another authority, for another
/// host or past its end, and send nothing.
#[tokio::test]
async fn security_wrong_certificates_are_refused() {
    let (issuer, stranger) = (authority("the bundle's"), authority("a stranger's"));
    let mut expired = certificate("localhost");
    expired.not_before = date_time_ymd(2020, 1, 1);
    expired.not_after = date_time_ymd(2021, 1, 1);
    let bundle = bundle_of(&issuer);
    for (what, certificate, signed_by) in [
        ("another authority", certificate("localhost"), &stranger),
        ("the same name, another key", certificate("localhost"), &authority("the bundle's")),
        ("another host", certificate("sts.amazonaws.com"), &issuer),
        ("expired", expired, &issuer),
    ] {
        let server = Server::start(certificate, signed_by).await;
        assert_eq!(server.reached(&bundle).await, (false, false), "{what}");
        assert_eq!(server.reached(&TrustedRoots::CompiledIn).await, (false, false), "{what}");
        assert!(server.handshakes.lock().unwrap().is_empty(), "{what}");
    }
}

/// THREAT: without a bundle, any authority passes. PREVENTION: only the compiled-in ones do, and the
/// certificate that a bundle would let pass is refused.
#[tokio::test]
async fn security_without_a_bundle_a_private_authority_is_refused() {
    let server = Server::start(certificate("localhost"), &authority("private")).await;
    assert_eq!(server.reached(&TrustedRoots::CompiledIn).await, (false, false));
}

/// THREAT: a bundle that cannot be used silently means the compiled-in authorities, or none.
/// PREVENTION: it stops the start.
#[test]
fn security_an_unusable_bundle_is_an_error() {
    let opened = |path: &str| Https::new(&TrustedRoots::File(path.into())).map(drop);
    let written = |text: &str| Https::new(&bundle(text)).map(drop);
    let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    assert_eq!(opened("/no/such/file.pem"), Err(UnusableRoots::Unreadable));
    assert_eq!(opened(env!("CARGO_TARGET_TMPDIR")), Err(UnusableRoots::Unreadable));
    assert_eq!(written(""), Err(UnusableRoots::Empty));
    assert_eq!(written("not PEM"), Err(UnusableRoots::Empty));
    assert_eq!(written(broken), Err(UnusableRoots::Malformed));
    assert_eq!(written(&(authority("a").pem() + broken)), Err(UnusableRoots::Malformed));
    assert_eq!(written(&authority("a").pem()), Ok(()));
}

#[tokio::test]
async fn a_later_connection_resumes_the_session() {
    let issuer = authority("the bundle's");
    let server = Server::start(certificate("localhost"), &issuer).await;
    let https = Https::new(&bundle_of(&issuer)).unwrap();
    let mdm = server.mdm(&https);
    for _ in 0..2 {
        assert_eq!(server.ask_mdm(&mdm).await, Err(PostureError::UnknownDevice));
    }
    server.ask_aws(&https).await.unwrap();
    let handshakes = server.handshakes.lock().unwrap().clone();
    assert!(matches!(
        handshakes[..],
        [first, HandshakeKind::Resumed, HandshakeKind::Resumed] if first != HandshakeKind::Resumed
    ));
}
