"""A gRPC server that OpenTelemetry's own instrumentation traces: `server.py PROTO_DIRECTORY`.

Prints its address, and a line of JSON for each span that the instrumentation made. Stops when its standard input ends.
"""

import json
import sys
from concurrent import futures

import grpc
from opentelemetry import trace
from opentelemetry.instrumentation.grpc import GrpcInstrumentorServer
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.trace import format_span_id, format_trace_id

[proto_directory] = sys.argv[1:]

# Compiles the service when it is run.
sys.path.insert(0, proto_directory)
protos, services = grpc.protos_and_services("routeguide.proto")


class Tell(SpanProcessor):
    def on_end(self, span):
        line = {
            "name": span.name,
            "kind": span.kind.name,
            "trace_id": format_trace_id(span.context.trace_id),
            "parent": span.parent and format_span_id(span.parent.span_id),
        }
        print(json.dumps(line), flush=True)


provider = TracerProvider()
provider.add_span_processor(Tell())
trace.set_tracer_provider(provider)
GrpcInstrumentorServer().instrument()


class Guide(services.RouteGuideServicer):
    def GetFeature(self, request, context):
        if request.latitude == 0:
            context.abort(grpc.StatusCode.NOT_FOUND, "nothing to see here")
        return protos.Feature(name="here", location=request)

    def ListFeatures(self, request, context):
        yield protos.Feature(name="south", location=request.lo)
        yield protos.Feature(name="north", location=request.hi)


server = grpc.server(futures.ThreadPoolExecutor())
services.add_RouteGuideServicer_to_server(Guide(), server)
port = server.add_insecure_port("127.0.0.1:0")
server.start()
print(f"127.0.0.1:{port}", flush=True)
sys.stdin.read()
server.stop(grace=30).wait()
