//! The identity of a request within the process.
//!
//! A path does not identify a request: routers strip prefixes, layers rewrite them, and a handler
//! may call its own method. A request belongs to the call that its thread serves, unless a handler
//! has claimed that. Only a client within the process can make another request meanwhile. Such
//! requests have an extension of tonic's, and get one of ours. Requests over a socket do not pay
//! for it.

use std::sync::atomic::{AtomicUsize, Ordering};

use http::{Extensions, Uri};
use tonic::GrpcMethod;

/// Mark of a request that a generated client made within this process, and of no other one.
#[derive(Clone, Copy, Debug)]
struct ClientMark(usize);

/// The mark of a request over a socket.
const NO_CLIENT: usize = 0;

/// The mark of a request of a client within this process that no layer has seen.
const UNSEEN: usize = usize::MAX;

/// Returns the mark of a request, which is equal for a request that has passed through layers.
#[inline]
pub(crate) fn client_mark(extensions: &Extensions) -> usize {
    if extensions.get::<GrpcMethod<'static>>().is_none() {
        return NO_CLIENT;
    }
    extensions.get::<ClientMark>().map_or(UNSEEN, |mark| mark.0)
}

/// Returns `true` if a generated client within this process made the request.
pub(crate) fn is_from_client_within(extensions: &Extensions) -> bool {
    client_mark(extensions) != NO_CLIENT
}

/// Marks a request that no layer has seen. Returns its mark, or `mark`, which it had before.
#[inline]
pub(crate) fn mark_unseen(extensions: &mut Extensions, mark: usize) -> usize {
    if mark == UNSEEN { insert_mark(extensions) } else { mark }
}

#[cold]
fn insert_mark(extensions: &mut Extensions) -> usize {
    static MARKS: AtomicUsize = AtomicUsize::new(NO_CLIENT + 1);

    let mark = MARKS.fetch_add(1, Ordering::Relaxed);
    extensions.insert(ClientMark(mark));
    mark
}

/// The request of a call, as far as it identifies the call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct RequestOrigin {
    /// The [`client_mark`] of the request, as the layer got it.
    pub(crate) client_mark: usize,
    /// Address of the layer that got the request, or 0.
    pub(crate) layer: usize,
    /// Address of the path in the extensions of the request that the handler got: clones share it.
    path: usize,
}

impl RequestOrigin {
    /// Identifies the request that a layer got.
    #[inline]
    pub(crate) fn at_layer(client_mark: usize, layer: usize) -> Self {
        RequestOrigin {
            client_mark,
            layer,
            ..RequestOrigin::default()
        }
    }

    /// Identifies the request that a handler got, by the URI in its extensions.
    #[inline]
    pub(crate) fn at_handler(uri: Option<&Uri>) -> Self {
        uri.map_or_else(RequestOrigin::default, |uri| RequestOrigin {
            client_mark: 0,
            layer: 0,
            path: uri.path().as_ptr().addr(),
        })
    }

    /// Returns `true` if `other` has the URI of this request, be it a clone.
    pub(crate) fn shares_path_with(self, other: RequestOrigin) -> bool {
        self.path == other.path
    }
}
