package peer;

import io.grpc.ManagedChannel;
import io.grpc.Server;
import io.grpc.ServerBuilder;
import io.grpc.netty.NettyChannelBuilder;
import io.grpc.netty.NettyServerBuilder;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;

/**
 * A gRPC client and a gRPC server for the matrix of peers, with an instrumentation of choice.
 *
 * <p>Usage: {@code Main INSTRUMENTATION server} or {@code Main INSTRUMENTATION client ADDRESS}, where
 * the instrumentation is {@code agent} (the process has the Java agent), {@code plugin} or {@code
 * armeria} (the same agent). peers/README.md has the protocol on standard input and output.
 */
public final class Main {
  private Main() {}

  public static void main(String[] arguments) throws Exception {
    String instrumentation = arguments[0];
    Telemetry telemetry = Telemetry.start(instrumentation);
    if (arguments[1].equals("server")) {
      runServer(instrumentation, telemetry);
    } else {
      runClient(instrumentation, telemetry, arguments[2]);
    }
    System.exit(0);
  }

  /** Prints a line for the test to read. */
  static synchronized void answer(String line) {
    System.out.println("> " + line);
    System.out.flush();
  }

  private static BufferedReader input() {
    return new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
  }

  private static void runServer(String instrumentation, Telemetry telemetry) throws Exception {
    Runnable shutdown;
    int port;
    if (instrumentation.equals("armeria")) {
      com.linecorp.armeria.server.Server server = Armeria.server();
      server.start().join();
      port = server.activeLocalPort();
      shutdown = server::stop;
    } else {
      ServerBuilder<?> builder = NettyServerBuilder.forAddress(new InetSocketAddress("127.0.0.1", 0));
      telemetry.configure(builder);
      Service.all().forEach(builder::addService);
      Server server = builder.build().start();
      port = server.getPort();
      shutdown = server::shutdown;
    }
    answer("127.0.0.1:" + port);
    BufferedReader input = input();
    for (String line = input.readLine(); line != null; line = input.readLine()) {
      switch (line) {
        case "release" -> Service.RELEASED.release();
        case "goaway" -> {
          shutdown.run();
          answer("going");
        }
        case "flush" -> {
          telemetry.flush();
          answer("flushed");
        }
        default -> throw new IllegalArgumentException(line);
      }
    }
  }

  private static void runClient(String instrumentation, Telemetry telemetry, String address) throws Exception {
    Client client;
    if (instrumentation.equals("armeria")) {
      client = new Client(kind -> Armeria.channel(address, kind));
    } else {
      NettyChannelBuilder builder = NettyChannelBuilder.forTarget(address).usePlaintext();
      telemetry.configure(builder);
      ManagedChannel channel = builder.build();
      client = new Client(kind -> channel);
    }
    BufferedReader input = input();
    for (String line = input.readLine(); line != null; line = input.readLine()) {
      switch (line) {
        case "cancel" -> client.cancel();
        case "flush" -> {
          telemetry.flush();
          answer("flushed");
        }
        default -> client.call(line);
      }
    }
  }
}
