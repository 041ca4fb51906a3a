//! A channel that records, in one line.

use tonic::transport::{Channel, Endpoint, Error};
use tower_layer::Layer;

use super::layer::{ClientLayer, ClientService};

/// A channel whose RPCs are recorded: a `tonic::transport::Channel` in a [`ClientLayer`].
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
    /// Connects, as `Endpoint::connect` does.
    ///
    /// # Errors
    ///
    /// Where that cannot connect.
    pub async fn connect(endpoint: Endpoint) -> Result<Self, Error> {
        let layer = ClientLayer::of(&endpoint);
        Ok(layer.layer(endpoint.connect().await?))
    }

    /// A channel that connects when it is first used, as `Endpoint::connect_lazy` makes it.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime, as that does.
    #[must_use]
    pub fn connect_lazy(endpoint: &Endpoint) -> Self {
        ClientLayer::of(endpoint).layer(endpoint.connect_lazy())
    }
}

impl ClientLayer {
    /// A layer for a channel to this endpoint's URI, with the global providers.
    ///
    /// An endpoint does not tell the path of a Unix socket: for that, write `ClientLayer::new("unix:///run/greeter.sock")`. Here it has no address.
    #[must_use]
    pub fn of(endpoint: &Endpoint) -> Self {
        // What tonic shows in place of a Unix socket's path.
        const UNIX_SOCKET: &str = "http://tonic/";
        let uri = endpoint.uri().to_string();
        ClientLayer::new(if uri == UNIX_SOCKET { "" } else { &uri })
    }
}
