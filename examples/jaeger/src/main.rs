//! How does a trace through several services look in Jaeger?
//!
//! ```console
//! $ cargo run --manifest-path examples/jaeger/Cargo.toml
//! ```
//!
//! A customer, a shop and its cashier, and Jaeger's interface with their traces.
//!
//! Three processes: this one is the customer, and stands for the collector and Jaeger. It starts
//! the other two, which are the same program. `PORT` is the port of the interface, 16686 by
//! default.

use std::env;
use std::error::Error;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::Stdio;
use std::time::Duration;

use axum::response::Redirect;
use axum::routing::get;
use examples::services::{Cashier, Storefront};
use examples::shop::Order;
use examples::shop::payment_server::PaymentServer;
use examples::shop::shop_client::ShopClient;
use examples::shop::shop_server::ShopServer;
use examples::stop;
use opentelemetry::baggage::BaggageExt;
use opentelemetry::context::FutureExt;
use opentelemetry::trace::{Span, TraceContextExt, Tracer};
use opentelemetry::{Context, KeyValue, global};
use otel_runtime::{ServerLayer, TracedChannel};
use otel_setup::{Builder, Exporter};
use otlp_embedded::{Config, State, StateRef, TraceServiceImpl, TraceServiceServer, ui_app};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::net::TcpListener;
use tokio::process::{Child, Command};
use tonic::service::Routes;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Endpoint, Server};

type BoxError = Box<dyn Error + Send + Sync>;

/// The spans of an order.
///
/// There are the customer's own span, its call on both sides, three spans of the shop's work (a
/// query, its logic, a confirmation), and the shop's call of the cashier on both sides.
const SPANS_OF_AN_ORDER: usize = 8;

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["cashier", collector] => {
            let routes = Routes::new(PaymentServer::new(Cashier));
            serve("cashier", collector, routes).await
        }
        ["shop", collector, cashier] => {
            let cashier = TracedChannel::connect_lazy(&Endpoint::from_shared(cashier.to_owned())?);
            let routes = Routes::new(ShopServer::new(Storefront::new(cashier)));
            serve("shop", collector, routes).await
        }
        _ => look().await,
    }
}

/// Returns a set-up that exports spans alone, to the process that stands for the collector.
fn telemetry_to(collector: &str, service: &'static str) -> Builder {
    otel_setup::builder()
        .service_name(service)
        .otlp_endpoint(collector)
        .trace_exporters([Exporter::Otlp])
        .metric_exporters([])
        .log_exporters([])
}

/// Serves in a process of its own, until the parent process is gone.
async fn serve(name: &'static str, collector: &str, routes: Routes) -> Result<(), BoxError> {
    let telemetry = telemetry_to(collector, name).init()?;
    let incoming = TcpIncoming::bind((Ipv4Addr::LOCALHOST, 0).into())?.with_nodelay(Some(true));
    println!("http://{}", incoming.local_addr()?);
    Server::builder()
        .layer(ServerLayer::new())
        .add_routes(routes)
        .serve_with_incoming_shutdown(incoming, async {
            // The parent writes nothing; the end of the input is its end.
            let _ = tokio::io::stdin().read(&mut [0]).await;
        })
        .await?;
    telemetry.shutdown(Duration::from_secs(5)).await?;
    Ok(())
}

/// Starts this program as a service, and returns its address.
async fn start(arguments: &[&str]) -> Result<(Child, String), BoxError> {
    let mut child = Command::new(env::current_exe()?)
        .args(arguments)
        // A short delay, because someone is waiting to see the trace.
        .env("OTEL_BSP_SCHEDULE_DELAY", "100")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let mut stdout = BufReader::new(child.stdout.take().ok_or("no stdout")?);
    let mut address = String::new();
    stdout.read_line(&mut address).await?;
    // Other examples show logs.
    tokio::spawn(async move { tokio::io::copy(&mut stdout, &mut tokio::io::sink()).await });
    Ok((child, address.trim_end().to_owned()))
}

async fn look() -> Result<(), BoxError> {
    let traces = State::new(Config {
        max_length: 1000,
        max_memory_usage: 100 << 20,
    });
    let collector = collect(&traces)?;
    let port = env::var("PORT").map_or(Ok(16686), |port| port.parse())?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
    let jaeger = format!("http://{}", listener.local_addr()?);
    // The search shows traces of the last hour instead of an empty form.
    let home = get(|| async { Redirect::temporary("/search?service=customer&lookback=1h&limit=20") });
    let interface = axum::Router::new()
        .route("/", home)
        .fallback_service(ui_app(traces.clone(), "/"));
    tokio::spawn(async move { axum::serve(listener, interface).await });

    let (cashier, cashier_address) = start(&["cashier", &collector]).await?;
    let (shop, shop_address) = start(&["shop", &collector, &cashier_address]).await?;
    let telemetry = telemetry_to(&collector, "customer").init()?;
    let orders = buy(&shop_address).await?;
    telemetry.shutdown(Duration::from_secs(5)).await?;

    for (order, trace_id) in orders {
        if order.ends_with(": 3") {
            complete(&traces, &trace_id).await?;
        }
        println!("{order:44}  {jaeger}/trace/{trace_id}");
    }
    println!("\nAll of them: {jaeger}\nCtrl-C ends this.");
    stop::requested().await?;
    // The services stop at the end of their standard input.
    for mut child in [shop, cashier] {
        drop(child.stdin.take());
        child.wait().await?;
    }
    Ok(())
}

/// Serves what stands for a collector on a free port, and returns its URL.
fn collect(traces: &StateRef) -> Result<String, BoxError> {
    let incoming = TcpIncoming::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
    let url = format!("http://{}", incoming.local_addr()?);
    let service = TraceServiceServer::new(TraceServiceImpl::new(traces.clone()));
    tokio::spawn(Server::builder().add_service(service).serve_with_incoming(incoming));
    Ok(url)
}

/// Makes orders, and returns the outcome and the trace of each.
async fn buy(shop: &str) -> Result<Vec<(String, String)>, BoxError> {
    let shop = ShopClient::new(TracedChannel::connect(Endpoint::from_shared(shop.to_owned())?).await?);
    let mut orders = Vec::new();
    for (item, quantity) in [("apple", 6), ("unicorn", 1), ("apple", 0), ("gold", 1)] {
        let span = global::tracer("customer").start(format!("buy {item}"));
        let trace_id = span.span_context().trace_id().to_string();
        let context = Context::current_with_span(span).with_baggage([KeyValue::new("customer.id", "ada")]);
        let order = Order {
            item: item.to_owned(),
            quantity,
        };
        let reply = shop.clone().place_order(order).with_context(context).await;
        let told = match reply {
            Ok(receipt) => format!("{quantity} {item}: {}", receipt.into_inner().total),
            Err(status) => format!("{quantity} {item}: {:?}, {}", status.code(), status.message()),
        };
        orders.push((told, trace_id));
    }
    Ok(orders)
}

/// Waits until all spans of a trace have arrived.
async fn complete(traces: &StateRef, trace_id: &str) -> Result<(), BoxError> {
    let id = opentelemetry::TraceId::from_hex(trace_id)?.to_bytes();
    let come = async {
        loop {
            let trace = traces.write().await.get_by_id(&id);
            let spans = trace.map(|trace| {
                trace.to_jaeger_batch()["data"][0]["spans"]
                    .as_array()
                    .map_or(0, Vec::len)
            });
            if spans >= Some(SPANS_OF_AN_ORDER) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), come)
        .await
        .map_err(|_| "some spans of the trace are missing")?;
    Ok(())
}
