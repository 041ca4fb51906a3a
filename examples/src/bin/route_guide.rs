//! How is each kind of RPC recorded, and one that fails, is cancelled or late?
//!
//! ```console
//! $ cargo run -p examples
//! ```
//!
//! Two services and a client in one process, ten RPCs over sockets, and their traces and metrics on
//! the terminal. The zPages show them in a browser, and one that is still open. In a terminal, or
//! with `-- --stay`, they stay until Ctrl-C.

use std::error::Error;
use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use examples::routeguide::route_guide_client::RouteGuideClient;
use examples::routeguide::{Feature, Point, Rectangle, RouteNote};
use examples::servers::Servers;
use examples::stop;
use examples::telemetry::Telemetry;
use otel_runtime::TracedChannel;
use otel_setup::console::{metrics_table, waterfall};
use otel_setup::stdout_supports_color;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tokio_stream::{Stream, StreamExt};
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::Endpoint;
use tonic::{GrpcMethod, IntoRequest, Request, Status};

type BoxError = Box<dyn Error + Send + Sync>;
type Client = RouteGuideClient<TracedChannel>;

const MENDHAM: Point = point(407_838_351, -746_143_763);
const STOCKTON: Point = point(403_966_326, -748_519_297);
/// The geocoder takes three seconds for this one.
const LIBERTY: Point = point(418_858_923, -745_956_980);
/// The route guide knows it, the geocoder does not.
const NAMELESS: Point = point(410_873_075, -744_459_023);
const NOWHERE: Point = point(0, 0);

const SOUTH: Rectangle = latitudes(400_000_000, 409_000_000);
/// `NAMELESS` comes third.
const MIDDLE: Rectangle = latitudes(403_000_000, 416_000_000);
/// `LIBERTY` comes third.
const NORTH: Rectangle = latitudes(413_000_000, 420_000_000);

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    match run(&mut io::stdout()).await {
        // The reader has closed the pipe, as in `cargo run -p examples | head`.
        Err(error) if is_broken_pipe(&error) => Ok(()),
        result => result,
    }
}

fn is_broken_pipe(error: &BoxError) -> bool {
    let error = error.downcast_ref::<io::Error>();
    error.is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

async fn run(out: &mut io::Stdout) -> Result<(), BoxError> {
    let telemetry = Telemetry::install()?;
    let zpages = format!("http://{}/debug/tracez", telemetry.zpages());
    writeln!(out, "In a browser: {zpages}\n")?;
    let servers = Servers::start().await?;
    let endpoint = Endpoint::from_shared(format!("http://{}", servers.route_guide()))?;
    let channel = TracedChannel::connect(endpoint).await?;

    writeln!(out, "What the client calls, and what it gets:\n")?;
    call_everything(channel.clone(), out).await?;

    let traces = waterfall(&telemetry.spans().await, stdout_supports_color());
    let metrics = metrics_table(&telemetry.metrics().await?);
    writeln!(out, "\nThe trace of each call:\n\n{traces}\nThe metrics:\n\n{metrics}")?;
    writeln!(
        out,
        "The services are in examples/src/services, with `#[traced_service]` above each; the servers, with a `ServerLayer`, in examples/src/servers.rs;\n\
         the client, with a `TracedChannel`, in examples/src/bin/route_guide.rs; and the set-up of OpenTelemetry in examples/src/telemetry.rs."
    )?;
    if out.is_terminal() || std::env::args().any(|argument| argument == "--stay") {
        let (notes, sent) = mpsc::channel::<RouteNote>(1);
        let chat = Client::new(channel).route_chat(ReceiverStream::new(sent)).await?;
        writeln!(out, "\nA RouteChat is open now. See it run until Ctrl-C: {zpages}")?;
        stop::requested().await?;
        // The end of the request stream ends the RPC.
        drop((notes, chat));
    }
    servers.stop().await
}

/// Makes an RPC of each kind, and one for each way to end but a panic.
async fn call_everything(channel: TracedChannel, out: &mut impl Write) -> io::Result<()> {
    let client = &mut Client::new(channel.clone());
    let mut number = 0;
    let mut tell = |call: &str, got: String| {
        number += 1;
        writeln!(out, "{number:2}  {call:42}  {got}")
    };
    let patient = Duration::from_secs(60);

    tell("GetFeature", get_feature(client, MENDHAM).await)?;
    tell("ListFeatures", list_features(client, SOUTH, patient).await)?;
    tell("RecordRoute", record_route(client, [NOWHERE, STOCKTON, MENDHAM]).await)?;
    tell(
        "RouteChat",
        route_chat(client, ["nice here", "it rains", "all gone"]).await,
    )?;

    tell("GetFeature where there is none", get_feature(client, NOWHERE).await)?;
    tell("GetFeature of one without a name", get_feature(client, NAMELESS).await)?;
    tell(
        "ListFeatures, one of them without a name",
        list_features(client, MIDDLE, patient).await,
    )?;
    let impatient = Duration::from_millis(50);
    tell("ListFeatures, cancelled", list_features(client, NORTH, impatient).await)?;

    let mut request = Request::new(LIBERTY);
    request.set_timeout(Duration::from_millis(150));
    tell(
        "GetFeature with a deadline of 150 ms",
        get_feature(client, request).await,
    )?;
    tell("GetWeather, which the server does not have", get_weather(channel).await)
}

async fn get_feature(client: &mut Client, request: impl IntoRequest<Point>) -> String {
    match client.get_feature(request).await {
        Ok(feature) => feature.into_inner().name,
        Err(status) => failure(&status),
    }
}

/// Calls a method that does not exist, as a client does that is newer than the server.
async fn get_weather(channel: TracedChannel) -> String {
    let mut client = tonic::client::Grpc::new(channel);
    if let Err(error) = client.ready().await {
        return failure(&error);
    }
    let mut request = Request::new(MENDHAM);
    request
        .extensions_mut()
        .insert(GrpcMethod::new("routeguide.RouteGuide", "GetWeather"));
    let path = PathAndQuery::from_static("/routeguide.RouteGuide/GetWeather");
    let codec = tonic_prost::ProstCodec::<Point, Feature>::default();
    match client.unary(request, path, codec).await {
        Ok(weather) => weather.into_inner().name,
        Err(status) => failure(&status),
    }
}

/// Requests the features of an area, and cancels the RPC if the next one takes longer than
/// `patience`.
async fn list_features(client: &mut Client, area: Rectangle, patience: Duration) -> String {
    let mut features = match client.list_features(area).await {
        Ok(features) => features.into_inner(),
        Err(status) => return failure(&status),
    };
    let mut got = Vec::new();
    loop {
        match timeout(patience, features.message()).await {
            Ok(Ok(Some(feature))) => got.push(feature.name),
            Ok(Ok(None)) => break,
            Ok(Err(status)) => {
                got.push(failure(&status));
                break;
            }
            Err(_elapsed) => {
                got.push("no more, it takes too long".to_owned());
                break;
            }
        }
    }
    // Dropping the stream before its end cancels the RPC.
    drop(features);
    got.join(" | ")
}

async fn record_route<const N: usize>(client: &mut Client, route: [Point; N]) -> String {
    match client.record_route(unhurried(route)).await {
        Ok(summary) => {
            let summary = summary.into_inner();
            format!("{} points, {} features", summary.point_count, summary.feature_count)
        }
        Err(status) => failure(&status),
    }
}

/// Sends messages to one place, and returns the previous ones.
async fn route_chat<const N: usize>(client: &mut Client, messages: [&str; N]) -> String {
    let notes = messages.map(|message| RouteNote {
        location: Some(STOCKTON),
        message: message.to_owned(),
    });
    let answers = match client.route_chat(unhurried(notes)).await {
        Ok(answers) => answers.into_inner(),
        Err(status) => return failure(&status),
    };
    let answers = answers.map(|answer| answer.map_or_else(|status| failure(&status), |note| note.message));
    answers.collect::<Vec<_>>().await.join(" | ")
}

/// Returns a stream with a pause of 10 ms before each item.
fn unhurried<T: Send + 'static, const N: usize>(items: [T; N]) -> impl Stream<Item = T> + Send + 'static {
    tokio_stream::iter(items).throttle(Duration::from_millis(10))
}

fn failure(status: &Status) -> String {
    format!("{:?}: {}", status.code(), status.message())
}

const fn point(latitude: i32, longitude: i32) -> Point {
    Point { latitude, longitude }
}

/// Returns the area between two latitudes.
const fn latitudes(from: i32, to: i32) -> Rectangle {
    Rectangle {
        lo: Some(point(from, -1_800_000_000)),
        hi: Some(point(to, 1_800_000_000)),
    }
}
