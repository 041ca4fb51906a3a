package peer;

import com.google.protobuf.StringValue;
import io.grpc.MethodDescriptor;
import io.grpc.MethodDescriptor.MethodType;
import io.grpc.protobuf.ProtoUtils;

/** The methods of kinds.proto, whose message is a string in field 1, as in {@link StringValue}. */
final class Methods {
  private Methods() {}

  static final String[] KINDS = {"Unary", "ServerStream", "ClientStream", "Bidi"};

  static MethodDescriptor<StringValue, StringValue> of(String kind, String method) {
    MethodType type =
        switch (kind) {
          case "Unary" -> MethodType.UNARY;
          case "ServerStream" -> MethodType.SERVER_STREAMING;
          case "ClientStream" -> MethodType.CLIENT_STREAMING;
          default -> MethodType.BIDI_STREAMING;
        };
    return MethodDescriptor.<StringValue, StringValue>newBuilder()
        .setType(type)
        .setFullMethodName("kinds." + kind + "/" + method)
        .setRequestMarshaller(ProtoUtils.marshaller(StringValue.getDefaultInstance()))
        .setResponseMarshaller(ProtoUtils.marshaller(StringValue.getDefaultInstance()))
        // As generated code has it: the plugin records the names of such methods.
        .setSampledToLocalTracing(true)
        .build();
  }
}
