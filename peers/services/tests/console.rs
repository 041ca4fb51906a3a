//! console-api: the console of tokio, which mostly watches.

use console_api::instrument::instrument_server::{Instrument, InstrumentServer};
use console_api::instrument::{
    InstrumentRequest, PauseRequest, PauseResponse, ResumeRequest, ResumeResponse, State, StateRequest,
    TaskDetailsRequest, Update,
};
use console_api::tasks::TaskDetails;
use console_api::trace::{TraceEvent, WatchRequest, trace_server};
use foreign_services::assert_each_is_one_rpc;
use otel_runtime::traced_service;
use tokio::sync::mpsc;
use tokio_stream::wrappers::{ReceiverStream, UnboundedReceiverStream};
use tonic::service::Routes;
use tonic::{Request, Response, Status};

struct Console;

#[tonic::async_trait]
#[traced_service]
impl Instrument for Console {
    type WatchUpdatesStream = ReceiverStream<Result<Update, Status>>;

    async fn watch_updates(&self, _: Request<InstrumentRequest>) -> Result<Response<Self::WatchUpdatesStream>, Status> {
        let (updates, watched) = mpsc::channel(1);
        tokio::spawn(async move { updates.send(Ok(Update::default())).await });
        Ok(Response::new(ReceiverStream::new(watched)))
    }

    type WatchTaskDetailsStream = UnboundedReceiverStream<Result<TaskDetails, Status>>;

    async fn watch_task_details(
        &self,
        request: Request<TaskDetailsRequest>,
    ) -> Result<Response<UnboundedReceiverStream<Result<TaskDetails, Status>>>, Status> {
        let (details, watched) = mpsc::unbounded_channel();
        let id = request
            .into_inner()
            .id
            .ok_or_else(|| Status::not_found("no such task"))?;
        let _ = details.send(Ok(TaskDetails {
            task_id: Some(id),
            ..TaskDetails::default()
        }));
        Ok(Response::new(watched.into()))
    }

    type WatchStateStream = tokio_stream::Once<Result<State, Status>>;

    async fn watch_state(&self, _: Request<StateRequest>) -> Result<Response<Self::WatchStateStream>, Status> {
        let states: Self::WatchStateStream = tokio_stream::once(Ok(State::default()));
        Ok(Response::new(states))
    }

    async fn pause(&self, _: Request<PauseRequest>) -> Result<Response<PauseResponse>, Status> {
        Ok(Response::new(PauseResponse {}))
    }

    async fn resume(&self, _: Request<ResumeRequest>) -> Result<Response<ResumeResponse>, Status> {
        Err(Status::unimplemented("it never pauses"))
    }
}

type Events = tokio_stream::Iter<std::vec::IntoIter<Result<TraceEvent, Status>>>;

#[traced_service]
#[tonic::async_trait]
impl trace_server::Trace for Console {
    type WatchStream = Events;

    async fn watch(&self, _: Request<WatchRequest>) -> Result<Response<Events>, Status> {
        Ok(Response::new(tokio_stream::iter(vec![
            Ok(TraceEvent::default()),
            Err(Status::not_found("no more")),
        ])))
    }
}

#[tokio::test]
async fn each_is_one_rpc() {
    let routes = Routes::default()
        .add_service(InstrumentServer::new(Console))
        .add_service(trace_server::TraceServer::new(Console));
    assert_each_is_one_rpc(
        routes,
        &[
            "rs.tokio.console.instrument.Instrument/WatchUpdates",
            "rs.tokio.console.instrument.Instrument/WatchTaskDetails",
            "rs.tokio.console.instrument.Instrument/WatchState",
            "rs.tokio.console.instrument.Instrument/Pause",
            "rs.tokio.console.instrument.Instrument/Resume",
            "rs.tokio.console.trace.Trace/Watch",
        ],
    )
    .await;
}
