//! A TCP proxy whose connections can be silenced, as by a NAT that forgets them.

use std::net::{SocketAddr, TcpListener};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::sync::watch;

use crate::background::BackgroundRuntime;

/// A proxy on a free port of the loopback interface, which runs until it is dropped.
#[derive(Debug)]
pub struct Proxy {
    /// The address that it listens on.
    pub address: SocketAddr,
    /// The number of times that connections have been silenced.
    silenced: watch::Sender<u32>,
    frozen: watch::Sender<bool>,
    connections: watch::Receiver<usize>,
    _runtime: BackgroundRuntime,
}

impl Proxy {
    /// Starts a proxy for a server.
    #[must_use]
    pub fn start(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let silenced = watch::Sender::new(0);
        let (connected, connections) = watch::channel(0);
        let runtime = BackgroundRuntime::start();
        let frozen = watch::Sender::new(false);
        let (silence, freeze) = (silenced.clone(), frozen.clone());
        runtime.spawn(async move {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            while let Ok((mut client, _)) = listener.accept().await {
                connected.send_modify(|count| *count += 1);
                let mut silence = silence.subscribe();
                let frozen = freeze.subscribe();
                tokio::spawn(async move {
                    let mut server = TcpStream::connect(server).await.unwrap();
                    let (from_client, to_client) = client.split();
                    let (from_server, to_server) = server.split();
                    tokio::select! {
                        // Before bytes that have come since. Neither side is told.
                        biased;
                        _ = silence.changed() => std::future::pending().await,
                        () = pass(from_client, to_server, frozen.clone()) => {}
                        () = pass(from_server, to_client, frozen) => {}
                    }
                });
            }
        });
        Proxy {
            address,
            silenced,
            frozen,
            connections,
            _runtime: runtime,
        }
    }

    /// Passes nothing on from now on, in either direction, except for new connections.
    pub fn silence(&self) {
        self.silenced.send_modify(|count| *count += 1);
    }

    /// Passes nothing on until this is called with false, as a server that is stopped. Nothing is
    /// lost meanwhile.
    pub fn freeze(&self, is_frozen: bool) {
        self.frozen.send_replace(is_frozen);
    }

    /// Returns the number of connections so far.
    #[must_use]
    pub fn connections(&self) -> usize {
        *self.connections.borrow()
    }
}

/// Copies bytes until one of the sides ends.
async fn pass(mut from: ReadHalf<'_>, mut to: WriteHalf<'_>, mut frozen: watch::Receiver<bool>) {
    let mut buffer = vec![0; 16 * 1024];
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        let _ = frozen.wait_for(|is_frozen| !is_frozen).await;
        if to.write_all(&buffer[..count]).await.is_err() {
            return;
        }
    }
    // The end is passed on no earlier than the bytes.
    let _ = frozen.wait_for(|is_frozen| !is_frozen).await;
}
