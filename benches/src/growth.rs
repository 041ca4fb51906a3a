//! How the cost of an RPC grows with what its server or client has, or gets.

use std::error::Error;
use std::fmt::Write;
use std::path::Path;

use http::header::HeaderName;
use http::{HeaderValue, Uri};
use otel_runtime::{ClientLayer, ServerLayer, propagation};
use tonic::service::Routes;
use tower::Layer;

use crate::measure::Subject;
use crate::proto::bench_server::BenchServer;
use crate::request::{Requests, peer, whole, with_authority};
use crate::rpc::{Answers, Rpc, Shape, calls, of_client};
use crate::sdk::Mode;
use crate::service::{Bare, Traced};
use crate::variant::{Variant, Whose};

/// A quantity that grows, and its numbers.
struct Series {
    name: &'static str,
    variants: Vec<(usize, Variant)>,
    bases: Vec<Variant>,
}

macro_rules! series {
    ($name:literal, $make:ident: $($number:literal)*) => {
        Series {
            name: $name,
            variants: vec![$((
                $number,
                Variant::ours(
                    concat!($name, ", ", $number),
                    concat!($name, ", ", $number, ", bare"),
                    |mode, shape| $make(mode, shape, $number, true),
                ),
            )),*],
            bases: vec![$(Variant {
                name: concat!($name, ", ", $number, ", bare"),
                base: concat!($name, ", ", $number, ", bare"),
                whose: Whose::Nobodys,
                can_be_bound: true,
                lacks: "",
                make: |mode, shape| $make(mode, shape, $number, false),
            }),*],
        }
    };
}

fn all() -> Vec<Series> {
    vec![
        series!("methods that a ServerLayer knows, called in turn", methods: 1 10 100 1000 2000),
        series!("request headers of its own", headers: 0 1 8 64),
        series!("members of baggage", baggage: 0 1 16),
        series!("members of tracestate", trace_state: 0 1 32),
        series!("ClientLayers, called in turn", clients: 1 10 100),
    ]
}

/// Returns all variants, for the processes that measure them.
pub(crate) fn variants() -> impl Iterator<Item = Variant> {
    let variants = |series: Series| {
        series
            .variants
            .into_iter()
            .map(|(_, variant)| variant)
            .chain(series.bases)
    };
    all().into_iter().flat_map(variants)
}

/// A server of as many methods, which answers every path.
fn methods(mode: Mode, shape: Shape, count: usize, is_traced: bool) -> Rpc {
    let names: Vec<_> = (0..count).map(|id| format!("bench.Bench{id}/Unary")).collect();
    let uri = |name: &String| Uri::try_from(with_authority(&format!("/{name}"))).expect("a URI");
    let uris: Vec<_> = names.iter().map(uri).collect();
    let requests = Requests::new(uris[0].to_string(), Some(peer()), whole, mode);
    let mut next = 0;
    let make = move |message| {
        let mut request = requests.make(message);
        *request.uri_mut() = uris[next].clone();
        next = (next + 1) % uris.len();
        request
    };
    let mut rpc = if is_traced {
        let layer = ServerLayer::new().known_methods(&names);
        calls(layer.layer(Answers::new()), make, shape)
    } else {
        calls(Answers::new(), make, shape)
    };
    // The first call of each method initializes its time series.
    for _ in 0..count {
        rpc();
    }
    rpc
}

/// A server with the attribute and the layer, and requests with these headers in addition.
fn with_headers(mode: Mode, shape: Shape, is_traced: bool, added: Vec<(HeaderName, HeaderValue)>) -> Rpc {
    let mut requests = Requests::new(with_authority(shape.path()), Some(peer()), whole, mode);
    requests.headers.extend(added);
    let make = move |message| requests.make(message);
    if is_traced {
        let routes = Routes::new(BenchServer::new(Traced));
        calls(ServerLayer::new().layer(routes), make, shape)
    } else {
        calls(Routes::new(BenchServer::new(Bare)), make, shape)
    }
}

fn headers(mode: Mode, shape: Shape, count: usize, is_traced: bool) -> Rpc {
    let header = |id| {
        let name = HeaderName::try_from(format!("x-header-{id}"));
        (name.expect("a name"), HeaderValue::from_static("value"))
    };
    with_headers(mode, shape, is_traced, (0..count).map(header).collect())
}

fn baggage(mode: Mode, shape: Shape, count: usize, is_traced: bool) -> Rpc {
    propagation::set_global(propagation::from_names("tracecontext,baggage"));
    with_headers(mode, shape, is_traced, list("baggage", count))
}

fn trace_state(mode: Mode, shape: Shape, count: usize, is_traced: bool) -> Rpc {
    with_headers(mode, shape, is_traced, list("tracestate", count))
}

/// Returns a header with as many members, if there are any.
fn list(name: &'static str, count: usize) -> Vec<(HeaderName, HeaderValue)> {
    let members: Vec<_> = (0..count).map(|id| format!("key{id}=value{id}")).collect();
    let value = HeaderValue::try_from(members.join(",")).expect("a value");
    let header = (count > 0).then(|| (HeaderName::from_static(name), value));
    header.into_iter().collect()
}

/// Clients with a layer each.
fn clients(mode: Mode, shape: Shape, count: usize, is_traced: bool) -> Rpc {
    let client = |id| {
        if is_traced {
            let layer = ClientLayer::new(format!("bench{id}.example:50051"));
            of_client(layer.layer(Answers::new()), mode, shape)
        } else {
            of_client(Answers::new(), mode, shape)
        }
    };
    let mut clients: Vec<_> = (0..count).map(client).collect();
    let mut next = 0;
    Box::new(move || {
        clients[next]();
        next = (next + 1) % clients.len();
    })
}

/// Measures a sampled unary RPC, and returns the table in Markdown.
pub(crate) fn table(program: &Path) -> Result<String, Box<dyn Error>> {
    let count = |variant| {
        Subject {
            program,
            variant,
            mode: Mode::Sampled,
            shape: Shape::Unary,
        }
        .count()
    };
    let mut text = String::from("| what grows | instructions, allocations added to a sampled unary RPC |\n|---|---|\n");
    for series in all() {
        let mut cells = Vec::new();
        for (number, variant) in &series.variants {
            let (cost, base) = (count(variant.name)?, count(variant.base)?);
            let instructions = cost.instructions_without_allocator - base.instructions_without_allocator;
            let allocations = cost.allocations - base.allocations;
            cells.push(format!("{number}: {instructions:.0}, {allocations:.0}"));
        }
        writeln!(text, "| {} | {} |", series.name, cells.join("; "))?;
    }
    Ok(text)
}
