//! The TLS settings of `https` endpoints: trusted certificates and the client's identity.

use std::fmt;
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
    files: Files,
    roots: Arc<RootCertStore>,
}

impl Tls {
    /// Reads the files that the environment names.
    ///
    /// # Errors
    ///
    /// If a file cannot be read or parsed, or if the client certificate or its key is missing.
    pub(super) fn from_env(signal: Signal, env: &Env) -> Result<Self, InitError> {
        let files = Files::read(signal, env)?;
        let roots = files.roots()?;
        Tls::new(files, roots)
    }

    fn new(files: Files, roots: RootCertStore) -> Result<Self, InitError> {
        let roots = Arc::new(roots);
        let grpc = ClientTlsConfig::new().trust_anchors(roots.roots.clone());
        let http = with_roots(Arc::clone(&roots));
        let (http, grpc) = match (&files.client_certificate, &files.client_key) {
            (None, None) => (http.with_no_client_auth(), grpc),
            (Some(certificate), Some(key)) => {
                let http = http.with_client_auth_cert(certificate.certificates()?, key.key()?);
                let http =
                    http.map_err(|error| key.error("is not the private key of the client certificate", &error))?;
                let identity = Identity::from_pem(&certificate.content, &key.content);
                (http, grpc.identity(identity))
            }
            (Some(certificate), None) => return Err(certificate.requires("CLIENT_KEY")),
            (None, Some(key)) => return Err(key.requires("CLIENT_CERTIFICATE")),
        };
        Ok(Tls {
            http,
            grpc,
            files,
            roots,
        })
    }

    /// Reads the files again, or the system's certificates. Returns the settings if they differ:
    /// certificates expire, and are replaced while a service runs.
    ///
    /// # Errors
    ///
    /// As for [`from_env`](Self::from_env), for instance if only one of two files is replaced yet.
    pub(super) fn renewed(&self) -> Result<Option<Self>, InitError> {
        let files = self.files.read_again()?;
        let roots = files.roots()?;
        let is_same = roots.roots == self.roots.roots && files.have_client_of(&self.files);
        if is_same {
            return Ok(None);
        }
        Tls::new(files, roots).map(Some)
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
        with_roots(Arc::new(RootCertStore::empty())).with_no_client_auth()
    }
}

/// Starts a configuration with the provider ring. It neither uses nor sets the default provider of
/// the process.
fn with_roots(roots: Arc<RootCertStore>) -> rustls::ConfigBuilder<ClientConfig, rustls::client::WantsClientCert> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("ring has both versions of TLS")
        .with_root_certificates(roots)
}

fn system_roots(instead: Option<&str>) -> Result<RootCertStore, InitError> {
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
    let advice = match instead {
        Some(setting) => format!("; set {setting} to a PEM file"),
        None => String::new(),
    };
    Err(InitError::new(format!(
        "an endpoint is https, but the system has no trusted certificates ({reasons}){advice}"
    )))
}

/// The files of TLS settings, as they were when they were read.
#[derive(Debug)]
struct Files {
    certificate: Option<Pem>,
    client_certificate: Option<Pem>,
    client_key: Option<Pem>,
    /// The setting that takes the place of the system's certificates.
    instead_of_system: Option<String>,
}

impl Files {
    fn read(signal: Signal, env: &Env) -> Result<Self, InitError> {
        let file = |name| Pem::read(signal, name, env);
        Ok(Files {
            certificate: file("CERTIFICATE")?,
            client_certificate: file("CLIENT_CERTIFICATE")?,
            client_key: file("CLIENT_KEY")?,
            instead_of_system: env.setting("OTEL_EXPORTER_OTLP_CERTIFICATE"),
        })
    }

    fn read_again(&self) -> Result<Self, InitError> {
        let again = |file: &Option<Pem>| file.as_ref().map(Pem::read_again).transpose();
        Ok(Files {
            certificate: again(&self.certificate)?,
            client_certificate: again(&self.client_certificate)?,
            client_key: again(&self.client_key)?,
            instead_of_system: self.instead_of_system.clone(),
        })
    }

    fn roots(&self) -> Result<RootCertStore, InitError> {
        match &self.certificate {
            Some(file) => file.roots(),
            None => system_roots(self.instead_of_system.as_deref()),
        }
    }

    /// Returns whether the client's certificate and key are the same.
    fn have_client_of(&self, other: &Self) -> bool {
        content(self.client_certificate.as_ref()) == content(other.client_certificate.as_ref())
            && content(self.client_key.as_ref()) == content(other.client_key.as_ref())
    }
}

fn content(file: Option<&Pem>) -> Option<&[u8]> {
    file.map(|file| &*file.content)
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
        // A message of later has the name that the user knows, too.
        let variable = env.setting(variable).unwrap_or_else(|| variable.to_owned());
        Pem::read_from(signal, variable, path).map(Some)
    }

    fn read_again(&self) -> Result<Self, InitError> {
        Pem::read_from(self.signal, self.variable.clone(), self.path.clone())
    }

    fn read_from(signal: Signal, variable: String, path: String) -> Result<Self, InitError> {
        match fs::read(&path) {
            Ok(content) => Ok(Pem {
                signal,
                variable,
                path,
                content,
            }),
            Err(error) => {
                let problem = format!("cannot be read: {error}");
                Err(InitError::invalid_variable(&variable, &path, problem).with_source(error))
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

impl fmt::Debug for Pem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The content may be secret.
        f.debug_struct("Pem").field("path", &self.path).finish_non_exhaustive()
    }
}
