"""Sets OpenTelemetry up. Each span is exported as soon as it ends, by OTLP over HTTP."""

import threading

from opentelemetry import metrics, trace
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
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

meters = MeterProvider([PeriodicExportingMetricReader(OTLPMetricExporter(), export_interval_millis=3_600_000)])
metrics.set_meter_provider(meters)

one_at_a_time = threading.Lock()


def answer(said):
    """Prints a line for the test to read."""
    with one_at_a_time:
        print(">", said, flush=True)


def flush():
    meters.force_flush()
    answer("flushed")
