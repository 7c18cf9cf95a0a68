//! The certificate of the host.

use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use axum_server::tls_rustls::RustlsConfig;
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::config::Tls;
use crate::serve::ServerError;

/// A certificate that is read again when its files change, so that a renewed one needs no restart.
pub(crate) struct Certificate {
    files: Tls,
    modified: Option<(SystemTime, SystemTime)>,
    pub(crate) config: RustlsConfig,
}

impl Certificate {
    /// Reads the files.
    pub(crate) fn load(files: Tls) -> Result<Self, ServerError> {
        let modified = modified(&files);
        let config = RustlsConfig::from_config(Arc::new(read(&files)?));
        Ok(Self { files, modified, config })
    }

    /// Reads them again if they changed. While they do not fit each other, because only one of
    /// them is new yet, the certificate stays as it is.
    pub(crate) fn renew(&mut self) {
        let now = modified(&self.files);
        if now == self.modified {
            return;
        }
        match read(&self.files) {
            Ok(config) => {
                self.config.reload_from_config(Arc::new(config));
                self.modified = now;
                tracing::info!("the certificate was read again");
            }
            Err(error) => tracing::error!(%error, "the new certificate cannot be used"),
        }
    }
}

fn modified(files: &Tls) -> Option<(SystemTime, SystemTime)> {
    let of = |path: &Path| std::fs::metadata(path).and_then(|file| file.modified()).ok();
    Some((of(&files.cert)?, of(&files.key)?))
}

fn read(files: &Tls) -> Result<ServerConfig, ServerError> {
    let unusable = |path: &Path, why: &dyn std::fmt::Display| {
        ServerError::tls(format!("`{}`: {why}", path.display()))
    };
    let certificates = CertificateDer::pem_file_iter(&files.cert)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| unusable(&files.cert, &error))?;
    if certificates.is_empty() {
        return Err(unusable(&files.cert, &"it holds no certificate"));
    }
    let key = PrivateKeyDer::from_pem_file(&files.key);
    let key = key.map_err(|error| unusable(&files.key, &error))?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(certificates, key))
        .map_err(|error| unusable(&files.key, &error))?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}
