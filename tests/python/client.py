"""A gRPC client that OpenTelemetry's own instrumentation traces: `client.py ADDRESS PROTO_DIRECTORY`.

Prints a line of JSON for each call: what it got, and the span that the instrumentation made of it.
"""

import json
import sys

import grpc
from opentelemetry import trace
from opentelemetry.instrumentation.grpc import GrpcInstrumentorClient
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import format_span_id, format_trace_id

address, proto_directory = sys.argv[1:]

# Compiles the service when it is run.
sys.path.insert(0, proto_directory)
protos, services = grpc.protos_and_services("routeguide.proto")

exporter = InMemorySpanExporter()
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(exporter))
trace.set_tracer_provider(provider)
GrpcInstrumentorClient().instrument()


def tell(call, got, code=grpc.StatusCode.OK):
    [span] = exporter.get_finished_spans()
    exporter.clear()
    line = {
        "call": call,
        "got": got,
        "code": code.name,
        "kind": span.kind.name,
        "trace_id": format_trace_id(span.context.trace_id),
        "span_id": format_span_id(span.context.span_id),
    }
    print(json.dumps(line))


with grpc.insecure_channel(address) as channel:
    guide = services.RouteGuideStub(channel)

    feature = guide.GetFeature(protos.Point(latitude=407838351, longitude=-746143763), timeout=30)
    tell("GetFeature", [feature.name])

    area = protos.Rectangle(
        lo=protos.Point(latitude=400000000, longitude=-750000000),
        hi=protos.Point(latitude=409000000, longitude=-740000000),
    )
    features = guide.ListFeatures(area, timeout=30)
    tell("ListFeatures", [feature.name for feature in features])

    try:
        guide.GetFeature(protos.Point(latitude=0, longitude=0), timeout=30)
    except grpc.RpcError as error:
        tell("GetFeature", error.details(), error.code())
