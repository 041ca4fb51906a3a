//! A TCP proxy whose connections can be silenced, as by a NAT that forgets them.

use std::net::{SocketAddr, TcpListener};

use tokio::io::copy_bidirectional;
use tokio::net::TcpStream;
use tokio::runtime::{self, Runtime};
use tokio::sync::watch;

/// A proxy on a free port of the loopback interface, which runs until it is dropped.
#[derive(Debug)]
pub struct Proxy {
    /// The address that it listens on.
    pub address: SocketAddr,
    /// The number of times that connections have been silenced.
    silenced: watch::Sender<u32>,
    connections: watch::Receiver<usize>,
    runtime: Option<Runtime>,
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
        let runtime = runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let silence = silenced.clone();
        runtime.spawn(async move {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            while let Ok((mut client, _)) = listener.accept().await {
                connected.send_modify(|count| *count += 1);
                let mut silence = silence.subscribe();
                tokio::spawn(async move {
                    let mut server = TcpStream::connect(server).await.unwrap();
                    tokio::select! {
                        _ = copy_bidirectional(&mut client, &mut server) => {}
                        // Neither side is told.
                        _ = silence.changed() => std::future::pending().await,
                    }
                });
            }
        });
        Proxy {
            address,
            silenced,
            connections,
            runtime: Some(runtime),
        }
    }

    /// Passes nothing on from now on, in either direction, except for new connections.
    pub fn silence(&self) {
        self.silenced.send_modify(|count| *count += 1);
    }

    /// Returns the number of connections so far.
    #[must_use]
    pub fn connections(&self) -> usize {
        *self.connections.borrow()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
