package peer;

import io.grpc.ManagedChannelBuilder;
import io.grpc.ServerBuilder;
import io.grpc.opentelemetry.GrpcOpenTelemetry;
import io.opentelemetry.api.trace.propagation.W3CTraceContextPropagator;
import io.opentelemetry.context.propagation.ContextPropagators;
import io.opentelemetry.exporter.otlp.http.metrics.OtlpHttpMetricExporter;
import io.opentelemetry.exporter.otlp.http.trace.OtlpHttpSpanExporter;
import io.opentelemetry.sdk.OpenTelemetrySdk;
import io.opentelemetry.sdk.metrics.SdkMeterProvider;
import io.opentelemetry.sdk.metrics.export.PeriodicMetricReader;
import io.opentelemetry.sdk.trace.SdkTracerProvider;
import io.opentelemetry.sdk.trace.export.BatchSpanProcessor;
import java.time.Duration;
import java.util.concurrent.TimeUnit;

/** OpenTelemetry for gRPC's plugin. The Java agent has its own. */
final class Telemetry {
  private final OpenTelemetrySdk sdk;
  private final GrpcOpenTelemetry plugin;

  private Telemetry(OpenTelemetrySdk sdk, GrpcOpenTelemetry plugin) {
    this.sdk = sdk;
    this.plugin = plugin;
  }

  static Telemetry start(String instrumentation) {
    if (!instrumentation.equals("plugin")) {
      return new Telemetry(null, null);
    }
    String collector = System.getenv("OTEL_EXPORTER_OTLP_ENDPOINT");
    var spans = OtlpHttpSpanExporter.builder().setEndpoint(collector + "/v1/traces").build();
    // One export at a time: with several at once, the exporter rejects some, and their spans are lost.
    var processor = BatchSpanProcessor.builder(spans).setScheduleDelay(Duration.ofMillis(20)).build();
    var metrics = OtlpHttpMetricExporter.builder().setEndpoint(collector + "/v1/metrics").build();
    var reader = PeriodicMetricReader.builder(metrics).setInterval(Duration.ofHours(1)).build();
    var sdk =
        OpenTelemetrySdk.builder()
            .setTracerProvider(SdkTracerProvider.builder().addSpanProcessor(processor).build())
            .setMeterProvider(SdkMeterProvider.builder().registerMetricReader(reader).build())
            .setPropagators(ContextPropagators.create(W3CTraceContextPropagator.getInstance()))
            .build();
    return new Telemetry(sdk, GrpcOpenTelemetry.newBuilder().sdk(sdk).build());
  }

  void configure(ServerBuilder<?> builder) {
    if (plugin != null) {
      plugin.configureServerBuilder(builder);
    }
  }

  void configure(ManagedChannelBuilder<?> builder) {
    if (plugin != null) {
      plugin.configureChannelBuilder(builder);
    }
  }

  void flush() throws InterruptedException {
    if (sdk == null) {
      // The agent exports once a second, and cannot be told to.
      Thread.sleep(1500);
    } else {
      sdk.getSdkMeterProvider().forceFlush().join(10, TimeUnit.SECONDS);
    }
  }
}
