//! Connections, directly or through a proxy.

use std::error::Error;
use std::fmt;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use http::Uri;
use hyper_util::client::legacy::connect::proxy::{SocksV4, SocksV5, Tunnel};
use hyper_util::client::legacy::connect::{Connected, Connection, HttpConnector};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tower_service::Service;

use super::{Kind, Proxy};
use crate::otlp::uri::port;

type BoxError = Box<dyn Error + Send + Sync>;

/// Connects to a receiver, directly or through a proxy.
#[derive(Clone, Debug)]
pub(in crate::otlp) struct Connector {
    tcp: HttpConnector,
    proxy: Option<Proxy>,
    /// Whether requests are HTTP/1.1, which a proxy can forward.
    may_forward: bool,
}

/// Returns a connector for HTTP/1.1.
#[cfg(feature = "http")]
pub(in crate::otlp) fn for_http(tcp: HttpConnector, proxy: Option<Proxy>) -> Connector {
    Connector {
        tcp,
        proxy,
        may_forward: true,
    }
}

/// Returns a connector for HTTP/2, which needs a tunnel.
pub(in crate::otlp) fn for_grpc(tcp: HttpConnector, proxy: Option<Proxy>) -> Connector {
    Connector {
        tcp,
        proxy,
        may_forward: false,
    }
}

impl Proxy {
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

/// Adds the default port of the scheme, without which a tunnel would lead to port 443.
fn with_port(uri: Uri) -> Result<Uri, http::Error> {
    if uri.port().is_some() {
        return Ok(uri);
    }
    let authority = format!("{}:{}", uri.host().unwrap_or_default(), port(&uri));
    let builder = Uri::builder().scheme(uri.scheme_str().unwrap_or("http"));
    builder.authority(authority).path_and_query("/").build()
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
pub(in crate::otlp) struct Stream {
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
