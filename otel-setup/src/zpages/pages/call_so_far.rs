//! The client and the messages of an RPC that runs.

use std::net::SocketAddr;

use otel_runtime::observer::Messages;

use crate::zpages::html::Html;
use crate::zpages::running::Running;

/// The facts about an RPC that runs which are not in its span.
#[derive(Default)]
pub(super) struct CallSoFar {
    pub(super) peer: Option<SocketAddr>,
    target: Option<String>,
    /// The number of messages, if they are counted.
    pub(super) received: Option<u64>,
    pub(super) sent: Option<u64>,
}

impl CallSoFar {
    pub(super) fn from_running(running: &Running) -> Self {
        let start = running.start();
        CallSoFar {
            peer: start.peer(),
            target: start.target(),
            received: start.messages().and_then(Messages::received),
            sent: start.messages().and_then(Messages::sent),
        }
    }

    /// Adds a paragraph with what is known.
    pub(super) fn write(&self, html: &mut Html) {
        let parts = [
            self.peer.map(|peer| format!("From {peer}")),
            self.target.as_ref().map(|target| format!("To {target}")),
            self.received.map(|count| format!("Messages received: {count}")),
            self.sent.map(|count| format!("Messages sent: {count}")),
        ];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        if !parts.is_empty() {
            html.raw("<p>").text(&parts.join(" · ")).raw("</p>\n");
        }
    }
}
