//! sui-rpc: a blockchain's node, eight services with default methods and unnamed boxed streams.

use foreign_services::{assert_each_is_one_rpc, assert_measured_once};
use integration_tests::server::serve;
use integration_tests::telemetry::Telemetry;
use opentelemetry::trace::{SpanKind, Status as SpanStatus};
use otel_runtime::traced_service;
use prost_types::FieldMask;
use sui_rpc::proto::sui::rpc::v2::ledger_service_server::{LedgerService, LedgerServiceServer};
use sui_rpc::proto::sui::rpc::v2::move_package_service_server::{MovePackageService, MovePackageServiceServer};
use sui_rpc::proto::sui::rpc::v2::name_service_server;
use sui_rpc::proto::sui::rpc::v2::signature_verification_service_server::{
    SignatureVerificationService, SignatureVerificationServiceServer,
};
use sui_rpc::proto::sui::rpc::v2::state_service_server::{StateService, StateServiceServer};
use sui_rpc::proto::sui::rpc::v2::subscription_service_client::SubscriptionServiceClient;
use sui_rpc::proto::sui::rpc::v2::subscription_service_server;
use sui_rpc::proto::sui::rpc::v2::transaction_execution_service_server::{
    TransactionExecutionService, TransactionExecutionServiceServer,
};
use sui_rpc::proto::sui::rpc::v2::{
    BatchGetObjectsRequest, BatchGetObjectsResponse, BatchGetTransactionsRequest, BatchGetTransactionsResponse,
    ExecuteTransactionRequest, ExecuteTransactionResponse, GetBalanceRequest, GetBalanceResponse, GetCheckpointRequest,
    GetCheckpointResponse, GetCoinInfoRequest, GetCoinInfoResponse, GetDatatypeRequest, GetDatatypeResponse,
    GetEpochRequest, GetEpochResponse, GetFunctionRequest, GetFunctionResponse, GetObjectRequest, GetObjectResponse,
    GetPackageRequest, GetPackageResponse, GetServiceInfoRequest, GetServiceInfoResponse, GetTransactionRequest,
    GetTransactionResponse, ListBalancesRequest, ListBalancesResponse, ListCheckpointsRequest, ListCheckpointsResponse,
    ListDynamicFieldsRequest, ListDynamicFieldsResponse, ListEventsRequest, ListEventsResponse,
    ListOwnedObjectsRequest, ListOwnedObjectsResponse, ListPackageVersionsRequest, ListPackageVersionsResponse,
    ListTransactionsRequest, ListTransactionsResponse, LookupNameRequest, LookupNameResponse, ReverseLookupNameRequest,
    ReverseLookupNameResponse, SimulateTransactionRequest, SimulateTransactionResponse, SubscribeCheckpointsRequest,
    SubscribeCheckpointsResponse, SubscribeEventsRequest, SubscribeEventsResponse, SubscribeTransactionsRequest,
    SubscribeTransactionsResponse, VerifySignatureRequest, VerifySignatureResponse,
};
use sui_rpc::proto::sui::rpc::v2alpha;
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::ReceiverStream;
use tonic::codegen::BoxStream;
use tonic::service::Routes;
use tonic::{Code, Request, Response, Status};

struct Node;

impl Node {
    fn nothing(&self) -> Result<(), Status> {
        let Node = self;
        Err(Status::unimplemented("not yet"))
    }
}

#[traced_service]
#[tonic::async_trait]
impl LedgerService for Node {
    async fn get_service_info(
        &self,
        _: Request<GetServiceInfoRequest>,
    ) -> Result<Response<GetServiceInfoResponse>, Status> {
        Ok(Response::new(GetServiceInfoResponse::default()))
    }

    async fn get_object(&self, _: Request<GetObjectRequest>) -> Result<Response<GetObjectResponse>, Status> {
        Err(Status::not_found("no such thing"))
    }

    async fn batch_get_objects(
        &self,
        _: Request<BatchGetObjectsRequest>,
    ) -> Result<Response<BatchGetObjectsResponse>, Status> {
        self.nothing()?;
        Ok(Response::new(BatchGetObjectsResponse::default()))
    }

    async fn get_transaction(
        &self,
        _: Request<GetTransactionRequest>,
    ) -> Result<Response<GetTransactionResponse>, Status> {
        Ok(Response::new(GetTransactionResponse::default()))
    }

    async fn batch_get_transactions(
        &self,
        _: Request<BatchGetTransactionsRequest>,
    ) -> Result<Response<BatchGetTransactionsResponse>, Status> {
        Err(Status::not_found("no such thing"))
    }

    async fn get_checkpoint(
        &self,
        _: Request<GetCheckpointRequest>,
    ) -> Result<Response<GetCheckpointResponse>, Status> {
        self.nothing()?;
        Ok(Response::new(GetCheckpointResponse::default()))
    }

    async fn get_epoch(&self, _: Request<GetEpochRequest>) -> Result<Response<GetEpochResponse>, Status> {
        Ok(Response::new(GetEpochResponse::default()))
    }

    async fn list_checkpoints(
        &self,
        _: Request<ListCheckpointsRequest>,
    ) -> Result<Response<BoxStream<ListCheckpointsResponse>>, Status> {
        Ok(Response::new(Box::pin(tokio_stream::empty())))
    }

    async fn list_transactions(
        &self,
        _: Request<ListTransactionsRequest>,
    ) -> Result<Response<BoxStream<ListTransactionsResponse>>, Status> {
        let replies: BoxStream<ListTransactionsResponse> =
            Box::pin(tokio_stream::once(Ok(ListTransactionsResponse::default())));
        Ok(Response::new(replies))
    }

    async fn list_events(
        &self,
        _: Request<ListEventsRequest>,
    ) -> Result<Response<BoxStream<ListEventsResponse>>, Status> {
        Err(Status::unimplemented("no events"))
    }
}

#[tonic::async_trait]
#[traced_service]
impl MovePackageService for Node {
    async fn get_package(&self, _: Request<GetPackageRequest>) -> Result<Response<GetPackageResponse>, Status> {
        Ok(Response::new(GetPackageResponse::default()))
    }

    async fn get_datatype(&self, _: Request<GetDatatypeRequest>) -> Result<Response<GetDatatypeResponse>, Status> {
        Err(Status::not_found("no such thing"))
    }

    async fn get_function(&self, _: Request<GetFunctionRequest>) -> Result<Response<GetFunctionResponse>, Status> {
        self.nothing()?;
        Ok(Response::new(GetFunctionResponse::default()))
    }

    async fn list_package_versions(
        &self,
        _: Request<ListPackageVersionsRequest>,
    ) -> Result<Response<ListPackageVersionsResponse>, Status> {
        Ok(Response::new(ListPackageVersionsResponse::default()))
    }
}

#[traced_service]
#[tonic::async_trait]
impl name_service_server::NameService for Node {
    async fn lookup_name(&self, _: Request<LookupNameRequest>) -> Result<Response<LookupNameResponse>, Status> {
        Ok(Response::new(LookupNameResponse::default()))
    }

    async fn reverse_lookup_name(
        &self,
        _: Request<ReverseLookupNameRequest>,
    ) -> Result<Response<ReverseLookupNameResponse>, Status> {
        Err(Status::not_found("no such thing"))
    }
}

#[tonic::async_trait]
#[traced_service]
impl SignatureVerificationService for Node {
    async fn verify_signature(
        &self,
        _: Request<VerifySignatureRequest>,
    ) -> Result<Response<VerifySignatureResponse>, Status> {
        Ok(Response::new(VerifySignatureResponse::default()))
    }
}

#[traced_service]
#[tonic::async_trait]
impl StateService for Node {
    async fn list_dynamic_fields(
        &self,
        _: Request<ListDynamicFieldsRequest>,
    ) -> Result<Response<ListDynamicFieldsResponse>, Status> {
        Ok(Response::new(ListDynamicFieldsResponse::default()))
    }

    async fn list_owned_objects(
        &self,
        _: Request<ListOwnedObjectsRequest>,
    ) -> Result<Response<ListOwnedObjectsResponse>, Status> {
        Err(Status::not_found("no such thing"))
    }

    async fn get_coin_info(&self, _: Request<GetCoinInfoRequest>) -> Result<Response<GetCoinInfoResponse>, Status> {
        self.nothing()?;
        Ok(Response::new(GetCoinInfoResponse::default()))
    }

    async fn get_balance(&self, _: Request<GetBalanceRequest>) -> Result<Response<GetBalanceResponse>, Status> {
        Ok(Response::new(GetBalanceResponse::default()))
    }

    async fn list_balances(&self, _: Request<ListBalancesRequest>) -> Result<Response<ListBalancesResponse>, Status> {
        Err(Status::not_found("no such thing"))
    }
}

#[tonic::async_trait]
#[traced_service]
impl subscription_service_server::SubscriptionService for Node {
    async fn subscribe_checkpoints(
        &self,
        request: Request<SubscribeCheckpointsRequest>,
    ) -> Result<Response<BoxStream<SubscribeCheckpointsResponse>>, Status> {
        // A message for each requested field, and then an error.
        let fields = request.into_inner().read_mask.unwrap_or_default().paths.len();
        let checkpoints = tokio_stream::iter(0..=fields)
            .filter(move |number| fields > 0 || *number > 0)
            .map(move |number| {
                let mut reply = SubscribeCheckpointsResponse::default();
                reply.cursor = Some(number as u64);
                if number < fields {
                    Ok(reply)
                } else {
                    Err(Status::data_loss("the chain has forked"))
                }
            });
        Ok(Response::new(Box::pin(checkpoints)))
    }

    async fn subscribe_transactions(
        &self,
        _: Request<SubscribeTransactionsRequest>,
    ) -> Result<Response<BoxStream<SubscribeTransactionsResponse>>, Status> {
        let (_, never) = tokio::sync::mpsc::channel(1);
        Ok(Response::new(Box::pin(ReceiverStream::new(never))))
    }

    async fn subscribe_events(
        &self,
        _: Request<SubscribeEventsRequest>,
    ) -> Result<Response<BoxStream<SubscribeEventsResponse>>, Status> {
        Ok(Response::new(Box::pin(tokio_stream::empty()) as BoxStream<_>))
    }
}

#[traced_service]
#[tonic::async_trait]
impl TransactionExecutionService for Node {
    async fn execute_transaction(
        &self,
        _: Request<ExecuteTransactionRequest>,
    ) -> Result<Response<ExecuteTransactionResponse>, Status> {
        Ok(Response::new(ExecuteTransactionResponse::default()))
    }

    async fn simulate_transaction(
        &self,
        _: Request<SimulateTransactionRequest>,
    ) -> Result<Response<SimulateTransactionResponse>, Status> {
        Err(Status::not_found("no such thing"))
    }
}

#[tonic::async_trait]
#[traced_service]
impl v2alpha::proof_service_server::ProofService for Node {
    async fn get_checkpoint_object_proof(
        &self,
        _: Request<v2alpha::GetCheckpointObjectProofRequest>,
    ) -> Result<Response<v2alpha::GetCheckpointObjectProofResponse>, Status> {
        Ok(Response::new(v2alpha::GetCheckpointObjectProofResponse::default()))
    }
}

fn routes() -> Routes {
    Routes::default()
        .add_service(LedgerServiceServer::new(Node))
        .add_service(MovePackageServiceServer::new(Node))
        .add_service(name_service_server::NameServiceServer::new(Node))
        .add_service(SignatureVerificationServiceServer::new(Node))
        .add_service(StateServiceServer::new(Node))
        .add_service(subscription_service_server::SubscriptionServiceServer::new(Node))
        .add_service(TransactionExecutionServiceServer::new(Node))
        .add_service(v2alpha::proof_service_server::ProofServiceServer::new(Node))
}

#[tokio::test]
async fn each_is_one_rpc() {
    assert_each_is_one_rpc(
        routes(),
        &[
            "sui.rpc.v2.LedgerService/GetServiceInfo",
            "sui.rpc.v2.LedgerService/GetObject",
            "sui.rpc.v2.LedgerService/BatchGetObjects",
            "sui.rpc.v2.LedgerService/GetTransaction",
            "sui.rpc.v2.LedgerService/BatchGetTransactions",
            "sui.rpc.v2.LedgerService/GetCheckpoint",
            "sui.rpc.v2.LedgerService/GetEpoch",
            "sui.rpc.v2.LedgerService/ListCheckpoints",
            "sui.rpc.v2.LedgerService/ListTransactions",
            "sui.rpc.v2.LedgerService/ListEvents",
            "sui.rpc.v2.MovePackageService/GetPackage",
            "sui.rpc.v2.MovePackageService/GetDatatype",
            "sui.rpc.v2.MovePackageService/GetFunction",
            "sui.rpc.v2.MovePackageService/ListPackageVersions",
            "sui.rpc.v2.NameService/LookupName",
            "sui.rpc.v2.NameService/ReverseLookupName",
            "sui.rpc.v2.SignatureVerificationService/VerifySignature",
            "sui.rpc.v2.StateService/ListDynamicFields",
            "sui.rpc.v2.StateService/ListOwnedObjects",
            "sui.rpc.v2.StateService/GetCoinInfo",
            "sui.rpc.v2.StateService/GetBalance",
            "sui.rpc.v2.StateService/ListBalances",
            "sui.rpc.v2.SubscriptionService/SubscribeCheckpoints",
            "sui.rpc.v2.SubscriptionService/SubscribeTransactions",
            "sui.rpc.v2.SubscriptionService/SubscribeEvents",
            "sui.rpc.v2.TransactionExecutionService/ExecuteTransaction",
            "sui.rpc.v2.TransactionExecutionService/SimulateTransaction",
            "sui.rpc.v2alpha.ProofService/GetCheckpointObjectProof",
        ],
    )
    .await;
}

fn fields(count: usize) -> SubscribeCheckpointsRequest {
    let mut request = SubscribeCheckpointsRequest::default();
    let paths = vec!["digest".to_owned(); count];
    request.read_mask = Some(FieldMask { paths });
    request
}

#[tokio::test]
async fn a_subscription_that_fails_half_way_is_not_ok() {
    let telemetry = Telemetry::start();
    let server = serve(routes()).await;
    let mut client = SubscriptionServiceClient::new(server.channel().await);
    let mut checkpoints = client.subscribe_checkpoints(fields(2)).await.unwrap().into_inner();
    for number in 0..2 {
        assert_eq!(checkpoints.message().await.unwrap().unwrap().cursor, Some(number));
    }
    assert_eq!(checkpoints.message().await.unwrap_err().code(), Code::DataLoss);

    let span = telemetry.span().await;
    assert_eq!(span.name, "sui.rpc.v2.SubscriptionService/SubscribeCheckpoints");
    assert_eq!(span.span_kind, SpanKind::Server);
    assert_eq!(span.status, SpanStatus::error("the chain has forked"));
    assert_measured_once(&telemetry, &span.name, "DATA_LOSS", true);
}

/// Subscribers wait.
struct Quiet;

#[traced_service]
#[tonic::async_trait]
impl subscription_service_server::SubscriptionService for Quiet {
    async fn subscribe_events(
        &self,
        _: Request<SubscribeEventsRequest>,
    ) -> Result<Response<BoxStream<SubscribeEventsResponse>>, Status> {
        let first = tokio_stream::once(Ok(SubscribeEventsResponse::default()));
        Ok(Response::new(Box::pin(first.chain(tokio_stream::pending()))))
    }
}

#[tokio::test]
async fn a_subscription_lasts_until_its_subscriber_goes_away() {
    let telemetry = Telemetry::start();
    let service = subscription_service_server::SubscriptionServiceServer::new(Quiet);
    let server = serve(Routes::new(service)).await;
    let mut client = SubscriptionServiceClient::new(server.channel().await);
    let mut events = client
        .subscribe_events(SubscribeEventsRequest::default())
        .await
        .unwrap()
        .into_inner();
    events.message().await.unwrap().unwrap();
    // The handler has returned before.
    assert_eq!(telemetry.ended_spans().len(), 0);
    assert_eq!(telemetry.metrics().active_request_count(), 1);

    drop(events);
    let span = telemetry.span().await;
    assert_eq!(span.name, "sui.rpc.v2.SubscriptionService/SubscribeEvents");
    assert_eq!(span.status, SpanStatus::Unset);
    assert_measured_once(&telemetry, &span.name, "CANCELLED", false);
}

/// The attribute sees the methods of the impl, not those of the trait.
#[tokio::test]
async fn a_method_that_the_impl_leaves_to_the_trait_is_not_seen() {
    let telemetry = Telemetry::start();
    let service = subscription_service_server::SubscriptionServiceServer::new(Quiet);
    let server = serve(Routes::new(service)).await;
    let mut client = SubscriptionServiceClient::new(server.channel().await);
    let left_out = client.subscribe_checkpoints(fields(1)).await.unwrap_err();
    assert_eq!(left_out.code(), Code::Unimplemented);
    assert_eq!(telemetry.started(), 0);
}
