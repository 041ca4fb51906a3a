//! A recorded channel in one line.

use tonic::transport::{Channel, Endpoint, Error};
use tower_layer::Layer;

use super::layer::ClientLayer;
use super::service::ClientService;

/// A `tonic::transport::Channel` in a [`ClientLayer`]: a channel whose calls are recorded.
///
/// # Example
///
/// ```no_run
/// use examples::helloworld::{HelloRequest, greeter_client::GreeterClient};
/// use otel_runtime::TracedChannel;
/// use tonic::transport::Endpoint;
///
/// # #[tokio::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let endpoint = Endpoint::from_static("http://greeter.example:50051");
/// let mut client = GreeterClient::new(TracedChannel::connect(endpoint).await?);
/// client.say_hello(HelloRequest { name: "Ada".into() }).await?;
/// # Ok(())
/// # }
/// ```
pub type TracedChannel = ClientService<Channel>;

impl ClientService<Channel> {
    /// Connects to an endpoint, as `Endpoint::connect` does.
    ///
    /// # Errors
    ///
    /// Returns tonic's error if it cannot connect.
    pub async fn connect(endpoint: Endpoint) -> Result<Self, Error> {
        let layer = ClientLayer::for_endpoint(&endpoint);
        Ok(layer.layer(endpoint.connect().await?))
    }

    /// Returns a channel that connects when it is first used, as `Endpoint::connect_lazy` does.
    ///
    /// # Panics
    ///
    /// Panics outside of a tokio runtime, as `Endpoint::connect_lazy` does.
    #[must_use]
    pub fn connect_lazy(endpoint: &Endpoint) -> Self {
        ClientLayer::for_endpoint(endpoint).layer(endpoint.connect_lazy())
    }
}

impl ClientLayer {
    /// Creates a layer for a channel to this endpoint's URI, with the global providers.
    ///
    /// An endpoint does not reveal the path of a Unix domain socket, so such a layer has no
    /// address. Write `ClientLayer::new("unix:///run/greeter.sock")` instead.
    #[must_use]
    pub fn for_endpoint(endpoint: &Endpoint) -> Self {
        // The placeholder that tonic shows instead of the path of a Unix domain socket.
        const UNIX_SOCKET: &str = "http://tonic/";
        let uri = endpoint.uri().to_string();
        ClientLayer::new(if uri == UNIX_SOCKET { "" } else { &uri })
    }
}
