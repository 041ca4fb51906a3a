//! Finds out which protocol a port speaks, to explain a connection that fails.

use std::time::Duration;

use http::Uri;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::protocol::Protocol;
use super::setting_names::SettingNames;
use super::uri::{host, port};

/// The time for a port to answer.
const TIMEOUT: Duration = Duration::from_secs(1);

/// The start of an HTTP/2 connection with empty settings.
const HTTP_2: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
const HTTP_1: &[u8] = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

/// The protocol of a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Spoken {
    Http1,
    Http2,
    Tls,
}

/// The protocol of an exporter that cannot connect.
#[derive(Clone, Debug)]
pub(super) struct Probe {
    pub(super) settings: SettingNames,
    pub(super) endpoint: Uri,
    pub(super) protocol: Protocol,
    /// Whether the port is reached without a proxy.
    pub(super) is_direct: bool,
}

impl Probe {
    /// Returns a sentence about what to change if a web server has answered a gRPC request.
    pub(super) fn web_server(&self) -> String {
        let advice = self.settings.use_protocol(Protocol::HttpProtobuf);
        format!("the port speaks HTTP/2, but not gRPC; {advice}")
    }

    /// Connects to the port in the exporter's protocol, without TLS. If it speaks another one,
    /// returns a sentence about what to change.
    pub(super) async fn mismatch(&self) -> Option<String> {
        if !self.is_direct {
            return None;
        }
        let mut answer = Vec::new();
        // A server may keep the connection open: the answer so far counts.
        let _ = timeout(TIMEOUT, self.ask(&mut answer)).await;
        let spoken = classify(&answer)?;
        let is_tls = self.endpoint.scheme_str() == Some("https");
        let endpoint = &self.settings.endpoint;
        match (spoken, is_tls, self.protocol) {
            (Spoken::Tls, false, _) => Some(format!("the port speaks TLS; write https:// in {endpoint}")),
            (Spoken::Http1 | Spoken::Http2, true, _) => {
                Some(format!("the port does not speak TLS; write http:// in {endpoint}"))
            }
            (Spoken::Http1, false, Protocol::Grpc) => {
                let advice = self.settings.use_protocol(Protocol::HttpProtobuf);
                Some(format!("the port speaks HTTP/1.1, but gRPC needs HTTP/2; {advice}"))
            }
            (Spoken::Http2, false, Protocol::HttpProtobuf) => {
                let advice = self.settings.use_protocol(Protocol::Grpc);
                Some(format!("the port speaks HTTP/2, as gRPC does; {advice}"))
            }
            _ => None,
        }
    }

    /// Greets the port, and reads the start of its answer.
    async fn ask(&self, answer: &mut Vec<u8>) -> Option<()> {
        let address = (host(&self.endpoint)?, port(&self.endpoint));
        let mut stream = TcpStream::connect(address).await.ok()?;
        let greeting = match self.protocol {
            Protocol::Grpc => HTTP_2,
            Protocol::HttpProtobuf => HTTP_1,
        };
        stream.write_all(greeting).await.ok()?;
        let mut buffer = [0; 1024];
        while let Ok(count @ 1..) = stream.read(&mut buffer).await {
            answer.extend_from_slice(&buffer[..count]);
            // A server says in the body that it wants TLS.
            if answer.len() >= buffer.len() || !answer.starts_with(b"HTTP/") && answer.len() >= 9 {
                break;
            }
        }
        Some(())
    }
}

fn classify(answer: &[u8]) -> Option<Spoken> {
    match answer {
        // An alert.
        [0x15, 0x03, ..] => Some(Spoken::Tls),
        [b'H', b'T', b'T', b'P', b'/', ..] => {
            let text = String::from_utf8_lossy(answer);
            // Go's and nginx's servers.
            let wants_tls = text.contains("HTTP request to an HTTPS server") || text.contains("sent to HTTPS port");
            Some(if wants_tls { Spoken::Tls } else { Spoken::Http1 })
        }
        // The frames SETTINGS, GOAWAY and WINDOW_UPDATE.
        [0, _, _, 0x04 | 0x07 | 0x08, ..] => Some(Spoken::Http2),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_reveal_the_protocol() {
        for (answer, expected) in [
            (&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], Some(Spoken::Http1)),
            (
                b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n",
                Some(Spoken::Tls),
            ),
            (b"\x15\x03\x01\x00\x02\x02\x16", Some(Spoken::Tls)),
            (b"\0\0\x12\x04\0\0\0\0\0", Some(Spoken::Http2)),
            (b"220 mail.example ESMTP", None),
            (b"", None),
        ] {
            assert_eq!(classify(answer), expected, "{answer:?}");
        }
    }
}
