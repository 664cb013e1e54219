//! The daemon's certificate: the reference's files, made when they are not there.

use std::io;
use std::path::Path;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use crate::files::write_atomically;

/// Why there is no usable certificate.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    #[error("{0}: {1}; remove pcsd.crt and pcsd.key there to have new ones made")]
    Unreadable(String, String),
    #[error("a certificate cannot be made: {0}")]
    Make(#[from] rcgen::Error),
    #[error("a certificate cannot be stored: {0}")]
    Store(#[from] io::Error),
    #[error("the certificate and key do not fit: {0}")]
    Tls(#[from] rustls::Error),
}

/// TLS settings from `pcsd.crt` and `pcsd.key` in a directory.
///
/// # Errors
/// [`CertificateError`].
pub fn server_config(directory: &Path, host: &str) -> Result<Arc<ServerConfig>, CertificateError> {
    let (certificate, key) = (directory.join("pcsd.crt"), directory.join("pcsd.key"));
    if !certificate.exists() || !key.exists() {
        make(&certificate, &key, host)?;
    }
    let fault = |error: rustls_pki_types::pem::Error| {
        CertificateError::Unreadable(directory.display().to_string(), error.to_string())
    };
    let chain = CertificateDer::pem_file_iter(&certificate).map_err(fault)?;
    let chain: Vec<CertificateDer<'static>> = chain.collect::<Result<_, _>>().map_err(fault)?;
    let key = PrivateKeyDer::from_pem_file(&key).map_err(fault)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    Ok(Arc::new(config))
}

fn make(certificate: &Path, key: &Path, host: &str) -> Result<(), CertificateError> {
    let mut parameters = rcgen::CertificateParams::new(vec![host.to_string()])?;
    parameters.distinguished_name.push(rcgen::DnType::CommonName, host);
    parameters.distinguished_name.push(rcgen::DnType::OrganizationName, "pcsd");
    let pair = rcgen::KeyPair::generate()?;
    let made = parameters.self_signed(&pair)?;
    if let Some(parent) = certificate.parent() {
        std::fs::create_dir_all(parent)?;
    }
    write_atomically(key, pair.serialize_pem().as_bytes(), 0o600)?;
    write_atomically(certificate, made.pem().as_bytes(), 0o600)?;
    Ok(())
}
