"""A gRPC client with OpenTelemetry's instrumentation for Python.

Usage: `client.py PROTO_DIRECTORY client ADDRESS`. peers/README.md has the protocol on standard
input and output.
"""

import sys
import threading

import telemetry
import grpc
from opentelemetry import baggage, context
from opentelemetry.instrumentation.grpc import client_interceptor
from opentelemetry.instrumentation.grpc.grpcext import intercept_channel

proto_directory, _, address = sys.argv[1:]

# Compiles the messages at run time.
sys.path.insert(0, proto_directory)
protos = grpc.protos("kinds.proto")

context.attach(baggage.set_baggage("user", "ada"))


class Keep(grpc.UnaryStreamClientInterceptor):
    """Keeps the last call that returns a stream.

    The instrumentation turns the stream into a generator, which can neither be cancelled nor asked
    for its status.
    """

    def intercept_unary_stream(self, continuation, details, request):
        self.call = continuation(details, request)
        self.has_begun.set()
        return self.call


keep = Keep()
# `GrpcInstrumentorClient().instrument()` would put the same interceptor around each channel. Here,
# `keep` is inside of it.
channel = intercept_channel(grpc.intercept_channel(grpc.insecure_channel(address), keep), client_interceptor())
calls = set()


def stub(service, method):
    """Returns the function that calls a method, as generated code does."""
    make = {
        "Unary": channel.unary_unary,
        "ServerStream": channel.unary_stream,
        "ClientStream": channel.stream_unary,
        "Bidi": channel.stream_stream,
    }[service]
    called = make(f"/kinds.{service}/{method}", protos.Message.SerializeToString, protos.Message.FromString)
    return called.future if service in ("Unary", "ClientStream") else called


def begin(service, text, seconds, option):
    """Starts a call, and a thread that reads its replies and prints its end."""
    message = protos.Message(text="x" * (5 << 20) if text == "large-request" else text)
    request = iter([message]) if service in ("ClientStream", "Bidi") else message
    keep.has_begun = threading.Event()
    compression = grpc.Compression.Gzip if option == "gzip" else None
    method = stub(service, "Unknown" if option == "unknown" else "Call")
    replies = method(request, timeout=float(seconds) if seconds else 60, compression=compression)
    got = []

    def read():
        try:
            if service in ("ServerStream", "Bidi"):
                got.extend(message.text for message in replies)
            else:
                got.append(replies.result().text)
        except (grpc.RpcError, grpc.FutureCancelledError):
            pass

    # Propagates the context to the thread.
    current = context.get_current()
    reading = threading.Thread(target=lambda: (context.attach(current), read()))
    reading.start()
    if service == "ServerStream":
        # The instrumentation starts the call when the first reply is read.
        keep.has_begun.wait()
    call = keep.call if service == "ServerStream" else replies
    calls.add(call)

    def end():
        reading.join()
        calls.discard(call)
        # The instrumentation may end the span after the call, in a thread that does not delay the
        # exit of the process. So wait until the span has been exported.
        telemetry.sent.acquire(timeout=5)
        said = call.details() if call.code() != grpc.StatusCode.OK else got[-1][:100]
        telemetry.answer(f"ended {service} {call.code().name} {len(got)} {said}".replace("\n", " "))

    threading.Thread(target=end).start()


with channel:
    for line in sys.stdin:
        match line.rstrip("\n"):
            case "cancel":
                for call in list(calls):
                    call.cancel()
            case "flush":
                telemetry.flush()
            case line:
                begin(*line.split("|"))
    while calls:
        telemetry.sent.acquire(timeout=0.01)
