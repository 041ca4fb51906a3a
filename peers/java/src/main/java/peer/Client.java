package peer;

import com.google.protobuf.StringValue;
import io.grpc.CallOptions;
import io.grpc.Channel;
import io.grpc.ClientCall;
import io.grpc.Metadata;
import io.grpc.Status;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.TimeUnit;
import java.util.function.Function;

/** Makes calls with one message, and reads the replies. */
final class Client {
  private final Map<String, Channel> channels = new HashMap<>();
  private final List<ClientCall<StringValue, StringValue>> calls = new CopyOnWriteArrayList<>();

  Client(Function<String, Channel> channelOf) {
    for (String kind : Methods.KINDS) {
      channels.put(kind, channelOf.apply(kind));
    }
  }

  void cancel() {
    for (ClientCall<StringValue, StringValue> call : calls) {
      call.cancel("as asked", null);
    }
  }

  /** Makes the call of a line {@code KIND|TEXT|SECONDS|OPTION}. */
  void call(String line) {
    String[] fields = line.split("\\|", -1);
    String kind = fields[0];
    CallOptions options = CallOptions.DEFAULT;
    if (!fields[2].isEmpty()) {
      long milliseconds = (long) (1000 * Double.parseDouble(fields[2]));
      options = options.withDeadlineAfter(milliseconds, TimeUnit.MILLISECONDS);
    }
    if (fields[3].equals("gzip")) {
      options = options.withCompression("gzip");
    }
    String method = fields[3].equals("unknown") ? "Unknown" : "Call";
    String text = fields[1].equals("large-request") ? Service.LARGE : fields[1];
    ClientCall<StringValue, StringValue> call =
        channels.get(kind).newCall(Methods.of(kind, method), options);
    calls.add(call);
    call.start(
        new ClientCall.Listener<>() {
          private int replies;

          @Override
          public void onMessage(StringValue reply) {
            replies++;
            call.request(1);
          }

          @Override
          public void onClose(Status status, Metadata trailers) {
            calls.remove(call);
            Main.answer("ended " + kind + " " + status.getCode() + " " + replies);
          }
        },
        new Metadata());
    call.request(2);
    // Compresses the messages, if the call has compression.
    call.setMessageCompression(true);
    call.sendMessage(StringValue.of(text));
    call.halfClose();
  }
}
