//! Calls through a proxy.

use std::collections::BTreeMap;
use std::env;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use integration_tests::client::{Kind, call, endpoint};
use integration_tests::coverage::Coverage;
use integration_tests::free_address::free_address;
use integration_tests::kinds::Message;
use integration_tests::scripted::ScriptedService;
use integration_tests::server::{RunningServer, TIMEOUT};
use integration_tests::telemetry::{Attributes, Telemetry, attributes};
use opentelemetry::trace::{SpanKind, Status as SpanStatus};
use opentelemetry_sdk::trace::SpanData;
use otel_runtime::TracedChannel;
use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::{Request, Status};
use tonic_prost::ProstCodec;

use super::case::Case;
use super::program::{ALL, DIRECT, Proxy, RunningProxy};
use super::table::{Cell, Key, Table};

/// The longest that a server may take to notice what happened to the call.
const PATIENCE: Duration = Duration::from_secs(10);

/// The time after which a caller without a deadline cancels a call to a slow server.
const CALLERS_LIMIT: Duration = Duration::from_secs(2);

/// Everything between the caller and the handler.
struct SetUp {
    service: ScriptedService,
    server: RunningServer,
    proxy: RunningProxy,
    /// A proxy in front of nothing.
    lost: RunningProxy,
    telemetry: Telemetry,
    /// The number of spans of earlier calls.
    seen: usize,
}

/// Makes all calls through a proxy, and compares what is recorded with the table.
///
/// If the environment variable `UPDATE_EXPECT` is set, writes the table instead.
///
/// # Panics
///
/// If a result is not the expected one.
pub async fn run(proxy: &Proxy, directory: &str) {
    let number = ALL.iter().position(|known| known.name == proxy.name).unwrap();
    let is_update = env::var_os("UPDATE_EXPECT").is_some();
    let table = Table::read();
    let mut set_up = SetUp::new(proxy, directory).await;
    let mut found = BTreeMap::new();
    let mut wrong = Vec::new();
    for case in Case::ALL {
        if case.needs_proxy() && proxy.name == DIRECT.name {
            continue;
        }
        for kind in case.kinds() {
            let key: Key = (number, case, Kind::ALL.iter().position(|known| known == kind).unwrap());
            let expected = table.0.get(&key).filter(|_| !is_update).map(|entry| &entry.cell);
            let mut cell = set_up.observe(case, *kind, expected).await;
            // A request that takes more than 5 ms to the server makes a missed deadline a cancel.
            for _ in 0..4 {
                if case == Case::Deadline && cell.server == "CANCELLED" {
                    cell = set_up.observe(case, *kind, expected).await;
                }
            }
            if !expected.is_some_and(|expected| expected.expects(&cell)) {
                wrong.push(format!("{}, {kind:?}: {cell:?} instead of {expected:?}", case.name()));
            }
            found.insert(key, cell);
        }
    }
    set_up.assert_metrics().await;
    if is_update {
        return Table::replace(number, found);
    }
    assert!(wrong.is_empty(), "through {}:\n{}", proxy.name, wrong.join("\n"));
}

impl SetUp {
    async fn new(proxy: &Proxy, directory: &str) -> Self {
        let telemetry = Telemetry::start();
        let service = ScriptedService::default();
        let server = Coverage::Both.serve(&service).await;
        SetUp {
            proxy: proxy.start(directory, server.address),
            lost: proxy.start(directory, free_address()),
            service,
            server,
            telemetry,
            seen: 0,
        }
    }

    /// Makes a call, and returns what both sides have recorded.
    ///
    /// Waits for the expected result, or until no more can be expected.
    async fn observe(&mut self, case: Case, kind: Kind, expected: Option<&Cell>) -> Cell {
        let address = if case == Case::NoServer {
            self.lost.address
        } else {
            self.proxy.address
        };
        self.make(case, kind, address).await;
        let begun = Instant::now();
        loop {
            let spans = self.telemetry.ended_spans().split_off(self.seen);
            let cell = self.cell(&spans, address);
            let all_have_ended = self.telemetry.started() == self.seen + spans.len();
            let is_done = match expected {
                _ if case == Case::Deadline && cell.server == "CANCELLED" => true,
                Some(expected) => expected.expects(&cell),
                // Without an expectation, a server that a call reaches late is waited for.
                None => begun.elapsed() > Duration::from_secs(2),
            };
            if is_done && all_have_ended || begun.elapsed() > PATIENCE {
                let statuses: Vec<&SpanStatus> = spans.iter().map(|span| &span.status).collect();
                println!("{}, {kind:?}: {statuses:?}", case.name());
                self.seen += spans.len();
                return cell;
            }
            // The next change may be the start of a span.
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    async fn make(&self, case: Case, kind: Kind, address: SocketAddr) {
        let channel = TracedChannel::connect(endpoint(address)).await.unwrap();
        let large = "x".repeat(2 << 20);
        let text = match case {
            Case::Error => "5",
            Case::LateError => "later 5",
            Case::Panic => "panic",
            Case::Cancel | Case::Deadline | Case::SlowServer => "wait",
            Case::LargeMessages => &large,
            _ => "echo",
        };
        let mut request = Request::new(text);
        // The result of each call is in the client's span.
        match case {
            Case::UnknownMethod => drop(call_path(channel, "/kinds.Unary/Unknown").await),
            Case::NoRoute => drop(call_path(channel, "/unrouted.Service/Call").await),
            Case::Cancel => {
                let waiting = call(channel, kind, request);
                tokio::select! { ended = waiting => panic!("{ended:?}"), () = self.service.waits() => {} }
            }
            Case::Deadline => {
                request.set_timeout(Duration::from_millis(300));
                drop(call(channel, kind, request).await);
                self.reached().await;
            }
            Case::SlowServer => {
                drop(tokio::time::timeout(CALLERS_LIMIT, call(channel, kind, request)).await);
                self.reached().await;
            }
            _ => drop(call(channel, kind, request).await),
        }
    }

    /// Asserts that the call has reached its handler, so that no later call takes its notification.
    async fn reached(&self) {
        tokio::time::timeout(TIMEOUT, self.service.waits())
            .await
            .expect("the call reaches its handler");
    }

    /// Describes the spans of a call.
    fn cell(&self, spans: &[SpanData], proxy: SocketAddr) -> Cell {
        let of_kind =
            |kind: SpanKind| -> Vec<&SpanData> { spans.iter().filter(|span| span.span_kind == kind).collect() };
        let (clients, servers) = (of_kind(SpanKind::Client), of_kind(SpanKind::Server));
        let ends = |spans: &[&SpanData]| match spans {
            [] => "-".to_owned(),
            spans => spans.iter().map(|span| end(span)).collect::<Vec<_>>().join(", "),
        };
        let mut cell = Cell {
            client: ends(&clients),
            server: ends(&servers),
            authority: "-".to_owned(),
        };
        for server in servers {
            let is_child = clients
                .iter()
                .any(|client| client.span_context.span_id() == server.parent_span_id);
            if !is_child {
                cell.server += ", not a child of the client's";
            }
            let address = attributes(&server.attributes);
            let address = format!(
                "{}:{}",
                address.get("server.address").map_or("", |address| address),
                address.get("server.port").map_or("", |port| port)
            );
            cell.authority = match address {
                address if address == proxy.to_string() => "client's".to_owned(),
                address if address == self.server.address.to_string() => "server's".to_owned(),
                address => address,
            };
        }
        cell
    }

    /// Asserts that each span has a duration with the same attributes, and that there are no more.
    async fn assert_metrics(&self) {
        let spans = self.telemetry.spans(self.seen).await;
        let metrics = self.telemetry.metrics();
        for (kind, durations) in [
            (SpanKind::Client, metrics.client_durations()),
            (SpanKind::Server, metrics.durations()),
        ] {
            let of_metrics = |mut attributes: Attributes| {
                attributes.retain(|name, _| ["rpc.method", "rpc.status_code", "error.type"].contains(&&**name));
                attributes
            };
            let mut expected: BTreeMap<Attributes, u64> = BTreeMap::new();
            for span in spans.iter().filter(|span| span.span_kind == kind) {
                *expected.entry(of_metrics(attributes(&span.attributes))).or_default() += 1;
            }
            let mut found: BTreeMap<Attributes, u64> = BTreeMap::new();
            for (attributes, count, _) in durations {
                *found.entry(of_metrics(attributes)).or_default() += count;
            }
            assert_eq!(found, expected, "{kind:?}");
        }
    }
}

/// Returns the status code, and `error` with the error type if the call failed.
///
/// Adds the HTTP status of an answer without a gRPC status, which is in the span's description.
fn end(span: &SpanData) -> String {
    let attributes = attributes(&span.attributes);
    let code = attributes.get("rpc.status_code").map_or("none", |code| code);
    match (&span.status, attributes.get("error.type")) {
        (SpanStatus::Error { description }, Some(error)) => {
            let http = description.split_once("(HTTP status ");
            let http = http
                .map(|(_, status)| format!(", HTTP {}", &status[..3]))
                .unwrap_or_default();
            format!("{code} error {error}{http}")
        }
        (SpanStatus::Unset, None) => code.to_owned(),
        other => format!("{code} {other:?}"),
    }
}

async fn call_path(channel: TracedChannel, path: &'static str) -> Result<(), Status> {
    let mut client = Grpc::new(channel);
    client.ready().await.map_err(|error| Status::from_error(error.into()))?;
    let codec = ProstCodec::<Message, Message>::default();
    let request = Request::new(Message::from("echo"));
    client.unary(request, PathAndQuery::from_static(path), codec).await?;
    Ok(())
}
