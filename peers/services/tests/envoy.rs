//! envoy-types: the control plane of Envoy, 25 services, most of them bidi streams.

use envoy_types::pb::envoy::service;
use envoy_types::pb::envoy::service::accesslog::v3::access_log_service_server::{
    AccessLogService, AccessLogServiceServer,
};
use envoy_types::pb::envoy::service::cluster::v3::cluster_discovery_service_server::{
    ClusterDiscoveryService, ClusterDiscoveryServiceServer,
};
use envoy_types::pb::envoy::service::discovery::v3 as discovery;
use envoy_types::pb::envoy::service::endpoint::v3::endpoint_discovery_service_server::{
    EndpointDiscoveryService, EndpointDiscoveryServiceServer,
};
use envoy_types::pb::envoy::service::event_reporting::v3::event_reporting_service_server::{
    EventReportingService, EventReportingServiceServer,
};
use envoy_types::pb::envoy::service::extension::v3::extension_config_discovery_service_server::{
    ExtensionConfigDiscoveryService, ExtensionConfigDiscoveryServiceServer,
};
use envoy_types::pb::envoy::service::listener::v3::listener_discovery_service_server::{
    ListenerDiscoveryService, ListenerDiscoveryServiceServer,
};
use envoy_types::pb::envoy::service::metrics::v3::metrics_service_server::{MetricsService, MetricsServiceServer};
use envoy_types::pb::envoy::service::rate_limit_quota::v3::rate_limit_quota_service_server::{
    RateLimitQuotaService, RateLimitQuotaServiceServer,
};
use envoy_types::pb::envoy::service::redis_auth::v3::redis_proxy_external_auth_server::{
    RedisProxyExternalAuth, RedisProxyExternalAuthServer,
};
use envoy_types::pb::envoy::service::route::v3::virtual_host_discovery_service_server::{
    VirtualHostDiscoveryService, VirtualHostDiscoveryServiceServer,
};
use envoy_types::pb::envoy::service::runtime::v3::runtime_discovery_service_server::{
    RuntimeDiscoveryService, RuntimeDiscoveryServiceServer,
};
use envoy_types::pb::envoy::service::status::v3::client_status_discovery_service_server::{
    ClientStatusDiscoveryService, ClientStatusDiscoveryServiceServer,
};
use envoy_types::pb::ratelimit::service::ratelimit::v3::rate_limit_config_discovery_service_server::{
    RateLimitConfigDiscoveryService, RateLimitConfigDiscoveryServiceServer,
};
use foreign_services::{assert_each_is_one_rpc, stubs};
use otel_runtime::traced_service;
use tonic::service::Routes;

stubs! {
    #[traced_service]
    #[tonic::async_trait]
    impl [AccessLogService] for MyAccessLogService {
        client stream_access_logs(service::accesslog::v3::StreamAccessLogsMessage) -> service::accesslog::v3::StreamAccessLogsResponse;
    }
}

stubs! {
    #[traced_service]
    #[tonic::async_trait]
    impl [service::auth::v3::authorization_server::Authorization] for MyAuthorization {
        unary check(service::auth::v3::CheckRequest) -> service::auth::v3::CheckResponse;
    }
}

stubs! {
    #[tonic::async_trait]
    #[traced_service]
    impl [ClusterDiscoveryService] for MyClusterDiscoveryService {
        bidi stream_clusters(discovery::DiscoveryRequest) -> StreamClustersStream of discovery::DiscoveryResponse;
        bidi delta_clusters(discovery::DeltaDiscoveryRequest) -> DeltaClustersStream of discovery::DeltaDiscoveryResponse;
        unary fetch_clusters(discovery::DiscoveryRequest) -> discovery::DiscoveryResponse;
    }
}

stubs! {
    #[traced_service]
    #[tonic::async_trait]
    impl [discovery::aggregated_discovery_service_server::AggregatedDiscoveryService] for MyAggregatedDiscoveryService {
        bidi stream_aggregated_resources(discovery::DiscoveryRequest) -> StreamAggregatedResourcesStream of discovery::DiscoveryResponse;
        bidi delta_aggregated_resources(discovery::DeltaDiscoveryRequest) -> DeltaAggregatedResourcesStream of discovery::DeltaDiscoveryResponse;
    }
}

stubs! {
    #[traced_service]
    #[tonic::async_trait]
    impl [EndpointDiscoveryService] for MyEndpointDiscoveryService {
        bidi stream_endpoints(discovery::DiscoveryRequest) -> StreamEndpointsStream of discovery::DiscoveryResponse;
        bidi delta_endpoints(discovery::DeltaDiscoveryRequest) -> DeltaEndpointsStream of discovery::DeltaDiscoveryResponse;
        unary fetch_endpoints(discovery::DiscoveryRequest) -> discovery::DiscoveryResponse;
    }
}

stubs! {
    #[tonic::async_trait]
    #[traced_service]
    impl [service::endpoint::v3::locality_endpoint_discovery_service_server::LocalityEndpointDiscoveryService] for MyLocalityEndpointDiscoveryService {
        bidi delta_locality_endpoints(discovery::DeltaDiscoveryRequest) -> DeltaLocalityEndpointsStream of discovery::DeltaDiscoveryResponse;
    }
}

stubs! {
    #[traced_service]
    #[tonic::async_trait]
    impl [EventReportingService] for MyEventReportingService {
        bidi stream_events(service::event_reporting::v3::StreamEventsRequest) -> StreamEventsStream of service::event_reporting::v3::StreamEventsResponse;
    }
}

stubs! {
    #[traced_service]
    #[tonic::async_trait]
    impl [service::ext_proc::v3::external_processor_server::ExternalProcessor] for MyExternalProcessor {
        bidi process(service::ext_proc::v3::ProcessingRequest) -> ProcessStream of service::ext_proc::v3::ProcessingResponse;
    }
}

stubs! {
    #[tonic::async_trait]
    #[traced_service]
    impl [ExtensionConfigDiscoveryService] for MyExtensionConfigDiscoveryService {
        bidi stream_extension_configs(discovery::DiscoveryRequest) -> StreamExtensionConfigsStream of discovery::DiscoveryResponse;
        bidi delta_extension_configs(discovery::DeltaDiscoveryRequest) -> DeltaExtensionConfigsStream of discovery::DeltaDiscoveryResponse;
        unary fetch_extension_configs(discovery::DiscoveryRequest) -> discovery::DiscoveryResponse;
    }
}

stubs! {
    #[traced_service]
    #[tonic::async_trait]
    impl [service::health::v3::health_discovery_service_server::HealthDiscoveryService] for MyHealthDiscoveryService {
        bidi stream_health_check(service::health::v3::HealthCheckRequestOrEndpointHealthResponse) -> StreamHealthCheckStream of service::health::v3::HealthCheckSpecifier;
        unary fetch_health_check(service::health::v3::HealthCheckRequestOrEndpointHealthResponse) -> service::health::v3::HealthCheckSpecifier;
    }
}

stubs! {
    #[traced_service]
    #[tonic::async_trait]
    impl [ListenerDiscoveryService] for MyListenerDiscoveryService {
        bidi delta_listeners(discovery::DeltaDiscoveryRequest) -> DeltaListenersStream of discovery::DeltaDiscoveryResponse;
        bidi stream_listeners(discovery::DiscoveryRequest) -> StreamListenersStream of discovery::DiscoveryResponse;
        unary fetch_listeners(discovery::DiscoveryRequest) -> discovery::DiscoveryResponse;
    }
}

stubs! {
    #[tonic::async_trait]
    #[traced_service]
    impl [service::load_stats::v3::load_reporting_service_server::LoadReportingService] for MyLoadReportingService {
        bidi stream_load_stats(service::load_stats::v3::LoadStatsRequest) -> StreamLoadStatsStream of service::load_stats::v3::LoadStatsResponse;
    }
}

stubs! {
    #[traced_service]
    #[tonic::async_trait]
    impl [MetricsService] for MyMetricsService {
        client stream_metrics(service::metrics::v3::StreamMetricsMessage) -> service::metrics::v3::StreamMetricsResponse;
    }
}

stubs! {
    #[traced_service]
    #[tonic::async_trait]
    impl [service::network_ext_proc::v3::network_external_processor_server::NetworkExternalProcessor] for MyNetworkExternalProcessor {
        bidi process(service::network_ext_proc::v3::ProcessingRequest) -> ProcessStream of service::network_ext_proc::v3::ProcessingResponse;
    }
}

stubs! {
    #[tonic::async_trait]
    #[traced_service]
    impl [RateLimitQuotaService] for MyRateLimitQuotaService {
        bidi stream_rate_limit_quotas(service::rate_limit_quota::v3::RateLimitQuotaUsageReports) -> StreamRateLimitQuotasStream of service::rate_limit_quota::v3::RateLimitQuotaResponse;
    }
}

stubs! {
    #[traced_service]
    #[tonic::async_trait]
    impl [service::ratelimit::v3::rate_limit_service_server::RateLimitService] for MyRateLimitService {
        unary should_rate_limit(service::ratelimit::v3::RateLimitRequest) -> service::ratelimit::v3::RateLimitResponse;
    }
}

stubs! {
    #[traced_service]
    #[tonic::async_trait]
    impl [RedisProxyExternalAuth] for MyRedisProxyExternalAuth {
        unary authenticate(service::redis_auth::v3::RedisProxyExternalAuthRequest) -> service::redis_auth::v3::RedisProxyExternalAuthResponse;
    }
}

stubs! {
    #[tonic::async_trait]
    #[traced_service]
    impl [service::route::v3::route_discovery_service_server::RouteDiscoveryService] for MyRouteDiscoveryService {
        bidi stream_routes(discovery::DiscoveryRequest) -> StreamRoutesStream of discovery::DiscoveryResponse;
        bidi delta_routes(discovery::DeltaDiscoveryRequest) -> DeltaRoutesStream of discovery::DeltaDiscoveryResponse;
        unary fetch_routes(discovery::DiscoveryRequest) -> discovery::DiscoveryResponse;
    }
}

stubs! {
    #[traced_service]
    #[tonic::async_trait]
    impl [VirtualHostDiscoveryService] for MyVirtualHostDiscoveryService {
        bidi delta_virtual_hosts(discovery::DeltaDiscoveryRequest) -> DeltaVirtualHostsStream of discovery::DeltaDiscoveryResponse;
    }
}

stubs! {
    #[traced_service]
    #[tonic::async_trait]
    impl [service::route::v3::scoped_routes_discovery_service_server::ScopedRoutesDiscoveryService] for MyScopedRoutesDiscoveryService {
        bidi stream_scoped_routes(discovery::DiscoveryRequest) -> StreamScopedRoutesStream of discovery::DiscoveryResponse;
        bidi delta_scoped_routes(discovery::DeltaDiscoveryRequest) -> DeltaScopedRoutesStream of discovery::DeltaDiscoveryResponse;
        unary fetch_scoped_routes(discovery::DiscoveryRequest) -> discovery::DiscoveryResponse;
    }
}

stubs! {
    #[tonic::async_trait]
    #[traced_service]
    impl [RuntimeDiscoveryService] for MyRuntimeDiscoveryService {
        bidi stream_runtime(discovery::DiscoveryRequest) -> StreamRuntimeStream of discovery::DiscoveryResponse;
        bidi delta_runtime(discovery::DeltaDiscoveryRequest) -> DeltaRuntimeStream of discovery::DeltaDiscoveryResponse;
        unary fetch_runtime(discovery::DiscoveryRequest) -> discovery::DiscoveryResponse;
    }
}

stubs! {
    #[traced_service]
    #[tonic::async_trait]
    impl [service::secret::v3::secret_discovery_service_server::SecretDiscoveryService] for MySecretDiscoveryService {
        bidi delta_secrets(discovery::DeltaDiscoveryRequest) -> DeltaSecretsStream of discovery::DeltaDiscoveryResponse;
        bidi stream_secrets(discovery::DiscoveryRequest) -> StreamSecretsStream of discovery::DiscoveryResponse;
        unary fetch_secrets(discovery::DiscoveryRequest) -> discovery::DiscoveryResponse;
    }
}

stubs! {
    #[traced_service]
    #[tonic::async_trait]
    impl [ClientStatusDiscoveryService] for MyClientStatusDiscoveryService {
        bidi stream_client_status(service::status::v3::ClientStatusRequest) -> StreamClientStatusStream of service::status::v3::ClientStatusResponse;
        unary fetch_client_status(service::status::v3::ClientStatusRequest) -> service::status::v3::ClientStatusResponse;
    }
}

stubs! {
    #[tonic::async_trait]
    #[traced_service]
    impl [service::tap::v3::tap_sink_service_server::TapSinkService] for MyTapSinkService {
        client stream_taps(service::tap::v3::StreamTapsRequest) -> service::tap::v3::StreamTapsResponse;
    }
}

stubs! {
    #[traced_service]
    #[tonic::async_trait]
    impl [RateLimitConfigDiscoveryService] for MyRateLimitConfigDiscoveryService {
        bidi stream_rls_configs(discovery::DiscoveryRequest) -> StreamRlsConfigsStream of discovery::DiscoveryResponse;
        unary fetch_rls_configs(discovery::DiscoveryRequest) -> discovery::DiscoveryResponse;
    }
}

#[tokio::test]
async fn each_is_one_rpc() {
    let routes = Routes::default()
        .add_service(AccessLogServiceServer::new(MyAccessLogService))
        .add_service(service::auth::v3::authorization_server::AuthorizationServer::new(MyAuthorization))
        .add_service(ClusterDiscoveryServiceServer::new(MyClusterDiscoveryService))
        .add_service(discovery::aggregated_discovery_service_server::AggregatedDiscoveryServiceServer::new(MyAggregatedDiscoveryService))
        .add_service(EndpointDiscoveryServiceServer::new(MyEndpointDiscoveryService))
        .add_service(service::endpoint::v3::locality_endpoint_discovery_service_server::LocalityEndpointDiscoveryServiceServer::new(MyLocalityEndpointDiscoveryService))
        .add_service(EventReportingServiceServer::new(MyEventReportingService))
        .add_service(service::ext_proc::v3::external_processor_server::ExternalProcessorServer::new(MyExternalProcessor))
        .add_service(ExtensionConfigDiscoveryServiceServer::new(MyExtensionConfigDiscoveryService))
        .add_service(service::health::v3::health_discovery_service_server::HealthDiscoveryServiceServer::new(MyHealthDiscoveryService))
        .add_service(ListenerDiscoveryServiceServer::new(MyListenerDiscoveryService))
        .add_service(service::load_stats::v3::load_reporting_service_server::LoadReportingServiceServer::new(MyLoadReportingService))
        .add_service(MetricsServiceServer::new(MyMetricsService))
        .add_service(service::network_ext_proc::v3::network_external_processor_server::NetworkExternalProcessorServer::new(MyNetworkExternalProcessor))
        .add_service(RateLimitQuotaServiceServer::new(MyRateLimitQuotaService))
        .add_service(service::ratelimit::v3::rate_limit_service_server::RateLimitServiceServer::new(MyRateLimitService))
        .add_service(RedisProxyExternalAuthServer::new(MyRedisProxyExternalAuth))
        .add_service(service::route::v3::route_discovery_service_server::RouteDiscoveryServiceServer::new(MyRouteDiscoveryService))
        .add_service(VirtualHostDiscoveryServiceServer::new(MyVirtualHostDiscoveryService))
        .add_service(service::route::v3::scoped_routes_discovery_service_server::ScopedRoutesDiscoveryServiceServer::new(MyScopedRoutesDiscoveryService))
        .add_service(RuntimeDiscoveryServiceServer::new(MyRuntimeDiscoveryService))
        .add_service(service::secret::v3::secret_discovery_service_server::SecretDiscoveryServiceServer::new(MySecretDiscoveryService))
        .add_service(ClientStatusDiscoveryServiceServer::new(MyClientStatusDiscoveryService))
        .add_service(service::tap::v3::tap_sink_service_server::TapSinkServiceServer::new(MyTapSinkService))
        .add_service(RateLimitConfigDiscoveryServiceServer::new(MyRateLimitConfigDiscoveryService));
    assert_each_is_one_rpc(
        routes,
        &[
            "envoy.service.accesslog.v3.AccessLogService/StreamAccessLogs",
            "envoy.service.auth.v3.Authorization/Check",
            "envoy.service.cluster.v3.ClusterDiscoveryService/StreamClusters",
            "envoy.service.cluster.v3.ClusterDiscoveryService/DeltaClusters",
            "envoy.service.cluster.v3.ClusterDiscoveryService/FetchClusters",
            "envoy.service.discovery.v3.AggregatedDiscoveryService/StreamAggregatedResources",
            "envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources",
            "envoy.service.endpoint.v3.EndpointDiscoveryService/StreamEndpoints",
            "envoy.service.endpoint.v3.EndpointDiscoveryService/DeltaEndpoints",
            "envoy.service.endpoint.v3.EndpointDiscoveryService/FetchEndpoints",
            "envoy.service.endpoint.v3.LocalityEndpointDiscoveryService/DeltaLocalityEndpoints",
            "envoy.service.event_reporting.v3.EventReportingService/StreamEvents",
            "envoy.service.ext_proc.v3.ExternalProcessor/Process",
            "envoy.service.extension.v3.ExtensionConfigDiscoveryService/StreamExtensionConfigs",
            "envoy.service.extension.v3.ExtensionConfigDiscoveryService/DeltaExtensionConfigs",
            "envoy.service.extension.v3.ExtensionConfigDiscoveryService/FetchExtensionConfigs",
            "envoy.service.health.v3.HealthDiscoveryService/StreamHealthCheck",
            "envoy.service.health.v3.HealthDiscoveryService/FetchHealthCheck",
            "envoy.service.listener.v3.ListenerDiscoveryService/DeltaListeners",
            "envoy.service.listener.v3.ListenerDiscoveryService/StreamListeners",
            "envoy.service.listener.v3.ListenerDiscoveryService/FetchListeners",
            "envoy.service.load_stats.v3.LoadReportingService/StreamLoadStats",
            "envoy.service.metrics.v3.MetricsService/StreamMetrics",
            "envoy.service.network_ext_proc.v3.NetworkExternalProcessor/Process",
            "envoy.service.rate_limit_quota.v3.RateLimitQuotaService/StreamRateLimitQuotas",
            "envoy.service.ratelimit.v3.RateLimitService/ShouldRateLimit",
            "envoy.service.redis_auth.v3.RedisProxyExternalAuth/Authenticate",
            "envoy.service.route.v3.RouteDiscoveryService/StreamRoutes",
            "envoy.service.route.v3.RouteDiscoveryService/DeltaRoutes",
            "envoy.service.route.v3.RouteDiscoveryService/FetchRoutes",
            "envoy.service.route.v3.VirtualHostDiscoveryService/DeltaVirtualHosts",
            "envoy.service.route.v3.ScopedRoutesDiscoveryService/StreamScopedRoutes",
            "envoy.service.route.v3.ScopedRoutesDiscoveryService/DeltaScopedRoutes",
            "envoy.service.route.v3.ScopedRoutesDiscoveryService/FetchScopedRoutes",
            "envoy.service.runtime.v3.RuntimeDiscoveryService/StreamRuntime",
            "envoy.service.runtime.v3.RuntimeDiscoveryService/DeltaRuntime",
            "envoy.service.runtime.v3.RuntimeDiscoveryService/FetchRuntime",
            "envoy.service.secret.v3.SecretDiscoveryService/DeltaSecrets",
            "envoy.service.secret.v3.SecretDiscoveryService/StreamSecrets",
            "envoy.service.secret.v3.SecretDiscoveryService/FetchSecrets",
            "envoy.service.status.v3.ClientStatusDiscoveryService/StreamClientStatus",
            "envoy.service.status.v3.ClientStatusDiscoveryService/FetchClientStatus",
            "envoy.service.tap.v3.TapSinkService/StreamTaps",
            "ratelimit.service.ratelimit.v3.RateLimitConfigDiscoveryService/StreamRlsConfigs",
            "ratelimit.service.ratelimit.v3.RateLimitConfigDiscoveryService/FetchRlsConfigs",
        ],
    )
    .await;
}
