package peer;

import com.linecorp.armeria.client.grpc.GrpcClientStubFactory;
import com.linecorp.armeria.client.grpc.GrpcClients;
import com.linecorp.armeria.server.Server;
import com.linecorp.armeria.server.grpc.GrpcService;
import io.grpc.Channel;
import io.grpc.ServiceDescriptor;
import java.net.InetSocketAddress;
import java.time.Duration;

/** Armeria's server and client. */
final class Armeria {
  private Armeria() {}

  static Server server() {
    var service = GrpcService.builder().maxRequestMessageLength(4 << 20);
    Service.all().forEach(service::addService);
    return Server.builder()
        .http(new InetSocketAddress("127.0.0.1", 0))
        .service(service.build())
        .gracefulShutdownTimeout(Duration.ofMillis(100), Duration.ofSeconds(10))
        .build();
  }

  /** Returns a channel for the methods of a kind. */
  static Channel channel(String address, String kind) {
    return GrpcClients.builder("gproto+http://" + address)
        .responseTimeout(Duration.ofSeconds(60))
        .maxResponseMessageLength(4 << 20)
        .clientStubFactory(new Channels(kind))
        .build(Channel.class);
  }

  /** Instead of a stub of generated code, returns the channel itself. */
  private record Channels(String kind) implements GrpcClientStubFactory {
    @Override
    public ServiceDescriptor findServiceDescriptor(Class<?> type) {
      return ServiceDescriptor.newBuilder("kinds." + kind)
          .addMethod(Methods.of(kind, "Call"))
          .addMethod(Methods.of(kind, "Unknown"))
          .build();
    }

    @Override
    public Object newClientStub(Class<?> type, Channel channel) {
      return channel;
    }
  }
}
