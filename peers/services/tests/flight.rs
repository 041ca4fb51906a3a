//! arrow-flight: every kind of stream in one service.

use arrow_flight::flight_service_client::FlightServiceClient;
use arrow_flight::flight_service_server::{self, FlightService, FlightServiceServer};
use arrow_flight::{
    Action, ActionType, Criteria, Empty, FlightData, FlightDescriptor, FlightInfo, HandshakeRequest, HandshakeResponse,
    PollInfo, PutResult, SchemaResult, Ticket,
};
use foreign_services::{Boxed, assert_each_is_one_rpc, assert_measured_once};
use integration_tests::server::serve;
use integration_tests::telemetry::{Telemetry, attributes};
use opentelemetry::trace::{SpanKind, Status as SpanStatus};
use otel_runtime::traced_service;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_stream::{Stream, StreamExt};
use tonic::service::Routes;
use tonic::{Code, Request, Response, Status, Streaming};

fn data(body: &str) -> FlightData {
    FlightData {
        data_body: body.to_owned().into(),
        ..FlightData::default()
    }
}

/// A table that is as long as the ticket says, and torn where it says so.
struct Tables;

type Actions = tokio_stream::Iter<std::vec::IntoIter<Result<ActionType, Status>>>;

#[traced_service]
#[tonic::async_trait]
impl FlightService for Tables {
    type HandshakeStream = tokio_stream::Once<Result<HandshakeResponse, Status>>;

    async fn handshake(
        &self,
        request: Request<Streaming<HandshakeRequest>>,
    ) -> Result<Response<Self::HandshakeStream>, Status> {
        let hello = request.into_inner().message().await?.unwrap_or_default();
        let reply = HandshakeResponse {
            protocol_version: hello.protocol_version,
            payload: hello.payload,
        };
        Ok(Response::new(tokio_stream::once(Ok(reply))))
    }

    type ListFlightsStream = Boxed<FlightInfo>;

    async fn list_flights(&self, _: Request<Criteria>) -> Result<Response<Self::ListFlightsStream>, Status> {
        Ok(Response::new(Box::pin(tokio_stream::empty())))
    }

    async fn get_flight_info(&self, request: Request<FlightDescriptor>) -> Result<Response<FlightInfo>, Status> {
        Ok(Response::new(FlightInfo {
            flight_descriptor: Some(request.into_inner()),
            ..FlightInfo::default()
        }))
    }

    async fn poll_flight_info(&self, _: Request<FlightDescriptor>) -> Result<Response<PollInfo>, Status> {
        Err(Status::unimplemented("a flight is ready at once"))
    }

    async fn get_schema(&self, request: Request<FlightDescriptor>) -> Result<Response<SchemaResult>, Status> {
        let [_table] = &request.get_ref().path[..] else {
            return Err(Status::not_found("no such table"));
        };
        Ok(Response::new(SchemaResult::default()))
    }

    type DoGetStream = Boxed<FlightData>;

    async fn do_get(&self, request: Request<Ticket>) -> Result<Response<Self::DoGetStream>, Status> {
        let ticket = String::from_utf8(request.into_inner().ticket.into())
            .map_err(|error| Status::invalid_argument(error.to_string()))?;
        let rows: Vec<_> = ticket
            .split_terminator(' ')
            .map(|row| match row {
                "torn" => Err(Status::data_loss("the table is torn")),
                row => Ok(data(row)),
            })
            .collect();
        Ok(Response::new(Box::pin(tokio_stream::iter(rows))))
    }

    type DoPutStream = ReceiverStream<Result<PutResult, Status>>;

    async fn do_put(&self, request: Request<Streaming<FlightData>>) -> Result<Response<Self::DoPutStream>, Status> {
        let mut rows = request.into_inner();
        let (results, received) = mpsc::channel(1);
        tokio::spawn(async move {
            while let Some(row) = rows.next().await {
                let result = row.and_then(|row| match &row.data_body[..] {
                    b"huge" => Err(Status::resource_exhausted("the disk is full")),
                    _ => Ok(PutResult {
                        app_metadata: row.data_body,
                    }),
                });
                if results.send(result).await.is_err() {
                    break;
                }
            }
        });
        Ok(Response::new(ReceiverStream::new(received)))
    }

    type DoExchangeStream = std::pin::Pin<Box<dyn Stream<Item = Result<FlightData, Status>> + Send + 'static>>;

    async fn do_exchange(
        &self,
        request: Request<Streaming<FlightData>>,
    ) -> Result<Response<Self::DoExchangeStream>, Status> {
        let rows = request.into_inner().map(|row| {
            let row = row?;
            if row.data_body.starts_with(b"!") {
                return Err(Status::internal("no such operation"));
            }
            Ok(row)
        });
        Ok(Response::new(Box::pin(rows) as Self::DoExchangeStream))
    }

    type DoActionStream = Boxed<arrow_flight::Result>;

    async fn do_action(&self, mut request: Request<Action>) -> Result<Response<Self::DoActionStream>, Status> {
        let body = std::mem::take(&mut request.get_mut().body);
        let results: Self::DoActionStream = Box::pin(tokio_stream::once(Ok(arrow_flight::Result { body })));
        Ok(Response::new(results))
    }

    type ListActionsStream = Actions;

    async fn list_actions(&self, _request: Request<Empty>) -> Result<Response<Actions>, Status> {
        Ok(Response::new(tokio_stream::iter(vec![Ok(ActionType::default())])))
    }
}

/// Nothing flies: the errors alone tell what a method returns.
struct Grounded;

const GROUNDED: &str = "every flight is grounded";

#[tonic::async_trait]
#[traced_service]
impl flight_service_server::FlightService for Grounded {
    type HandshakeStream = Boxed<HandshakeResponse>;
    type ListFlightsStream = Boxed<FlightInfo>;
    type DoGetStream = Boxed<FlightData>;
    type DoPutStream = Boxed<PutResult>;
    type DoExchangeStream = Boxed<FlightData>;
    type DoActionStream = Boxed<arrow_flight::Result>;
    type ListActionsStream = Boxed<ActionType>;

    async fn handshake(
        &self,
        _: Request<Streaming<HandshakeRequest>>,
    ) -> Result<Response<Self::HandshakeStream>, Status> {
        Err(Status::unimplemented(GROUNDED))
    }

    async fn list_flights(&self, _: Request<Criteria>) -> Result<Response<Self::ListFlightsStream>, Status> {
        Err(Status::unimplemented(GROUNDED))
    }

    async fn get_flight_info(&self, _: Request<FlightDescriptor>) -> Result<Response<FlightInfo>, Status> {
        Err(Status::unimplemented(GROUNDED))
    }

    async fn poll_flight_info(&self, _: Request<FlightDescriptor>) -> Result<Response<PollInfo>, Status> {
        Err(Status::unimplemented(GROUNDED))
    }

    async fn get_schema(&self, _: Request<FlightDescriptor>) -> Result<Response<SchemaResult>, Status> {
        Err(Status::unimplemented(GROUNDED))
    }

    async fn do_get(&self, _: Request<Ticket>) -> Result<Response<Self::DoGetStream>, Status> {
        Err(Status::unimplemented(GROUNDED))
    }

    async fn do_put(&self, _: Request<Streaming<FlightData>>) -> Result<Response<Self::DoPutStream>, Status> {
        Err(Status::unimplemented(GROUNDED))
    }

    async fn do_exchange(&self, _: Request<Streaming<FlightData>>) -> Result<Response<Self::DoExchangeStream>, Status> {
        Err(Status::unimplemented(GROUNDED))
    }

    async fn do_action(&self, _: Request<Action>) -> Result<Response<Self::DoActionStream>, Status> {
        Err(Status::unimplemented(GROUNDED))
    }

    async fn list_actions(&self, _: Request<Empty>) -> Result<Response<Self::ListActionsStream>, Status> {
        Err(Status::unimplemented(GROUNDED))
    }
}

const RPCS: [&str; 10] = [
    "arrow.flight.protocol.FlightService/Handshake",
    "arrow.flight.protocol.FlightService/ListFlights",
    "arrow.flight.protocol.FlightService/GetFlightInfo",
    "arrow.flight.protocol.FlightService/PollFlightInfo",
    "arrow.flight.protocol.FlightService/GetSchema",
    "arrow.flight.protocol.FlightService/DoGet",
    "arrow.flight.protocol.FlightService/DoPut",
    "arrow.flight.protocol.FlightService/DoExchange",
    "arrow.flight.protocol.FlightService/DoAction",
    "arrow.flight.protocol.FlightService/ListActions",
];

#[tokio::test]
async fn each_is_one_rpc() {
    assert_each_is_one_rpc(Routes::new(FlightServiceServer::new(Tables)), &RPCS).await;
}

#[tokio::test]
async fn each_that_fails_is_one_rpc() {
    assert_each_is_one_rpc(Routes::new(FlightServiceServer::new(Grounded)), &RPCS).await;
}

#[tokio::test]
async fn do_get_is_one_span_to_the_last_row() {
    let telemetry = Telemetry::start();
    let server = serve(Routes::new(FlightServiceServer::new(Tables))).await;
    let mut client = FlightServiceClient::new(server.channel().await);
    let rows = client.do_get(Ticket::new("one two three")).await.unwrap().into_inner();
    let rows: Vec<_> = rows.map(|row| row.unwrap().data_body).collect().await;
    assert_eq!(rows, ["one", "two", "three"]);

    let span = telemetry.span().await;
    assert_eq!(span.name, "arrow.flight.protocol.FlightService/DoGet");
    assert_eq!(span.span_kind, SpanKind::Server);
    assert_eq!(span.status, SpanStatus::Unset);
    assert_measured_once(&telemetry, &span.name, "OK", false);
}

#[tokio::test]
async fn do_get_of_a_torn_table_is_not_ok() {
    let telemetry = Telemetry::start();
    let server = serve(Routes::new(FlightServiceServer::new(Tables))).await;
    let mut client = FlightServiceClient::new(server.channel().await);
    let mut rows = client.do_get(Ticket::new("one torn")).await.unwrap().into_inner();
    assert_eq!(rows.message().await.unwrap().unwrap(), data("one"));
    assert_eq!(rows.message().await.unwrap_err().code(), Code::DataLoss);

    let span = telemetry.span().await;
    assert_eq!(span.name, "arrow.flight.protocol.FlightService/DoGet");
    assert_eq!(span.status, SpanStatus::error("the table is torn"));
    let found = attributes(&span.attributes);
    assert_eq!(found["rpc.status_code"], "DATA_LOSS");
    assert_eq!(found["error.type"], "DATA_LOSS");
    assert_measured_once(&telemetry, &span.name, "DATA_LOSS", true);
}

#[tokio::test]
async fn do_put_lasts_as_long_as_its_results() {
    let telemetry = Telemetry::start();
    let server = serve(Routes::new(FlightServiceServer::new(Tables))).await;
    let (rows, put) = mpsc::channel(1);
    let mut client = FlightServiceClient::new(server.channel().await);
    let mut results = client.do_put(ReceiverStream::new(put)).await.unwrap().into_inner();
    for row in ["one", "two"] {
        rows.send(data(row)).await.unwrap();
        assert_eq!(results.message().await.unwrap().unwrap().app_metadata, row);
        // The handler has returned before.
        assert_eq!(telemetry.ended_spans().len(), 0);
        assert_eq!(telemetry.metrics().active_request_count(), 1);
    }
    drop(rows);
    assert!(results.message().await.unwrap().is_none());

    let span = telemetry.span().await;
    assert_eq!(span.name, "arrow.flight.protocol.FlightService/DoPut");
    assert_eq!(span.span_kind, SpanKind::Server);
    assert_eq!(span.status, SpanStatus::Unset);
    assert_measured_once(&telemetry, &span.name, "OK", false);
}

#[tokio::test]
async fn do_put_that_is_refused_half_way_is_no_error_of_the_server() {
    let telemetry = Telemetry::start();
    let server = serve(Routes::new(FlightServiceServer::new(Tables))).await;
    let mut client = FlightServiceClient::new(server.channel().await);
    let rows = tokio_stream::iter(["one", "huge"].map(data));
    let mut results = client.do_put(rows).await.unwrap().into_inner();
    results.message().await.unwrap().unwrap();
    assert_eq!(results.message().await.unwrap_err().code(), Code::ResourceExhausted);

    let span = telemetry.span().await;
    assert_eq!(span.name, "arrow.flight.protocol.FlightService/DoPut");
    assert_eq!(span.status, SpanStatus::Unset);
    assert_measured_once(&telemetry, &span.name, "RESOURCE_EXHAUSTED", false);
}

#[tokio::test]
async fn do_exchange_ends_with_the_failure_of_its_stream() {
    let telemetry = Telemetry::start();
    let server = serve(Routes::new(FlightServiceServer::new(Tables))).await;
    let (rows, sent) = mpsc::channel(1);
    let mut client = FlightServiceClient::new(server.channel().await);
    let mut replies = client
        .do_exchange(ReceiverStream::new(sent))
        .await
        .unwrap()
        .into_inner();
    rows.send(data("one")).await.unwrap();
    assert_eq!(replies.message().await.unwrap().unwrap(), data("one"));
    assert_eq!(telemetry.ended_spans().len(), 0);
    rows.send(data("!")).await.unwrap();
    assert_eq!(replies.message().await.unwrap_err().code(), Code::Internal);

    let span = telemetry.span().await;
    assert_eq!(span.name, "arrow.flight.protocol.FlightService/DoExchange");
    assert_eq!(span.span_kind, SpanKind::Server);
    assert_eq!(span.status, SpanStatus::error("no such operation"));
    assert_measured_once(&telemetry, &span.name, "INTERNAL", true);
}

#[tokio::test]
async fn do_exchange_lasts_until_both_have_nothing_to_say() {
    let telemetry = Telemetry::start();
    let server = serve(Routes::new(FlightServiceServer::new(Tables))).await;
    let (rows, sent) = mpsc::channel(1);
    let mut client = FlightServiceClient::new(server.channel().await);
    let mut replies = client
        .do_exchange(ReceiverStream::new(sent))
        .await
        .unwrap()
        .into_inner();
    for row in ["one", "two"] {
        rows.send(data(row)).await.unwrap();
        assert_eq!(replies.message().await.unwrap().unwrap(), data(row));
        assert_eq!(telemetry.metrics().active_request_count(), 1);
    }
    drop(rows);
    assert!(replies.message().await.unwrap().is_none());

    let span = telemetry.span().await;
    assert_eq!(span.name, "arrow.flight.protocol.FlightService/DoExchange");
    assert_eq!(span.status, SpanStatus::Unset);
    assert_measured_once(&telemetry, &span.name, "OK", false);
}
