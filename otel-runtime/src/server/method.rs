//! A method, and what is made once for it: its name on the wire and the attributes of its spans and metric points.

use std::sync::OnceLock;

use axum::extract::OriginalUri;
use opentelemetry::KeyValue;
use tonic::{Extensions, Request};

use super::call::Call;
use super::handler::{Reply, TypedCall};
use crate::instruments::{ServerInstruments, sorted};
use crate::semconv;
use crate::status::Outcome;

/// One method of one annotated service: the `static` in its generated code.
#[derive(Debug)]
pub struct Rpc {
    /// The service's full name, or the trait's name where the impl does not tell it.
    service: &'static str,
    service_is_known: bool,
    /// The method's name, guessed from its function's.
    method: &'static str,
    on_the_wire: OnceLock<Method>,
    /// For a handler that was called without a request path.
    guessed: OnceLock<Method>,
}

impl Rpc {
    /// A method of the service with this full name.
    #[must_use]
    pub const fn of(service: &'static str, method: &'static str) -> Self {
        Rpc {
            service,
            service_is_known: true,
            method,
            on_the_wire: OnceLock::new(),
            guessed: OnceLock::new(),
        }
    }

    /// A method of a service whose full name the first request's path tells. Until then its trait's name serves.
    #[must_use]
    pub const fn learn(service: &'static str, method: &'static str) -> Self {
        Rpc {
            service,
            service_is_known: false,
            method,
            on_the_wire: OnceLock::new(),
            guessed: OnceLock::new(),
        }
    }

    /// Starts the RPC that `request` is for. `R` is what its handler returns.
    pub fn start<R: Reply>(&'static self, request: &Request<impl Sized>) -> R::Call {
        let uri = original_uri(request.extensions());
        let headers = request.metadata().as_ref();
        TypedCall::new(Call::start(
            self.method(uri),
            headers,
            uri,
            request.remote_addr(),
            request.extensions(),
        ))
        .into()
    }

    fn method(&self, uri: Option<&http::Uri>) -> &Method {
        if let Some(method) = self.on_the_wire.get() {
            return method;
        }
        match uri.and_then(service_and_method) {
            Some((service, method)) => self
                .on_the_wire
                .get_or_init(|| Method::new(if self.service_is_known { self.service } else { service }, method)),
            None => self.guessed.get_or_init(|| Method::new(self.service, self.method)),
        }
    }
}

/// The URI that the request came with. axum, which is tonic's router, puts it there, path and authority.
fn original_uri(extensions: &Extensions) -> Option<&http::Uri> {
    extensions.get::<OriginalUri>().map(|OriginalUri(uri)| uri)
}

/// `pkg.Service` and `Method` of `/pkg.Service/Method`; of the end of the path, where the service is nested below another.
fn service_and_method(uri: &http::Uri) -> Option<(&str, &str)> {
    let (rest, method) = uri.path().rsplit_once('/')?;
    let (_, service) = rest.rsplit_once('/')?;
    (!service.is_empty() && !method.is_empty()).then_some((service, method))
}

/// A method by its name, with everything about it that every RPC of it needs.
#[derive(Debug)]
pub(crate) struct Method {
    /// `pkg.Service/Method`. Leaked, once for each method of the program, to be an attribute without a copy.
    name: &'static str,
    active_requests: Box<[KeyValue]>,
    call_duration: [OnceLock<Box<[KeyValue]>>; Outcome::COUNT],
}

impl Method {
    fn new(service: &str, method: &str) -> Self {
        let name: &'static str = Box::leak(format!("{service}/{method}").into_boxed_str());
        Method {
            name,
            active_requests: sorted(Self::identity(name).to_vec()),
            call_duration: [const { OnceLock::new() }; Outcome::COUNT],
        }
    }

    /// `rpc.method`, and the name of its spans.
    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    /// The attributes that every span and metric point of the method has.
    pub(crate) fn span_attributes(&self) -> [KeyValue; 2] {
        Self::identity(self.name)
    }

    fn identity(name: &'static str) -> [KeyValue; 2] {
        [
            KeyValue::new(semconv::RPC_SYSTEM_NAME, semconv::GRPC),
            KeyValue::new(semconv::RPC_METHOD, name),
        ]
    }

    /// Adds to the number of its RPCs that are being handled.
    pub(crate) fn count_active(&self, instruments: &ServerInstruments, change: i64) {
        instruments.active_requests.add(change, &self.active_requests);
    }

    /// Records the duration of one RPC, in seconds.
    pub(crate) fn record_duration(&self, instruments: &ServerInstruments, seconds: f64, outcome: Outcome<'_>) {
        let attributes = self.call_duration[outcome.index()].get_or_init(|| {
            let mut attributes = Self::identity(self.name).to_vec();
            attributes.push(KeyValue::new(semconv::RPC_STATUS_CODE, outcome.code_name()));
            attributes.extend(
                outcome
                    .server_error_type()
                    .map(|error| KeyValue::new(semconv::ERROR_TYPE, error)),
            );
            sorted(attributes)
        });
        instruments.call_duration.record(seconds, attributes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(path: &'static str) -> Option<(String, String)> {
        let uri = http::Uri::from_static(path);
        service_and_method(&uri).map(|(service, method)| (service.to_owned(), method.to_owned()))
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
        assert_eq!(RPC.method(Some(&path)).name(), "helloworld.Greeter/SayHELLO");
        assert_eq!(RPC.method(None).name(), "helloworld.Greeter/SayHELLO");
    }

    #[test]
    fn a_known_service_keeps_its_name() {
        static RPC: Rpc = Rpc::of("helloworld.Greeter", "GetUrl");
        let path = http::Uri::from_static("/elsewhere/GetURL");
        assert_eq!(RPC.method(Some(&path)).name(), "helloworld.Greeter/GetURL");
    }
}
