//! A handler that calls its own method.

use super::*;

macro_rules! recursive {
    ($name:ident, $(#[$attribute:meta])*) => {
        #[derive(Clone)]
        struct $name {
            layer: Option<ServerLayer>,
        }

        $(#[$attribute])*
        #[tonic::async_trait]
        impl Unary for $name {
            async fn call(&self, request: Request<Message>) -> Result<Response<Message>, Status> {
                let text = request.into_inner().text;
                if let Some(rest) = text.strip_prefix('x') {
                    let routes = Routes::new(UnaryServer::new(self.clone()));
                    match &self.layer {
                        Some(layer) => {
                            let within = tower::Layer::layer(layer, routes);
                            UnaryClient::new(within).call(Message::from(rest)).await?
                        }
                        None => UnaryClient::new(routes).call(Message::from(rest)).await?,
                    };
                }
                Ok(Response::new(Message::default()))
            }
        }
    };
}

recursive!(WithAttribute, #[traced_service]);
recursive!(WithoutAttribute,);

async fn assert_has_a_span_for_each_call(what: &str, server: RunningServer) {
    let telemetry = Telemetry::start();
    UnaryClient::new(server.channel().await)
        .call(Message::from("xxx"))
        .await
        .unwrap();
    let spans: Vec<SpanData> = telemetry.spans(4).await;
    for pair in spans.windows(2) {
        assert_eq!(pair[0].name, RPC, "{what}");
        assert_eq!(pair[0].parent_span_id, pair[1].span_context.span_id(), "{what}");
    }
    telemetry.durations(4).await;
}

#[tokio::test]
async fn through_a_generated_client_has_a_span_for_each_call() {
    let layer = ServerLayer::new().known_methods([RPC]);
    let annotated = |layer: &Option<ServerLayer>| Routes::new(UnaryServer::new(WithAttribute { layer: layer.clone() }));
    assert_has_a_span_for_each_call("attribute", serve(annotated(&None)).await).await;
    let both = Server::builder().layer(layer.clone());
    assert_has_a_span_for_each_call("both outside", serve_with(both, annotated(&None)).await).await;
    let inner = Some(layer.clone());
    assert_has_a_span_for_each_call("layer within", serve(annotated(&inner)).await).await;
    let both = Server::builder().layer(layer.clone());
    assert_has_a_span_for_each_call("both", serve_with(both, annotated(&inner)).await).await;
    let plain = Routes::new(UnaryServer::new(WithoutAttribute { layer: inner }));
    let both = Server::builder().layer(layer);
    assert_has_a_span_for_each_call("layer", serve_with(both, plain).await).await;
}
