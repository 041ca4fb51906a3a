//! The `static` in the generated code of a method.

use std::sync::OnceLock;

use http::Uri;
use tonic::Request;

use super::arrival::{Arrival, Sockets};
use super::begin;
use super::handler::{Reply, Returning, Started};
use super::running::{self, Running};
use super::slot::Slot;
use crate::call::Beginning;
use crate::capture::{Captured, Captures};
use crate::headers::Found;
use crate::instrumentation::{Chosen, Instrumentation};
use crate::method::Method;
use crate::panic;

/// One method of one annotated service.
#[derive(Debug)]
pub struct Rpc {
    /// The service's full name, or the trait's name where the impl does not tell it.
    service: &'static str,
    service_is_known: bool,
    /// The method's name, or a guess from its function's.
    method: &'static str,
    method_is_known: bool,
    public_endpoint: bool,
    captures: Captures,
    captured: OnceLock<Captured>,
    on_the_wire: OnceLock<Method>,
    /// For a handler that was called without a request path.
    guessed: OnceLock<Method>,
    /// One that ends with the guessed name.
    a_path: OnceLock<Box<str>>,
}

impl Rpc {
    /// A method of the service with this full name.
    #[must_use]
    pub const fn of(service: &'static str, method: &'static str) -> Self {
        Rpc::new(service, true, method)
    }

    /// A method of a service whose full name the first request's path tells. Until then its trait's name serves.
    #[must_use]
    pub const fn learn(service: &'static str, method: &'static str) -> Self {
        Rpc::new(service, false, method)
    }

    /// A method of the service with this full name, where its module tells it. `""` where it does not.
    #[must_use]
    pub const fn of_module(mut self, service: &'static str) -> Self {
        if !service.is_empty() {
            self.service = service;
            self.service_is_known = true;
        }
        self
    }

    const fn new(service: &'static str, service_is_known: bool, method: &'static str) -> Self {
        Rpc {
            service,
            service_is_known,
            method,
            method_is_known: false,
            public_endpoint: false,
            captures: Captures::NONE,
            captured: OnceLock::new(),
            on_the_wire: OnceLock::new(),
            guessed: OnceLock::new(),
            a_path: OnceLock::new(),
        }
    }

    /// The method's name, whatever the path says.
    #[must_use]
    pub const fn named(mut self, method: &'static str) -> Self {
        self.method = method;
        self.method_is_known = true;
        self
    }

    /// Callers are strangers: their context is linked to, and no parent.
    #[must_use]
    pub const fn public_endpoint(mut self) -> Self {
        self.public_endpoint = true;
        self
    }

    /// The headers of requests that spans take up.
    #[must_use]
    pub const fn request_headers(mut self, names: &'static [&'static str]) -> Self {
        self.captures.request_headers = names;
        self
    }

    /// The headers of responses that spans take up.
    #[must_use]
    pub const fn response_headers(mut self, names: &'static [&'static str]) -> Self {
        self.captures.response_headers = names;
        self
    }

    /// The trailers of responses that spans take up.
    #[must_use]
    pub const fn response_trailers(mut self, names: &'static [&'static str]) -> Self {
        self.captures.response_trailers = names;
        self
    }

    /// What runs this method's handlers, which return `R`.
    pub fn returning<R: Reply>(&'static self) -> R::Returning {
        Returning::new().into()
    }

    /// Starts the RPC that `request` is for: the first thing that a handler does. It ends with what runs the handler.
    pub fn start(&'static self, request: &Request<impl Sized>) -> Started {
        let sockets = || Sockets::of(request);
        self.enter(&Arrival::of(request, &sockets), None);
        Started
    }

    /// The same, recorded with the instrumentation that `give` gives. Where that panics, no RPC starts here.
    pub fn start_with(
        &'static self,
        request: &Request<impl Sized>,
        give: impl FnOnce(&mut dyn FnMut(&Instrumentation)),
    ) -> Started {
        let sockets = || Sockets::of(request);
        let arrival = Arrival::of(request, &sockets);
        panic::INSTRUMENTATION.answer(|| give(&mut |instrumentation| self.enter(&arrival, Some(instrumentation))));
        Started
    }

    // What follows knows no request's type, so that it is compiled once, not for each.

    fn enter(&'static self, request: &Arrival<'_>, instrumentation: Option<&Instrumentation>) {
        match running::with(|running| self.place(running, request)).unwrap_or(Place::New) {
            Place::New => {
                let found = Found::of(request.headers);
                let beginning = Beginning {
                    method: self.method(request.uri.map(Uri::path)),
                    unknown: None,
                    instrumentation: match instrumentation {
                        Some(own) => Chosen::Own(own.clone()),
                        None => Chosen::Global(Instrumentation::global()),
                    },
                    timeout: found.timeout(),
                    layer: None,
                    handler: Some(self.captured()),
                    sizes: None,
                };
                let headers = &self.captured().request_headers;
                let call = begin::call(beginning, self.public_endpoint, request, &found, headers);
                running::enter(Running::Call(call));
            }
            Place::Joined => {
                running::join();
                Slot::Joined.joined(request.headers);
            }
            Place::Part => {}
            Place::OwnExport(path) => running::enter(Running::own_export(path)),
        }
    }

    #[inline]
    fn captured(&'static self) -> &'static Captured {
        self.captured.get_or_init(|| Captured::new(&self.captures))
    }

    fn place<'a>(&'static self, running: &mut Option<Running>, request: &Arrival<'a>) -> Place<'a> {
        match running {
            None => match request.uri.map(Uri::path) {
                Some(path) if request.is_own_export(path) => Place::OwnExport(path),
                _ => Place::New,
            },
            Some(Running::LeftOut(left_out)) => {
                let path = &left_out.path;
                if self.is_for(path, request) || is_part_of(Some(path), request) {
                    Place::Part
                } else {
                    Place::New
                }
            }
            Some(Running::Call(call)) => {
                if call.path().is_some_and(|path| self.is_for(path, request)) && call.join(self.captured()) {
                    if call.is_unknown() {
                        let method = self.method(call.path());
                        call.is_of(method);
                    }
                    Place::Joined
                } else if is_part_of(call.path(), request) {
                    Place::Part
                } else {
                    Place::New
                }
            }
        }
    }

    /// Whether `request`, which came to this method, may be the one that came to a layer with this path.
    fn is_for(&self, path: &str, request: &Arrival<'_>) -> bool {
        match request.uri {
            Some(uri) => uri.path() == path,
            // Nothing in the request tells. A path with another method's name is another RPC's.
            None => request.is_grpc() && (self.method_is_known || self.is_named_by(path)),
        }
    }

    /// Whether `path` may be this method's, as far as its name tells. The first that may is remembered: to compare it is less than to spell its name.
    fn is_named_by(&self, path: &str) -> bool {
        self.a_path.get().is_some_and(|known| **known == *path)
            || is_spelling_of(self.method, path) && {
                self.a_path.get_or_init(|| Box::from(path));
                true
            }
    }

    #[inline]
    fn method(&'static self, path: Option<&str>) -> &'static Method {
        let guessed = || path.is_none().then(|| self.guessed.get()).flatten();
        match self.on_the_wire.get().or_else(guessed) {
            Some(method) => method,
            None => self.learn_method(path),
        }
    }

    #[cold]
    fn learn_method(&'static self, path: Option<&str>) -> &'static Method {
        match path.and_then(|path| Some((path, service_and_method(path)?))) {
            Some((path, (service, method))) => self.on_the_wire.get_or_init(|| {
                let service = if self.service_is_known { self.service } else { service };
                let method = if self.method_is_known { self.method } else { method };
                Method::served(&format!("{service}/{method}"), Some(path))
            }),
            None => self
                .guessed
                .get_or_init(|| Method::served(&format!("{}/{}", self.service, self.method), None)),
        }
    }
}

/// What a request to a handler is.
enum Place<'a> {
    /// An RPC that nobody has begun.
    New,
    /// The RPC that a layer has begun.
    Joined,
    /// Part of an RPC that a handler has, or that is left out.
    Part,
    /// An RPC with this path that exports what this process has recorded.
    OwnExport(&'a str),
}

/// Whether a request that comes while an RPC is running is still that RPC's: an annotated service that hands its request to another, or that calls a handler directly.
fn is_part_of(running: Option<&str>, request: &Arrival<'_>) -> bool {
    match request.uri {
        Some(uri) => running == Some(uri.path()),
        // What a client sent to a server without tonic's router is an RPC of its own. One too many is recorded where such a server hands its request on; none is lost.
        None => !request.is_grpc(),
    }
}

/// Whether a path ends with the name that is guessed to be `method`.
pub(crate) fn is_spelling_of(method: &str, path: &str) -> bool {
    fn letters(name: &str) -> impl Iterator<Item = u8> {
        let letters = name.bytes().filter(|letter| *letter != b'_');
        letters.map(|letter| letter.to_ascii_lowercase())
    }
    path.rsplit('/')
        .next()
        .is_some_and(|last| letters(last).eq(letters(method)))
}

/// `pkg.Service` and `Method` of `/pkg.Service/Method`; of the end of the path, where the service is nested below another.
pub(crate) fn service_and_method(path: &str) -> Option<(&str, &str)> {
    let (rest, method) = path.rsplit_once('/')?;
    let (_, service) = rest.rsplit_once('/')?;
    (!service.is_empty() && !method.is_empty()).then_some((service, method))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(path: &'static str) -> Option<(String, String)> {
        let uri = http::Uri::from_static(path);
        service_and_method(uri.path()).map(|(service, method)| (service.to_owned(), method.to_owned()))
    }

    #[test]
    fn the_path_tells_service_and_method() {
        let pair = |service: &str, method: &str| Some((service.to_owned(), method.to_owned()));
        assert_eq!(
            parts("/helloworld.Greeter/SayHello"),
            pair("helloworld.Greeter", "SayHello")
        );
        assert_eq!(
            parts("http://[::1]:50051/Greeter/getThing"),
            pair("Greeter", "getThing")
        );
        assert_eq!(
            parts("/nested/helloworld.Greeter/SayHello?query"),
            pair("helloworld.Greeter", "SayHello")
        );
    }

    #[test]
    fn another_path_tells_nothing() {
        for path in ["/", "/helloworld.Greeter", "/helloworld.Greeter/", "//SayHello", "*"] {
            assert_eq!(parts(path), None, "{path}");
        }
    }

    #[test]
    fn the_first_path_names_the_method_for_good() {
        static RPC: Rpc = Rpc::learn("Greeter", "SayHello");
        assert_eq!(RPC.method(None).name(), "Greeter/SayHello");
        let path = http::Uri::from_static("/helloworld.Greeter/SayHELLO");
        assert_eq!(RPC.method(Some(path.path())).name(), "helloworld.Greeter/SayHELLO");
        assert_eq!(RPC.method(None).name(), "helloworld.Greeter/SayHELLO");
    }

    #[test]
    fn a_known_service_keeps_its_name() {
        static RPC: Rpc = Rpc::of("helloworld.Greeter", "GetUrl");
        let path = http::Uri::from_static("/elsewhere/GetURL");
        assert_eq!(RPC.method(Some(path.path())).name(), "helloworld.Greeter/GetURL");
    }

    #[test]
    fn a_module_may_tell_the_service() {
        mod told {
            pub(super) const SERVICE_NAME: &str = "helloworld.Greeter";
        }
        mod untold {}

        static TOLD: Rpc = Rpc::learn("Greeter", "SayHello").of_module(crate::__private::service_name!(told));
        static UNTOLD: Rpc = Rpc::learn("Greeter", "SayHello").of_module(crate::__private::service_name!(untold));
        assert_eq!(TOLD.method(None).name(), "helloworld.Greeter/SayHello");
        assert_eq!(UNTOLD.method(None).name(), "Greeter/SayHello");
    }

    #[test]
    fn a_known_method_keeps_its_name() {
        static RPC: Rpc = Rpc::learn("Greeter", "GetUrl").named("GetURL");
        let path = http::Uri::from_static("/helloworld.Greeter/get");
        assert_eq!(RPC.method(None).name(), "Greeter/GetURL");
        assert_eq!(RPC.method(Some(path.path())).name(), "helloworld.Greeter/GetURL");
    }
}
