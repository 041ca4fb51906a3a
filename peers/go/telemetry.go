package main

import (
	"context"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/trace"
)

// telemetry exports each span as it ends, and metrics when it is flushed.
type telemetry struct {
	tracers *trace.TracerProvider
	meters  *metric.MeterProvider
}

func startTelemetry() *telemetry {
	ctx := context.Background()
	spans, err := otlptracehttp.New(ctx)
	check(err)
	metrics, err := otlpmetrichttp.New(ctx)
	check(err)
	telemetry := &telemetry{
		tracers: trace.NewTracerProvider(trace.WithSyncer(spans)),
		meters: metric.NewMeterProvider(
			metric.WithReader(metric.NewPeriodicReader(metrics, metric.WithInterval(time.Hour))),
		),
	}
	otel.SetTracerProvider(telemetry.tracers)
	otel.SetMeterProvider(telemetry.meters)
	otel.SetTextMapPropagator(propagation.TraceContext{})
	return telemetry
}

func (telemetry *telemetry) flush() {
	check(telemetry.meters.ForceFlush(context.Background()))
}

func (telemetry *telemetry) shutdown() {
	check(telemetry.tracers.Shutdown(context.Background()))
	check(telemetry.meters.Shutdown(context.Background()))
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}
