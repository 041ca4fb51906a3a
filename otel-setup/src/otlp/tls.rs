//! Whom to trust, and who to be: `https`.

use std::fs;
use std::sync::Arc;

use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use tonic::transport::{ClientTlsConfig, Identity};

use super::signal_var::SignalVar;
use crate::env::Env;
use crate::error::InitError;
use crate::signal::Signal;

/// By the environment: a certificate of whoever signs the receiver's, else those that the system trusts; and a certificate of one's own with its key, where there is one.
#[derive(Debug)]
pub(super) struct Tls {
    http: ClientConfig,
    grpc: ClientTlsConfig,
}

impl Tls {
    /// # Errors
    ///
    /// Where a file cannot be read, has not in it what it should, or one of the two of one's own is missing.
    pub(super) fn from_env(signal: Signal, env: &Env) -> Result<Self, InitError> {
        let roots = match Pem::read(signal, "CERTIFICATE", env)? {
            Some(file) => file.roots()?,
            None => system_roots()?,
        };
        let grpc = ClientTlsConfig::new().trust_anchors(roots.roots.clone());
        let http = with_roots(roots);
        let certificate = Pem::read(signal, "CLIENT_CERTIFICATE", env)?;
        let key = Pem::read(signal, "CLIENT_KEY", env)?;
        match (certificate, key) {
            (None, None) => {
                let http = http.with_no_client_auth();
                Ok(Tls { http, grpc })
            }
            (Some(certificate), Some(key)) => {
                let http = http.with_client_auth_cert(certificate.certificates()?, key.key()?);
                let http = http.map_err(|error| key.error("is not the key of the client certificate", &error))?;
                let grpc = grpc.identity(Identity::from_pem(certificate.content, key.content));
                Ok(Tls { http, grpc })
            }
            (Some(certificate), None) => Err(certificate.alone("CLIENT_KEY")),
            (None, Some(key)) => Err(key.alone("CLIENT_CERTIFICATE")),
        }
    }

    pub(super) fn for_http(&self) -> ClientConfig {
        self.http.clone()
    }

    pub(super) fn for_grpc(&self) -> ClientTlsConfig {
        self.grpc.clone()
    }

    /// For where no TLS is asked for.
    pub(super) fn without_roots() -> ClientConfig {
        with_roots(RootCertStore::empty()).with_no_client_auth()
    }
}

/// With ring, whatever else the process uses: nothing is installed for all of it.
fn with_roots(roots: RootCertStore) -> rustls::ConfigBuilder<ClientConfig, rustls::client::WantsClientCert> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("ring has both versions of TLS")
        .with_root_certificates(roots)
}

fn system_roots() -> Result<RootCertStore, InitError> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    let (taken, _) = roots.add_parsable_certificates(found.certs);
    if taken > 0 {
        return Ok(roots);
    }
    let reasons: Vec<String> = found.errors.iter().map(ToString::to_string).collect();
    Err(InitError::new(format!(
        "an endpoint is https, and this system has no certificates to trust ({}); name a file with those to trust in OTEL_EXPORTER_OTLP_CERTIFICATE",
        if reasons.is_empty() {
            "none were found".to_owned()
        } else {
            reasons.join("; ")
        },
    )))
}

/// A file, and the variable that names it.
struct Pem {
    signal: Signal,
    variable: String,
    path: String,
    content: Vec<u8>,
}

impl Pem {
    fn read(signal: Signal, variable: &str, env: &Env) -> Result<Option<Self>, InitError> {
        let names = SignalVar::new(signal, variable);
        let Some((variable, path)) = names.text(env) else {
            return Ok(None);
        };
        match fs::read(&path) {
            Ok(content) => Ok(Some(Pem {
                signal,
                variable: variable.to_owned(),
                path,
                content,
            })),
            Err(error) => {
                let what = format!("cannot be read: {error}");
                Err(InitError::invalid_variable(variable, &path, what).with_source(error))
            }
        }
    }

    fn certificates(&self) -> Result<Vec<CertificateDer<'static>>, InitError> {
        let certificates: Result<Vec<_>, pem::Error> = CertificateDer::pem_slice_iter(&self.content).collect();
        match certificates {
            Ok(certificates) if certificates.is_empty() => {
                Err(self.error("has no certificate in it", &pem::Error::NoItemsFound))
            }
            Ok(certificates) => Ok(certificates),
            Err(error) => Err(self.error("has no certificate in it", &error)),
        }
    }

    fn roots(&self) -> Result<RootCertStore, InitError> {
        let mut roots = RootCertStore::empty();
        for certificate in self.certificates()? {
            let added = roots.add(certificate);
            added.map_err(|error| self.error("has no valid certificate in it", &error))?;
        }
        Ok(roots)
    }

    fn key(&self) -> Result<PrivateKeyDer<'static>, InitError> {
        PrivateKeyDer::from_pem_slice(&self.content).map_err(|error| self.error("has no private key in it", &error))
    }

    fn error(&self, what: &str, error: &dyn std::error::Error) -> InitError {
        InitError::invalid_variable(&self.variable, &self.path, format_args!("{what}: {error}"))
    }

    fn alone(&self, other: &str) -> InitError {
        let other = SignalVar::new(self.signal, other);
        let other = other.general();
        InitError::invalid_variable(
            &self.variable,
            &self.path,
            format_args!("is of no use without {other}; set both, or none"),
        )
    }
}
