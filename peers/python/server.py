"""A gRPC server with OpenTelemetry's instrumentation for Python.

Usage: `server.py PROTO_DIRECTORY server`. There is a service for each kind of RPC.
peers/README.md has the commands in the first message, and on standard input.
"""

import sys
import threading
from concurrent import futures

import telemetry  # Sets the providers, so it comes before the instrumentation.
import grpc
from opentelemetry.instrumentation.grpc import GrpcInstrumentorServer

proto_directory, _ = sys.argv[1:]

# Compiles the services at run time.
sys.path.insert(0, proto_directory)
protos, services = grpc.protos_and_services("kinds.proto")

GrpcInstrumentorServer().instrument()
CODES = {code.value[0]: code for code in grpc.StatusCode}
waiting = []


def obey(text, context):
    if text == "wait":
        over = threading.Event()
        waiting.append(over)
        if context.add_callback(over.set):
            telemetry.answer("waits")
            over.wait()
        waiting.remove(over)
    elif text == "panic":
        raise RuntimeError("as asked")
    elif text == "large":
        text = "x" * (5 << 20)
    elif text.isdigit():
        context.abort(CODES[int(text)], f"as asked: {text}")
    return protos.Message(text=text)


def replies(text, context):
    if text.startswith("later "):
        yield protos.Message(text="first")
    yield obey(text.removeprefix("later "), context)


class Unary(services.UnaryServicer):
    def Call(self, request, context):
        return obey(request.text, context)


class ServerStream(services.ServerStreamServicer):
    def Call(self, request, context):
        yield from replies(request.text, context)


class ClientStream(services.ClientStreamServicer):
    def Call(self, requests, context):
        return obey(next(requests).text, context)


class Bidi(services.BidiServicer):
    def Call(self, requests, context):
        yield from replies(next(requests).text, context)


server = grpc.server(futures.ThreadPoolExecutor())
services.add_UnaryServicer_to_server(Unary(), server)
services.add_ServerStreamServicer_to_server(ServerStream(), server)
services.add_ClientStreamServicer_to_server(ClientStream(), server)
services.add_BidiServicer_to_server(Bidi(), server)
port = server.add_insecure_port("127.0.0.1:0")
server.start()
telemetry.answer(f"127.0.0.1:{port}")
for line in sys.stdin:
    match line.rstrip("\n"):
        case "release":
            waiting[0].set()
        case "goaway":
            server.stop(grace=30)
            telemetry.answer("going")
        case "flush":
            telemetry.flush()
server.stop(grace=30).wait()
