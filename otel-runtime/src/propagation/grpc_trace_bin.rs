//! Propagator for gRPC's own binary format, which is that of `OpenCensus`.

use std::sync::LazyLock;

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use opentelemetry::Context;
use opentelemetry::propagation::text_map_propagator::FieldIter;
use opentelemetry::propagation::{Extractor, Injector, TextMapPropagator};
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState};

use super::traceparent::DEFINED;
use super::{sampling, trace_context};

const HEADER: &str = "grpc-trace-bin";

static FIELDS: LazyLock<[String; 1]> = LazyLock::new(|| [HEADER.into()]);

/// Binary metadata is base64 in HTTP/2: gRPC requires to accept it with and without padding, and
/// recommends to send it without.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_encode_padding(false)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Bytes of a version, a trace id, a span id and trace options, the ids and options after a byte
/// with the number of the field.
const LENGTH: usize = 29;

/// Propagator for gRPC's binary format, that of `OpenCensus`: [gRFC A72][1].
///
/// Requires the Cargo feature `propagators`.
///
/// The header is the binary metadata `grpc-trace-bin`: [`OpenCensus`'s binary encoding][2] of the
/// trace id, the span id and the trace options, which are the flags of `traceparent`. gRPC's
/// `OpenCensus` plugins send it, and its OpenTelemetry plugins for Go, Java and C++ if they are
/// configured so. It has no `tracestate` and no baggage.
///
/// List it beside W3C Trace Context while a fleet moves:
/// `OTEL_PROPAGATORS=grpc-trace-bin,tracecontext`.
///
/// In a carrier of text, such as a `HashMap`, the value is base64, as gRFC A72 requires.
///
/// [1]: https://github.com/grpc/proposal/blob/master/A72-open-telemetry-tracing.md
/// [2]: https://github.com/census-instrumentation/opencensus-specs/blob/master/encodings/BinaryEncoding.md
///
/// # Example
///
/// ```
/// use opentelemetry::trace::TraceContextExt;
/// use otel_runtime::propagation::{self, GrpcTraceBinPropagator};
/// use tonic::metadata::{MetadataMap, MetadataValue};
///
/// propagation::set_global(GrpcTraceBinPropagator::new());
///
/// let mut metadata = MetadataMap::new();
/// let value = [&[0, 0][..], &[0xab; 16], &[1], &[0xcd; 8], &[2, 1]].concat();
/// metadata.insert_bin("grpc-trace-bin", MetadataValue::from_bytes(&value));
/// let context = propagation::extract(&metadata);
/// assert_eq!(context.span().span_context().trace_id().to_bytes(), [0xab; 16]);
/// assert!(context.span().span_context().is_sampled());
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct GrpcTraceBinPropagator {
    _private: (),
}

impl GrpcTraceBinPropagator {
    /// Creates the propagator.
    #[must_use]
    pub const fn new() -> Self {
        GrpcTraceBinPropagator { _private: () }
    }
}

impl TextMapPropagator for GrpcTraceBinPropagator {
    fn inject_context(&self, context: &Context, injector: &mut dyn Injector) {
        let span = context.span();
        let span = span.span_context();
        if span.is_valid() {
            let flags = trace_context::flags(context, span) & DEFINED;
            injector.set(HEADER, BASE64.encode(format(span, flags)));
        }
    }

    fn extract_with_context(&self, context: &Context, extractor: &dyn Extractor) -> Context {
        let lines = extractor.get_all(HEADER).unwrap_or_default();
        let [line] = lines[..] else {
            return context.clone();
        };
        let decoded = BASE64.decode(line.trim()).ok();
        match decoded.and_then(|bytes| parse(&bytes)) {
            Some((trace_id, span_id, flags)) => {
                let span = SpanContext::new(trace_id, span_id, flags, true, TraceState::NONE);
                sampling::with_remote_span_context(context, &span)
            }
            None => context.clone(),
        }
    }

    fn fields(&self) -> FieldIter<'_> {
        FieldIter::new(&*FIELDS)
    }
}

fn format(span: &SpanContext, flags: TraceFlags) -> [u8; LENGTH] {
    let mut bytes = [0; LENGTH];
    bytes[2..18].copy_from_slice(&span.trace_id().to_bytes());
    bytes[18] = 1;
    bytes[19..27].copy_from_slice(&span.span_id().to_bytes());
    bytes[27] = 2;
    bytes[28] = flags.to_u8();
    bytes
}

/// Parses the fields up to the first unknown one, which may be of any length.
fn parse(bytes: &[u8]) -> Option<(TraceId, SpanId, TraceFlags)> {
    let mut rest = bytes.strip_prefix(&[0])?;
    let (mut trace_id, mut span_id, mut flags) = (TraceId::INVALID, SpanId::INVALID, TraceFlags::default());
    while let [field @ 0..=2, after @ ..] = rest {
        rest = match field {
            0 => {
                let (id, rest) = after.split_first_chunk()?;
                trace_id = TraceId::from_bytes(*id);
                rest
            }
            1 => {
                let (id, rest) = after.split_first_chunk()?;
                span_id = SpanId::from_bytes(*id);
                rest
            }
            _ => {
                let (options, rest) = after.split_first()?;
                flags = TraceFlags::new(*options) & DEFINED;
                rest
            }
        };
    }
    (trace_id != TraceId::INVALID && span_id != SpanId::INVALID).then_some((trace_id, span_id, flags))
}
