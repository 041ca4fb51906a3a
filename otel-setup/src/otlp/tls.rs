//! The TLS settings of `https` endpoints: trusted certificates and the client's identity.

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

/// TLS settings of the environment: the trusted certificates, by default the system's, and an
/// optional client certificate.
#[derive(Debug)]
pub(super) struct Tls {
    #[cfg_attr(not(feature = "http"), allow(dead_code, reason = "building it checks the files"))]
    http: ClientConfig,
    grpc: ClientTlsConfig,
}

impl Tls {
    /// Reads the files that the environment names.
    ///
    /// # Errors
    ///
    /// If a file cannot be read or parsed, or if the client certificate or its key is missing.
    pub(super) fn from_env(signal: Signal, env: &Env) -> Result<Self, InitError> {
        let roots = match Pem::read(signal, "CERTIFICATE", env)? {
            Some(file) => file.roots()?,
            None => system_roots(env)?,
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
                let http =
                    http.map_err(|error| key.error("is not the private key of the client certificate", &error))?;
                let grpc = grpc.identity(Identity::from_pem(certificate.content, key.content));
                Ok(Tls { http, grpc })
            }
            (Some(certificate), None) => Err(certificate.requires("CLIENT_KEY")),
            (None, Some(key)) => Err(key.requires("CLIENT_CERTIFICATE")),
        }
    }

    #[cfg(feature = "http")]
    pub(super) fn for_http(&self) -> ClientConfig {
        self.http.clone()
    }

    pub(super) fn for_grpc(&self) -> ClientTlsConfig {
        self.grpc.clone()
    }

    /// Returns a configuration that trusts no certificate.
    #[cfg(feature = "http")]
    pub(super) fn without_roots() -> ClientConfig {
        with_roots(RootCertStore::empty()).with_no_client_auth()
    }
}

/// Starts a configuration with the provider ring. It neither uses nor sets the default provider of
/// the process.
fn with_roots(roots: RootCertStore) -> rustls::ConfigBuilder<ClientConfig, rustls::client::WantsClientCert> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("ring has both versions of TLS")
        .with_root_certificates(roots)
}

fn system_roots(env: &Env) -> Result<RootCertStore, InitError> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    let (added, _) = roots.add_parsable_certificates(found.certs);
    if added > 0 {
        return Ok(roots);
    }
    let reasons: Vec<String> = found.errors.iter().map(ToString::to_string).collect();
    let reasons = if reasons.is_empty() {
        "none were found".to_owned()
    } else {
        reasons.join("; ")
    };
    let advice = match env.setting("OTEL_EXPORTER_OTLP_CERTIFICATE") {
        Some(setting) => format!("; set {setting} to a PEM file"),
        None => String::new(),
    };
    Err(InitError::new(format!(
        "an endpoint is https, but the system has no trusted certificates ({reasons}){advice}"
    )))
}

/// A PEM file, and the variable that names it.
struct Pem {
    signal: Signal,
    variable: String,
    path: String,
    content: Vec<u8>,
}

impl Pem {
    fn read(signal: Signal, name: &str, env: &Env) -> Result<Option<Self>, InitError> {
        let variable = SignalVar::new(signal, name);
        let Some((variable, path)) = variable.text(env) else {
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
                let problem = format!("cannot be read: {error}");
                Err(InitError::invalid_variable(variable, &path, problem).with_source(error))
            }
        }
    }

    fn certificates(&self) -> Result<Vec<CertificateDer<'static>>, InitError> {
        let certificates: Result<Vec<_>, pem::Error> = CertificateDer::pem_slice_iter(&self.content).collect();
        match certificates {
            Ok(certificates) if certificates.is_empty() => {
                Err(self.error("contains no valid certificate", &pem::Error::NoItemsFound))
            }
            Ok(certificates) => Ok(certificates),
            Err(error) => Err(self.error("contains no valid certificate", &error)),
        }
    }

    fn roots(&self) -> Result<RootCertStore, InitError> {
        let mut roots = RootCertStore::empty();
        for certificate in self.certificates()? {
            let added = roots.add(certificate);
            added.map_err(|error| self.error("contains an invalid certificate", &error))?;
        }
        Ok(roots)
    }

    fn key(&self) -> Result<PrivateKeyDer<'static>, InitError> {
        PrivateKeyDer::from_pem_slice(&self.content)
            .map_err(|error| self.error("contains no valid private key", &error))
    }

    fn error(&self, problem: &str, error: &dyn std::error::Error) -> InitError {
        InitError::invalid_variable(&self.variable, &self.path, format_args!("{problem}: {error}"))
    }

    fn requires(&self, other: &str) -> InitError {
        let other = SignalVar::new(self.signal, other);
        let other = other.general();
        InitError::invalid_variable(
            &self.variable,
            &self.path,
            format_args!("requires {other}; set both or neither"),
        )
    }
}
