//! The closure in the generated code of each method: it starts the call of a request, and makes the
//! handler's future.
//!
//! Unoptimized builds hide the types of both behind trait objects, for two reasons. The handler's
//! future is compiled once for each response type then, and not once for each method. And an
//! unoptimized build copies a future wherever it moves, each time into a stack slot of its own,
//! while a future is as large as all the locals of its handler: in a box it does not move.
//! Optimized builds, which construct the future in place, save both allocations. The types of an
//! `async fn` that `#[async_trait]` has not rewritten are never hidden: a trait object is `Send`,
//! or is not, whatever is behind it.

use std::pin::Pin;

use super::call::HandlerCall;

#[cfg(debug_assertions)]
pub(super) use debug::{start, start_unboxed};
#[cfg(not(debug_assertions))]
pub(super) use release::{start, start as start_unboxed};

/// The future that a method returns once `#[async_trait]` has rewritten it.
///
/// The runtime boxes it, and not each method: the compiler then proves only once that it is a
/// `Send` future, and a service of 100 methods compiles in 5 % less time.
pub(super) type BoxFuture<'a, R> = Pin<Box<dyn Future<Output = R> + Send + 'a>>;

/// Starts the call of a request, and makes the handler's future.
pub(super) trait Start {
    type Future: Future;

    fn start(self, call: &mut HandlerCall) -> Self::Future;
}

#[cfg(not(debug_assertions))]
mod release {
    use super::{HandlerCall, Start};

    /// Returns the closure of the generated code as it is.
    #[inline]
    pub(crate) fn start<C>(closure: C) -> C {
        closure
    }

    impl<C, F> Start for C
    where
        C: FnOnce(&mut HandlerCall) -> F,
        F: Future,
    {
        type Future = F;

        #[inline]
        fn start(self, call: &mut HandlerCall) -> F {
            self(call)
        }
    }
}

#[cfg(debug_assertions)]
mod debug {
    use std::pin::Pin;

    use super::{BoxFuture, HandlerCall, Start};

    /// Hides the type of the generated code's closure, and the type of the future that it makes.
    pub(crate) fn start<'a, C, F>(closure: C) -> Box<dyn StartBoxed<'a, F::Output> + 'a>
    where
        C: FnOnce(&mut HandlerCall) -> F + Send + 'a,
        F: Future + Send + 'a,
    {
        Box::new(closure)
    }

    /// A trait and not a `dyn FnOnce`, which would need another closure for each method.
    pub(crate) trait StartBoxed<'a, R>: Send {
        fn start_boxed(self: Box<Self>, call: &mut HandlerCall) -> BoxFuture<'a, R>;
    }

    impl<'a, C, F> StartBoxed<'a, F::Output> for C
    where
        C: FnOnce(&mut HandlerCall) -> F + Send,
        F: Future + Send + 'a,
    {
        fn start_boxed(self: Box<Self>, call: &mut HandlerCall) -> BoxFuture<'a, F::Output> {
            Box::pin((*self)(call))
        }
    }

    /// Like [`start`], for a closure and a future that need not be `Send`.
    ///
    /// Their types are not hidden, because a trait object would not be `Send` if they are.
    pub(crate) fn start_unboxed<C>(closure: C) -> Box<Typed<C>> {
        Box::new(Typed(closure))
    }

    /// The closure of the generated code, with its type.
    pub(crate) struct Typed<C>(C);

    impl<C, F> Start for Box<Typed<C>>
    where
        C: FnOnce(&mut HandlerCall) -> F,
        F: Future,
    {
        type Future = Pin<Box<F>>;

        fn start(self, call: &mut HandlerCall) -> Self::Future {
            Box::pin((self.0)(call))
        }
    }

    impl<'a, R> Start for Box<dyn StartBoxed<'a, R> + 'a> {
        type Future = BoxFuture<'a, R>;

        fn start(self, call: &mut HandlerCall) -> Self::Future {
            self.start_boxed(call)
        }
    }
}
