"""A gRPC client with OpenTelemetry's instrumentation for Python.

Usage: `client.py ADDRESS PROTO_DIRECTORY`. Each line of standard input is a call: `SERVICE|TEXT`
or, with a deadline, `SERVICE|TEXT|SECONDS`. Prints the result of each call. If the text ends with
`wait` and there is no deadline, starts the call, prints `waits`, and cancels the call when it reads
another line.
"""

import sys
import threading

import telemetry
import grpc
from opentelemetry import baggage, context
from opentelemetry.instrumentation.grpc import client_interceptor
from opentelemetry.instrumentation.grpc.grpcext import intercept_channel

address, proto_directory = sys.argv[1:]

# Compiles the services at run time.
sys.path.insert(0, proto_directory)
protos, services = grpc.protos_and_services("kinds.proto")

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
stubs = {
    "Unary": services.UnaryStub(channel).Call.future,
    "ServerStream": services.ServerStreamStub(channel).Call,
    "ClientStream": services.ClientStreamStub(channel).Call.future,
    "Bidi": services.BidiStub(channel).Call,
}


def begin(service, text, timeout):
    """Starts a call, and returns it with a thread that reads its replies, and a list of these."""
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

    # Propagates the context to the thread.
    current = context.get_current()
    reading = threading.Thread(target=lambda: (context.attach(current), read()))
    reading.start()
    if service == "ServerStream":
        # The instrumentation starts the call when the first reply is read.
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
        # The instrumentation may end the span after the call, in a thread that does not delay the
        # exit of the process. So wait until the span has been exported.
        telemetry.sent.acquire()
        telemetry.answer({"got": got, "code": call.code().name, "details": call.details()})
