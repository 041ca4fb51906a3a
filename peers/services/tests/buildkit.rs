//! bollard-buildkit-proto: Docker's builder, 11 services, with names like `LLBBridge` and `Return`.

use bollard_buildkit_proto::fsutil::types;
use bollard_buildkit_proto::health;
use bollard_buildkit_proto::health::health_server::{Health, HealthServer};
use bollard_buildkit_proto::moby::buildkit::secrets::v1 as secrets;
use bollard_buildkit_proto::moby::buildkit::v1::frontend::llb_bridge_server::{LlbBridge, LlbBridgeServer};
use bollard_buildkit_proto::moby::buildkit::v1::{self as control, frontend};
use bollard_buildkit_proto::moby::filesync::packet::file_sync_server::{FileSync, FileSyncServer};
use bollard_buildkit_proto::moby::filesync::v1::auth_server::{Auth, AuthServer};
use bollard_buildkit_proto::moby::filesync::v1::file_send_server::{FileSend, FileSendServer};
use bollard_buildkit_proto::moby::filesync::{packet, v1 as filesync};
use bollard_buildkit_proto::moby::sshforward::v1 as sshforward;
use bollard_buildkit_proto::moby::upload::v1 as upload;
use bollard_buildkit_proto::moby::upload::v1::upload_server::{Upload, UploadServer};
use foreign_services::{assert_each_is_one_rpc, stubs};
use otel_runtime::traced_service;
use tonic::service::Routes;

stubs! {
    #[traced_service]
    #[tonic::async_trait]
    impl [Health] for MyHealth {
        unary check(health::HealthCheckRequest) -> health::HealthCheckResponse;
        unary list(health::HealthListRequest) -> health::HealthListResponse;
        server watch(health::HealthCheckRequest) -> WatchStream of health::HealthCheckResponse;
    }
}

stubs! {
    #[traced_service]
    #[tonic::async_trait]
    impl [secrets::secrets_server::Secrets] for MySecrets {
        unary get_secret(secrets::GetSecretRequest) -> secrets::GetSecretResponse;
    }
}

stubs! {
    #[tonic::async_trait]
    #[traced_service]
    impl [LlbBridge] for MyLlbBridge {
        unary resolve_image_config(frontend::ResolveImageConfigRequest) -> frontend::ResolveImageConfigResponse;
        unary resolve_source_meta(frontend::ResolveSourceMetaRequest) -> frontend::ResolveSourceMetaResponse;
        unary solve(frontend::SolveRequest) -> frontend::SolveResponse;
        unary read_file(frontend::ReadFileRequest) -> frontend::ReadFileResponse;
        unary read_dir(frontend::ReadDirRequest) -> frontend::ReadDirResponse;
        unary stat_file(frontend::StatFileRequest) -> frontend::StatFileResponse;
        unary evaluate(frontend::EvaluateRequest) -> frontend::EvaluateResponse;
        unary ping(frontend::PingRequest) -> frontend::PongResponse;
        unary r#return(frontend::ReturnRequest) -> frontend::ReturnResponse;
        unary inputs(frontend::InputsRequest) -> frontend::InputsResponse;
        unary new_container(frontend::NewContainerRequest) -> frontend::NewContainerResponse;
        unary release_container(frontend::ReleaseContainerRequest) -> frontend::ReleaseContainerResponse;
        bidi exec_process(frontend::ExecMessage) -> ExecProcessStream of frontend::ExecMessage;
        unary read_file_container(frontend::ReadFileRequest) -> frontend::ReadFileResponse;
        unary read_dir_container(frontend::ReadDirRequest) -> frontend::ReadDirResponse;
        unary stat_file_container(frontend::StatFileRequest) -> frontend::StatFileResponse;
        unary warn(frontend::WarnRequest) -> frontend::WarnResponse;
    }
}

stubs! {
    #[traced_service]
    #[tonic::async_trait]
    impl [control::control_server::Control] for MyControl {
        unary disk_usage(control::DiskUsageRequest) -> control::DiskUsageResponse;
        server prune(control::PruneRequest) -> PruneStream of control::UsageRecord;
        unary solve(control::SolveRequest) -> control::SolveResponse;
        server status(control::StatusRequest) -> StatusStream of control::StatusResponse;
        bidi session(control::BytesMessage) -> SessionStream of control::BytesMessage;
        unary list_workers(control::ListWorkersRequest) -> control::ListWorkersResponse;
        unary info(control::InfoRequest) -> control::InfoResponse;
        server listen_build_history(control::BuildHistoryRequest) -> ListenBuildHistoryStream of control::BuildHistoryEvent;
        unary update_build_history(control::UpdateBuildHistoryRequest) -> control::UpdateBuildHistoryResponse;
    }
}

stubs! {
    #[traced_service]
    #[tonic::async_trait]
    impl [FileSync] for MyFileSyncOfPackets {
        bidi diff_copy(types::Packet) -> DiffCopyStream of types::Packet;
        bidi tar_stream(types::Packet) -> TarStreamStream of types::Packet;
    }
}

stubs! {
    #[tonic::async_trait]
    #[traced_service]
    impl [packet::file_send_server::FileSend] for MyFileSendOfPackets {
        bidi diff_copy(types::Packet) -> DiffCopyStream of types::Packet;
    }
}

stubs! {
    #[traced_service]
    #[tonic::async_trait]
    impl [Auth] for MyAuth {
        unary credentials(filesync::CredentialsRequest) -> filesync::CredentialsResponse;
        unary fetch_token(filesync::FetchTokenRequest) -> filesync::FetchTokenResponse;
        unary get_token_authority(filesync::GetTokenAuthorityRequest) -> filesync::GetTokenAuthorityResponse;
        unary verify_token_authority(filesync::VerifyTokenAuthorityRequest) -> filesync::VerifyTokenAuthorityResponse;
    }
}

stubs! {
    #[traced_service]
    #[tonic::async_trait]
    impl [filesync::file_sync_server::FileSync] for MyFileSync {
        bidi diff_copy(types::Packet) -> DiffCopyStream of types::Packet;
        bidi tar_stream(types::Packet) -> TarStreamStream of types::Packet;
    }
}

stubs! {
    #[tonic::async_trait]
    #[traced_service]
    impl [FileSend] for MyFileSend {
        bidi diff_copy(filesync::BytesMessage) -> DiffCopyStream of filesync::BytesMessage;
    }
}

stubs! {
    #[traced_service]
    #[tonic::async_trait]
    impl [sshforward::ssh_server::Ssh] for MySsh {
        unary check_agent(sshforward::CheckAgentRequest) -> sshforward::CheckAgentResponse;
        bidi forward_agent(sshforward::BytesMessage) -> ForwardAgentStream of sshforward::BytesMessage;
    }
}

stubs! {
    #[traced_service]
    #[tonic::async_trait]
    impl [Upload] for MyUpload {
        bidi pull(upload::BytesMessage) -> PullStream of upload::BytesMessage;
    }
}

#[tokio::test]
async fn each_is_one_rpc() {
    let routes = Routes::default()
        .add_service(HealthServer::new(MyHealth))
        .add_service(secrets::secrets_server::SecretsServer::new(MySecrets))
        .add_service(LlbBridgeServer::new(MyLlbBridge))
        .add_service(control::control_server::ControlServer::new(MyControl))
        .add_service(AuthServer::new(MyAuth))
        .add_service(sshforward::ssh_server::SshServer::new(MySsh))
        .add_service(UploadServer::new(MyUpload))
        .add_service(filesync::file_sync_server::FileSyncServer::new(MyFileSync))
        .add_service(FileSendServer::new(MyFileSend));
    assert_each_is_one_rpc(
        routes,
        &[
            "grpc.health.v1.Health/Check",
            "grpc.health.v1.Health/List",
            "grpc.health.v1.Health/Watch",
            "moby.buildkit.secrets.v1.Secrets/GetSecret",
            "moby.buildkit.v1.frontend.LLBBridge/ResolveImageConfig",
            "moby.buildkit.v1.frontend.LLBBridge/ResolveSourceMeta",
            "moby.buildkit.v1.frontend.LLBBridge/Solve",
            "moby.buildkit.v1.frontend.LLBBridge/ReadFile",
            "moby.buildkit.v1.frontend.LLBBridge/ReadDir",
            "moby.buildkit.v1.frontend.LLBBridge/StatFile",
            "moby.buildkit.v1.frontend.LLBBridge/Evaluate",
            "moby.buildkit.v1.frontend.LLBBridge/Ping",
            "moby.buildkit.v1.frontend.LLBBridge/Return",
            "moby.buildkit.v1.frontend.LLBBridge/Inputs",
            "moby.buildkit.v1.frontend.LLBBridge/NewContainer",
            "moby.buildkit.v1.frontend.LLBBridge/ReleaseContainer",
            "moby.buildkit.v1.frontend.LLBBridge/ExecProcess",
            "moby.buildkit.v1.frontend.LLBBridge/ReadFileContainer",
            "moby.buildkit.v1.frontend.LLBBridge/ReadDirContainer",
            "moby.buildkit.v1.frontend.LLBBridge/StatFileContainer",
            "moby.buildkit.v1.frontend.LLBBridge/Warn",
            "moby.buildkit.v1.Control/DiskUsage",
            "moby.buildkit.v1.Control/Prune",
            "moby.buildkit.v1.Control/Solve",
            "moby.buildkit.v1.Control/Status",
            "moby.buildkit.v1.Control/Session",
            "moby.buildkit.v1.Control/ListWorkers",
            "moby.buildkit.v1.Control/Info",
            "moby.buildkit.v1.Control/ListenBuildHistory",
            "moby.buildkit.v1.Control/UpdateBuildHistory",
            "moby.filesync.v1.Auth/Credentials",
            "moby.filesync.v1.Auth/FetchToken",
            "moby.filesync.v1.Auth/GetTokenAuthority",
            "moby.filesync.v1.Auth/VerifyTokenAuthority",
            "moby.sshforward.v1.SSH/CheckAgent",
            "moby.sshforward.v1.SSH/ForwardAgent",
            "moby.upload.v1.Upload/Pull",
            "moby.filesync.v1.FileSync/DiffCopy",
            "moby.filesync.v1.FileSync/TarStream",
            "moby.filesync.v1.FileSend/DiffCopy",
        ],
    )
    .await;
}

/// The crate has two traits for each of these services.
#[tokio::test]
async fn each_of_the_second_ones_is_one_rpc() {
    let routes = Routes::default()
        .add_service(FileSyncServer::new(MyFileSyncOfPackets))
        .add_service(packet::file_send_server::FileSendServer::new(MyFileSendOfPackets));
    assert_each_is_one_rpc(
        routes,
        &[
            "moby.filesync.v1.FileSync/DiffCopy",
            "moby.filesync.v1.FileSync/TarStream",
            "moby.filesync.v1.FileSend/DiffCopy",
        ],
    )
    .await;
}
