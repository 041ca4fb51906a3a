//! An HTTP proxy that sends everything to one server, whatever host a request names.

use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::TcpStream;

use crate::background::BackgroundRuntime;

/// A proxy on a free port of the loopback interface, which runs until it is dropped.
///
/// The proxy opens tunnels for `CONNECT`, and forwards requests with an absolute URL.
#[derive(Debug)]
pub struct HttpProxy {
    /// The address that it listens on.
    pub address: SocketAddr,
    heads: Arc<Mutex<Vec<String>>>,
    _runtime: BackgroundRuntime,
}

impl HttpProxy {
    /// Starts a proxy for a server.
    #[must_use]
    pub fn start(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let heads = Arc::<Mutex<Vec<String>>>::default();
        let runtime = BackgroundRuntime::start();
        let seen = Arc::clone(&heads);
        runtime.spawn(async move {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(serve(client, server, Arc::clone(&seen)));
            }
        });
        HttpProxy {
            address,
            heads,
            _runtime: runtime,
        }
    }

    /// Returns the first request of each connection, up to its body.
    #[must_use]
    pub fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap().clone()
    }
}

async fn serve(mut client: TcpStream, server: SocketAddr, heads: Arc<Mutex<Vec<String>>>) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let Ok(byte) = client.read_u8().await else { return };
        head.push(byte);
    }
    let text = String::from_utf8(head.clone()).unwrap();
    let is_tunnel = text.starts_with("CONNECT ");
    heads.lock().unwrap().push(text);
    let mut server = TcpStream::connect(server).await.unwrap();
    if is_tunnel {
        client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
    } else {
        server.write_all(&head).await.unwrap();
    }
    // Either side may close its connection at any time.
    let _ = copy_bidirectional(&mut client, &mut server).await;
}
