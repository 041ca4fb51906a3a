package peer;

import com.google.protobuf.StringValue;
import io.grpc.BindableService;
import io.grpc.ServerCallHandler;
import io.grpc.ServerServiceDefinition;
import io.grpc.ServiceDescriptor;
import io.grpc.Status;
import io.grpc.stub.ServerCallStreamObserver;
import io.grpc.stub.ServerCalls;
import io.grpc.stub.StreamObserver;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Semaphore;
import java.util.concurrent.atomic.AtomicBoolean;

/** The services of all kinds, which do as the text of the first message says. */
final class Service {
  /** Longer than the limit of 4 MiB that most implementations have. */
  static final String LARGE = "x".repeat(5 << 20);

  static final Semaphore RELEASED = new Semaphore(0);

  private Service() {}

  static List<ServerServiceDefinition> all() {
    List<ServerServiceDefinition> services = new ArrayList<>();
    for (String kind : Methods.KINDS) {
      var method = Methods.of(kind, "Call");
      ServerCallHandler<StringValue, StringValue> handler =
          switch (kind) {
            case "Unary" -> ServerCalls.asyncUnaryCall((request, replies) -> obey(request, replies));
            case "ServerStream" ->
                ServerCalls.asyncServerStreamingCall((request, replies) -> obey(request, replies));
            case "ClientStream" -> ServerCalls.asyncClientStreamingCall(Service::obeyFirst);
            default -> ServerCalls.asyncBidiStreamingCall(Service::obeyFirst);
          };
      var service = ServiceDescriptor.newBuilder("kinds." + kind).addMethod(method).build();
      services.add(ServerServiceDefinition.builder(service).addMethod(method, handler).build());
    }
    return services;
  }

  static List<BindableService> bindable() {
    return all().stream().<BindableService>map(service -> () -> service).toList();
  }

  private static StreamObserver<StringValue> obeyFirst(StreamObserver<StringValue> replies) {
    AtomicBoolean isCancelled = watch(replies);
    return new StreamObserver<>() {
      private boolean isFirst = true;

      @Override
      public void onNext(StringValue request) {
        if (isFirst) {
          isFirst = false;
          obey(request, replies, isCancelled);
        }
      }

      @Override
      public void onError(Throwable error) {}

      @Override
      public void onCompleted() {}
    };
  }

  /** Returns whether the call has been cancelled. A handler has to ask before it returns. */
  private static AtomicBoolean watch(StreamObserver<StringValue> replies) {
    AtomicBoolean isCancelled = new AtomicBoolean();
    ((ServerCallStreamObserver<StringValue>) replies).setOnCancelHandler(() -> isCancelled.set(true));
    return isCancelled;
  }

  private static void obey(StringValue request, StreamObserver<StringValue> replies) {
    obey(request, replies, watch(replies));
  }

  private static void obey(
      StringValue request, StreamObserver<StringValue> replies, AtomicBoolean isCancelled) {
    String text = request.getValue();
    if (text.startsWith("later ")) {
      replies.onNext(StringValue.of("first"));
      text = text.substring("later ".length());
    }
    if (text.equals("wait")) {
      waitAndReply(replies, isCancelled);
    } else if (text.equals("panic")) {
      throw new IllegalStateException("as asked");
    } else if (text.matches("\\d+")) {
      Status status = Status.fromCodeValue(Integer.parseInt(text));
      replies.onError(status.withDescription("as asked: " + text).asRuntimeException());
    } else {
      reply(replies, text.equals("large") ? LARGE : text);
    }
  }

  /** Replies when it is released, unless the call has been cancelled. */
  private static void waitAndReply(StreamObserver<StringValue> replies, AtomicBoolean isCancelled) {
    Thread waiting =
        new Thread(
            () -> {
              RELEASED.acquireUninterruptibly();
              if (isCancelled.get()) {
                RELEASED.release();
              } else {
                reply(replies, "wait");
              }
            });
    waiting.setDaemon(true);
    waiting.start();
    Main.answer("waits");
  }

  private static void reply(StreamObserver<StringValue> replies, String text) {
    replies.onNext(StringValue.of(text));
    replies.onCompleted();
  }
}
