"""A gRPC client that OpenTelemetry's own instrumentation traces: `client.py ADDRESS PROTO_DIRECTORY`.

Reads what to call, `SERVICE|TEXT` or, with a deadline, `SERVICE|TEXT|SECONDS`, and answers with what it got. A call that is to wait it starts, and says so;
it cancels it when told to.
"""

import sys
import threading

import telemetry
import grpc
from opentelemetry import baggage, context
from opentelemetry.instrumentation.grpc import client_interceptor
from opentelemetry.instrumentation.grpc.grpcext import intercept_channel

address, proto_directory = sys.argv[1:]

# Compiles the services when it is run.
sys.path.insert(0, proto_directory)
protos, services = grpc.protos_and_services("kinds.proto")

context.attach(baggage.set_baggage("user", "ada"))


class Keep(grpc.UnaryStreamClientInterceptor):
    """Keeps the last call, for what the instrumentation makes of a stream of replies is a generator: that can neither be cancelled nor asked for its status."""

    def intercept_unary_stream(self, continuation, details, request):
        self.call = continuation(details, request)
        self.has_begun.set()
        return self.call


keep = Keep()
# The instrumentation as `GrpcInstrumentorClient().instrument()` would put it around each channel; but beneath it that one.
channel = intercept_channel(grpc.intercept_channel(grpc.insecure_channel(address), keep), client_interceptor())
stubs = {
    "Unary": services.UnaryStub(channel).Call.future,
    "ServerStream": services.ServerStreamStub(channel).Call,
    "ClientStream": services.ClientStreamStub(channel).Call.future,
    "Bidi": services.BidiStub(channel).Call,
}


def begin(service, text, timeout):
    """The call, and what reads its replies to the end."""
    message = protos.Message(text=text)
    request = iter([message]) if service in ("ClientStream", "Bidi") else message
    keep.has_begun = threading.Event()
    replies = stubs[service](request, timeout=timeout)
    got = []

    def read():
        try:
            if service in ("ServerStream", "Bidi"):
                got.extend(message.text for message in replies)
            else:
                got.append(replies.result().text)
        except (grpc.RpcError, grpc.FutureCancelledError):
            pass

    # In a thread of its own, and in the context of this one.
    current = context.get_current()
    reading = threading.Thread(target=lambda: (context.attach(current), read()))
    reading.start()
    if service == "ServerStream":
        # The instrumentation makes the call when its first reply is read.
        keep.has_begun.wait()
    return (keep.call if service == "ServerStream" else replies), reading, got


with channel:
    for line in sys.stdin:
        service, text, *deadline = line.rstrip("\n").split("|")
        call, reading, got = begin(service, text, float(deadline[0]) if deadline else 30)
        if text.endswith("wait") and not deadline:
            telemetry.answer("waits")
            sys.stdin.readline()
            call.cancel()
        reading.join()
        # The instrumentation may end the span later than the call, in a thread that an exit does not wait for.
        telemetry.sent.acquire()
        telemetry.answer({"got": got, "code": call.code().name, "details": call.details()})
