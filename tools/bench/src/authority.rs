//! A certificate authority of this run, and the files by which programs trust it.

use crate::Result;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

/// What the stub upstreams serve with, and what the programs trust.
pub(crate) struct Authority {
    pub(crate) acceptor: TlsAcceptor,
    /// This authority's certificate alone.
    pub(crate) own: PathBuf,
    /// The same and the root certificates of Mozilla, which the systems of Lambda have too. A program that reads the system's roots
    /// then has as much to read here as there, on every machine.
    pub(crate) all: PathBuf,
}

impl Authority {
    /// An authority, a certificate for 127.0.0.1 that it issued, and its files in `directory`.
    pub(crate) fn new(directory: &Path) -> Result<Self> {
        let mut root = CertificateParams::default();
        root.distinguished_name.push(DnType::CommonName, "The authority of this bench");
        root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let root = CertifiedIssuer::self_signed(root, KeyPair::generate()?)?;
        let key = KeyPair::generate()?;
        let leaf = CertificateParams::new(vec!["127.0.0.1".to_owned()])?;
        let leaf = leaf.signed_by(&key, &root)?;
        let config = ServerConfig::builder().with_no_client_auth().with_single_cert(
            vec![leaf.der().clone(), root.der().clone()],
            PrivateKeyDer::try_from(key.serialize_der())?,
        )?;
        fs::create_dir_all(directory)?;
        let (own, all) = (directory.join("own.pem"), directory.join("all.pem"));
        fs::write(&own, root.pem())?;
        let system: String =
            webpki_root_certs::TLS_SERVER_ROOT_CERTS.iter().map(|root| pem(root)).collect();
        fs::write(&all, system + &root.pem())?;
        Ok(Self { acceptor: TlsAcceptor::from(Arc::new(config)), own, all })
    }
}

fn pem(der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let lines: Vec<String> =
        text.as_bytes().chunks(64).map(|line| String::from_utf8_lossy(line).into_owned()).collect();
    format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"))
}
