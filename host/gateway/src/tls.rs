//! The gateway's certificate.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum_server::tls_rustls::RustlsConfig;
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::Tls;
use crate::serve::GatewayError;

/// How often it is looked whether the files changed.
const RENEWAL: Duration = Duration::from_secs(60);

/// Reads the certificate and its key.
pub(crate) fn load(tls: &Tls) -> Result<RustlsConfig, GatewayError> {
    Ok(RustlsConfig::from_config(Arc::new(read(tls)?)))
}

/// Reads the files again whenever they change, so that a renewed certificate needs no restart.
/// While only one of them is new, the certificate stays as it is.
pub(crate) async fn renew(tls: Tls, config: RustlsConfig) {
    let mut known = modified(&tls);
    loop {
        tokio::time::sleep(RENEWAL).await;
        let now = modified(&tls);
        if now == known {
            continue;
        }
        match read(&tls) {
            Ok(read) => {
                config.reload_from_config(Arc::new(read));
                known = now;
                tracing::info!("the certificate was read again");
            }
            Err(error) => tracing::error!(%error, "the changed certificate stays unused"),
        }
    }
}

fn modified(tls: &Tls) -> [Option<SystemTime>; 2] {
    [&tls.cert, &tls.key].map(|file| std::fs::metadata(file).and_then(|it| it.modified()).ok())
}

fn read(tls: &Tls) -> Result<ServerConfig, GatewayError> {
    let unusable = |file: &Path, why: &dyn fmt::Display| GatewayError::Tls {
        file: file.display().to_string(),
        why: why.to_string(),
    };
    let chain = CertificateDer::pem_file_iter(&tls.cert)
        .and_then(|certificates| certificates.collect::<Result<Vec<_>, _>>())
        .map_err(|error| unusable(&tls.cert, &error))?;
    if chain.is_empty() {
        return Err(unusable(&tls.cert, &"it holds no certificate"));
    }
    let key = PrivateKeyDer::from_pem_file(&tls.key).map_err(|error| unusable(&tls.key, &error))?;
    // Named, because another crate of the program may bring a second provider.
    let provider = Arc::new(aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
        .map_err(|error| unusable(&tls.key, &error))?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_that_are_no_certificate_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let tls = Tls { cert: folder.path().join("cert.pem"), key: folder.path().join("key.pem") };
        assert!(load(&tls).unwrap_err().to_string().contains("cert.pem"));
        std::fs::write(&tls.cert, "nothing").unwrap();
        std::fs::write(&tls.key, "nothing").unwrap();
        let why = load(&tls).unwrap_err().to_string();
        assert!(why.contains("cert.pem") && why.contains("no certificate"), "{why}");
    }
}
