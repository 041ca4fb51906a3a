"""Sets OpenTelemetry up. Each span is exported as soon as it ends, by OTLP over HTTP."""

import json
import threading

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

# Is released once for each exported span.
sent = threading.Semaphore(0)


class Count(SpanProcessor):
    def on_end(self, span):
        sent.release()


provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(OTLPSpanExporter()))
provider.add_span_processor(Count())
trace.set_tracer_provider(provider)


def answer(said):
    """Prints a line for the test to read."""
    print(">", said if isinstance(said, str) else json.dumps(said), flush=True)
