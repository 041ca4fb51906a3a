//! Proxies between the exporters and their receiver, by curl's variables: `HTTPS_PROXY`,
//! `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY`, also in lower case.

use std::error::Error;
use std::fmt;
use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use http::{HeaderValue, Uri};
use hyper_util::client::legacy::connect::proxy::{SocksV4, SocksV5, Tunnel};
use hyper_util::client::legacy::connect::{Connected, Connection, HttpConnector};
use hyper_util::client::proxy::matcher::{Intercept, Matcher};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tower_service::Service;

use crate::env::Env;

type BoxError = Box<dyn Error + Send + Sync>;

/// A proxy, with the credentials in its URL.
#[derive(Clone, Debug)]
pub(super) struct Proxy {
    intercept: Intercept,
    kind: Kind,
}

/// How a proxy is asked for a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Http,
    Socks4 { local_dns: bool },
    Socks5 { local_dns: bool },
}

impl Proxy {
    /// Returns the proxy of the environment for an endpoint.
    ///
    /// As in Go, this host itself is never reached through a proxy: the default endpoint is on it.
    pub(super) fn for_endpoint(endpoint: &Uri, env: &Env) -> Option<Self> {
        if is_loopback(endpoint.host()?) {
            return None;
        }
        let variables = match endpoint.scheme_str() {
            Some("https") => ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"],
            _ => ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"],
        };
        let (name, url) = env.first_set(variables)?;
        let excluded = env.first_set(["NO_PROXY", "no_proxy"]);
        let excluded = excluded.map(|(_, list)| list).unwrap_or_default();
        let found = Matcher::builder().all(&*url).build().intercept(endpoint);
        let kind = match found.as_ref().and_then(|found| found.uri().scheme_str()) {
            Some("http") => Kind::Http,
            Some("socks4") => Kind::Socks4 { local_dns: true },
            Some("socks4a") => Kind::Socks4 { local_dns: false },
            Some("socks5") => Kind::Socks5 { local_dns: true },
            Some("socks5h") => Kind::Socks5 { local_dns: false },
            _ => {
                // The warning omits the value, which may contain a password.
                let problem =
                    "is not the URL of a proxy that is supported; expected e.g. http://proxy:3128; ignoring it";
                env.warn(name, "…", problem);
                return None;
            }
        };
        let intercept = Matcher::builder().all(&*url).no(excluded).build().intercept(endpoint)?;
        Some(Proxy { intercept, kind })
    }

    /// Returns the header `Proxy-Authorization` of requests that this proxy forwards.
    pub(super) fn authorization(&self, endpoint: &Uri) -> Option<&HeaderValue> {
        self.intercept.basic_auth().filter(|_| self.forwards(endpoint))
    }

    /// Returns whether HTTP/1.1 requests are sent to the proxy itself. Many proxies allow tunnels
    /// to TLS ports only.
    fn forwards(&self, endpoint: &Uri) -> bool {
        self.kind == Kind::Http && endpoint.scheme_str() == Some("http")
    }

    async fn connect(self, mut tcp: HttpConnector, to: Uri, may_forward: bool) -> Result<Stream, BoxError> {
        let proxy = self.intercept.uri().clone();
        if may_forward && self.forwards(&to) {
            let stream = tcp.call(proxy).await?.into_inner();
            return Ok(Stream {
                stream,
                is_forwarded: true,
            });
        }
        let to = with_port(to)?;
        let stream = match self.kind {
            Kind::Http => {
                let mut tunnel = Tunnel::new(proxy, tcp);
                if let Some(authorization) = self.intercept.basic_auth() {
                    tunnel = tunnel.with_auth(authorization.clone());
                }
                tunnel.call(to).await?
            }
            Kind::Socks4 { local_dns } => SocksV4::new(proxy, tcp).local_dns(local_dns).call(to).await?,
            Kind::Socks5 { local_dns } => {
                let mut socks = SocksV5::new(proxy, tcp).local_dns(local_dns);
                if let Some((user, password)) = self.intercept.raw_auth() {
                    socks = socks.with_auth(user.to_owned(), password.to_owned());
                }
                socks.call(to).await?
            }
        };
        Ok(Stream {
            stream: stream.into_inner(),
            is_forwarded: false,
        })
    }
}

/// Returns whether a host is this one.
fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    host.eq_ignore_ascii_case("localhost") || address.is_ok_and(|address| address.is_loopback())
}

/// Adds the default port of the scheme, without which a tunnel would lead to port 443.
fn with_port(uri: Uri) -> Result<Uri, http::Error> {
    if uri.port().is_some() {
        return Ok(uri);
    }
    let port = if uri.scheme_str() == Some("https") { 443 } else { 80 };
    let authority = format!("{}:{port}", uri.host().unwrap_or_default());
    let builder = Uri::builder().scheme(uri.scheme_str().unwrap_or("http"));
    builder.authority(authority).path_and_query("/").build()
}

/// Connects to a receiver, directly or through a proxy.
#[derive(Clone, Debug)]
pub(super) struct Connector {
    tcp: HttpConnector,
    proxy: Option<Proxy>,
    /// Whether requests are HTTP/1.1, which a proxy can forward.
    may_forward: bool,
}

impl Connector {
    /// Creates a connector for HTTP/1.1.
    pub(super) fn for_http(tcp: HttpConnector, proxy: Option<Proxy>) -> Self {
        Connector {
            tcp,
            proxy,
            may_forward: true,
        }
    }

    /// Creates a connector for HTTP/2, which needs a tunnel.
    pub(super) fn for_grpc(tcp: HttpConnector, proxy: Proxy) -> Self {
        Connector {
            tcp,
            proxy: Some(proxy),
            may_forward: false,
        }
    }
}

impl Service<Uri> for Connector {
    type Response = TokioIo<Stream>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<TokioIo<Stream>, BoxError>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.tcp.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, to: Uri) -> Self::Future {
        let Connector {
            mut tcp,
            proxy,
            may_forward,
        } = self.clone();
        Box::pin(async move {
            let Some(proxy) = proxy else {
                let stream = tcp.call(to).await?.into_inner();
                return Ok(TokioIo::new(Stream {
                    stream,
                    is_forwarded: false,
                }));
            };
            let uri = proxy.intercept.uri().clone();
            let stream = proxy.connect(tcp, to, may_forward).await;
            Ok(TokioIo::new(stream.map_err(|source| ProxyError { uri, source })?))
        })
    }
}

/// The error of a connection through a proxy.
#[derive(Debug)]
struct ProxyError {
    uri: Uri,
    source: BoxError,
}

impl fmt::Display for ProxyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let uri = self.uri.to_string();
        write!(f, "cannot connect through the proxy {}", uri.trim_end_matches('/'))
    }
}

impl Error for ProxyError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(self.source.as_ref())
    }
}

/// A connection, and whether its requests are for a proxy.
#[derive(Debug)]
pub(super) struct Stream {
    stream: TcpStream,
    is_forwarded: bool,
}

impl Connection for Stream {
    fn connected(&self) -> Connected {
        self.stream.connected().proxy(self.is_forwarded)
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, buffers)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxy<const N: usize>(endpoint: &str, variables: [(&str, &str); N]) -> (Option<String>, Vec<String>) {
        let env = Env::from_vars(variables);
        let proxy = Proxy::for_endpoint(&endpoint.parse().unwrap(), &env);
        (
            proxy.map(|proxy| proxy.intercept.uri().to_string()),
            env.into_warnings(),
        )
    }

    #[test]
    fn the_scheme_chooses_the_variable() {
        let variables = [
            ("HTTP_PROXY", "http://plain:1"),
            ("https_proxy", "secure:2"),
            ("ALL_PROXY", "http://all:3"),
        ];
        let found = |endpoint| proxy(endpoint, variables).0;
        assert_eq!(found("http://c:4317").as_deref(), Some("http://plain:1/"));
        assert_eq!(found("https://c:4317").as_deref(), Some("http://secure:2/"));
        let all = [("ALL_PROXY", "socks5h://all:3")];
        assert_eq!(proxy("http://c", all).0.as_deref(), Some("socks5h://all:3/"));
        assert_eq!(proxy("http://c", [("HTTPS_PROXY", "http://p")]), (None, vec![]));
    }

    #[test]
    fn some_hosts_have_no_proxy() {
        let variables = [("HTTP_PROXY", "http://p:1"), ("NO_PROXY", "inner.test, 10.0.0.0/8")];
        for (host, has_proxy) in [
            ("outer.test", true),
            ("inner.test", false),
            ("c.inner.test", false),
            ("10.1.2.3", false),
            ("11.1.2.3", true),
            ("localhost", false),
            ("127.0.0.1", false),
            ("[::1]", false),
        ] {
            let (proxy, warnings) = proxy(&format!("http://{host}:4317"), variables);
            assert_eq!((proxy.is_some(), warnings), (has_proxy, vec![]), "{host}");
        }
    }

    #[test]
    fn unusable_proxies_are_ignored_without_showing_them() {
        for value in [
            "ftp://ada:secret@p",
            "https://ada:secret@p",
            "http://ada:secret@",
            "a b",
        ] {
            let expected = "HTTP_PROXY=\"…\" is not the URL of a proxy that is supported; expected e.g. \
                            http://proxy:3128; ignoring it";
            assert_eq!(
                proxy("http://c", [("HTTP_PROXY", value)]),
                (None, vec![expected.to_owned()]),
                "{value}"
            );
        }
    }
}
