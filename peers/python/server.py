"""A gRPC server with OpenTelemetry's instrumentation for Python.

Usage: `server.py PROTO_DIRECTORY`. Prints its address, and stops when its standard input ends.
There is a service for each kind of RPC. The text of the first message is a command:

* a number: fails with this status code
* `wait`: prints `waits`, and waits until the client has cancelled the call
* `later COMMAND`: sends a message first, and then runs the command
* anything else: replies with the text
"""

import sys
import threading
from concurrent import futures

import telemetry  # Sets the tracer provider, so it comes before the instrumentation.
import grpc
from opentelemetry.instrumentation.grpc import GrpcInstrumentorServer

[proto_directory] = sys.argv[1:]

# Compiles the services at run time.
sys.path.insert(0, proto_directory)
protos, services = grpc.protos_and_services("kinds.proto")

GrpcInstrumentorServer().instrument()
CODES = {code.value[0]: code for code in grpc.StatusCode}


def obey(text, context):
    if text == "wait":
        gone = threading.Event()
        if context.add_callback(gone.set):
            telemetry.answer("waits")
            gone.wait()
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
sys.stdin.read()
server.stop(grace=30).wait()
