//! The connections of a server, which are bounded in number and in time.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::future::ready;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;

use crate::http_server::sites::Sites;

/// The number of connections that are kept open. A service has one or two scrapers, and a browser
/// opens six.
const MAX_CONNECTIONS: usize = 32;

/// The time for the head of a request, and between two requests. Prometheus connects again if an
/// idle connection was closed.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);

/// The bytes of the head of a request. The longest one is that of a browser with many cookies of
/// other servers on this host. hyper reads up to twice as much.
const MAX_HEAD: usize = 32 * 1024;

/// The pause after a failure to accept, usually because the process has no free file descriptor.
const ACCEPT_PAUSE: Duration = Duration::from_secs(1);

struct Connection {
    /// Whether it has sent a whole request.
    is_known: Arc<AtomicBool>,
    task: AbortHandle,
}

/// Accepts connections forever.
pub(super) async fn accept(listener: TcpListener, sites: Arc<Sites>) {
    let mut connections: VecDeque<Connection> = VecDeque::with_capacity(MAX_CONNECTIONS + 1);
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        connections.retain(|connection| !connection.task.is_finished());
        if connections.len() == MAX_CONNECTIONS {
            close_one(&mut connections);
        }
        let is_known = Arc::new(AtomicBool::new(false));
        let served = serve(stream, Arc::clone(&sites), Arc::clone(&is_known));
        connections.push_back(Connection {
            is_known,
            task: tokio::spawn(served).abort_handle(),
        });
    }
}

/// Closes the oldest connection that has not sent a request, so that silent connections do not keep
/// others out. If all have, closes the oldest.
fn close_one(connections: &mut VecDeque<Connection>) {
    let is_silent = |connection: &Connection| !connection.is_known.load(Ordering::Relaxed);
    let index = connections.iter().position(is_silent).unwrap_or(0);
    if let Some(connection) = connections.remove(index) {
        connection.task.abort();
    }
}

async fn serve(stream: TcpStream, sites: Arc<Sites>, is_known: Arc<AtomicBool>) {
    let service = service_fn(|request: Request<Incoming>| {
        is_known.store(true, Ordering::Relaxed);
        let (head, _) = request.into_parts();
        ready(Ok::<_, Infallible>(sites.respond(&head)))
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(MAX_HEAD)
        .serve_connection(TokioIo::new(stream), service);
    // The peer's errors are of no interest here.
    let _ = connection.await;
}
