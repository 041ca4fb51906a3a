use super::*;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};

/// The valid example of `OpenCensus`'s specification.
const EXAMPLE: [u8; 29] = [
    0, 0, 75, 249, 47, 53, 119, 179, 77, 166, 163, 206, 146, 157, 0, 14, 71, 54, 1, 52, 240, 103, 170, 11, 169, 2, 183,
    2, 1,
];
const TRACE: u128 = 0x4bf9_2f35_77b3_4da6_a3ce_929d_000e_4736;
const SPAN: u64 = 0x34f0_67aa_0ba9_02b7;

fn read_bytes(bytes: &[u8]) -> Option<(u128, u64, SamplingState)> {
    read(
        &GrpcTraceBinPropagator::new(),
        &headers([("grpc-trace-bin", &STANDARD_NO_PAD.encode(bytes))]),
    )
}

#[test]
fn the_example_of_its_specification_is_extracted_and_injected() {
    assert_eq!(read_bytes(&EXAMPLE), Some((TRACE, SPAN, SamplingState::Accept)));
    let sent = written(&GrpcTraceBinPropagator::new(), &with_span(TRACE, SPAN, true));
    assert_eq!(sent, headers([("grpc-trace-bin", &STANDARD_NO_PAD.encode(EXAMPLE))]));
}

#[test]
fn base64_is_accepted_with_and_without_padding() {
    // The base64 of 29 bytes needs padding.
    assert_ne!(STANDARD.encode(EXAMPLE), STANDARD_NO_PAD.encode(EXAMPLE));
    for value in [STANDARD.encode(EXAMPLE), STANDARD_NO_PAD.encode(EXAMPLE)] {
        let extracted = read(&GrpcTraceBinPropagator::new(), &headers([("grpc-trace-bin", &value)]));
        assert_eq!(extracted, Some((TRACE, SPAN, SamplingState::Accept)), "{value}");
    }
}

#[test]
fn it_is_binary_metadata() {
    let mut metadata = MetadataMap::new();
    let propagator = GrpcTraceBinPropagator::new();
    propagator.inject_context(&with_span(TRACE, SPAN, true), &mut metadata.injector());
    let value = metadata.get_bin("grpc-trace-bin").unwrap().to_bytes().unwrap();
    assert_eq!(&value[..], EXAMPLE);
    let context = propagator.extract_with_context(&Context::new(), &metadata.extractor());
    assert_eq!(span(&context), (TRACE, SPAN, true));
    metadata.append_bin("grpc-trace-bin", tonic::metadata::MetadataValue::from_bytes(&EXAMPLE));
    let context = propagator.extract_with_context(&Context::new(), &metadata.extractor());
    assert!(!context.has_active_span(), "two values");
}

#[test]
fn fields_are_optional_in_any_order_and_followed_by_unknown_ones() {
    let (trace, span, options) = (&EXAMPLE[1..18], &EXAMPLE[18..27], &EXAMPLE[27..]);
    let version = &[0][..];
    for (fields, state) in [
        (vec![version, trace, span], SamplingState::Deny),
        (vec![version, trace, span, &[2, 0]], SamplingState::Deny),
        (vec![version, trace, span, &[2, 0xff]], SamplingState::Accept),
        (vec![version, options, span, trace], SamplingState::Accept),
        (
            vec![version, trace, span, options, &[3, 1, 2, 3]],
            SamplingState::Accept,
        ),
    ] {
        assert_eq!(read_bytes(&fields.concat()), Some((TRACE, SPAN, state)), "{fields:?}");
    }
    for fields in [
        vec![],
        vec![version],
        vec![version, trace],
        vec![version, span, options],
        vec![&[1], trace, span, options],
        vec![version, trace, &span[..8]],
        vec![version, trace, span, &[2]],
        vec![version, &[3, 1], trace, span],
        vec![version, &[0; 17], span, options],
        vec![version, trace, &[1, 0, 0, 0, 0, 0, 0, 0, 0], options],
    ] {
        assert_eq!(read_bytes(&fields.concat()), None, "{fields:?}");
    }
    let propagator = GrpcTraceBinPropagator::new();
    assert_eq!(read(&propagator, &headers([("grpc-trace-bin", "not base64!")])), None);
}

/// The random flag travels in the options. Beside `traceparent`, its `tracestate` stays.
#[test]
fn it_goes_with_trace_context() {
    let mut bytes = EXAMPLE;
    bytes[28] = 3;
    let value = STANDARD_NO_PAD.encode(bytes);
    let traceparent = format!("00-{TRACE:032x}-{SPAN:016x}-03");
    let sent = headers([
        ("grpc-trace-bin", &value),
        ("traceparent", &traceparent),
        ("tracestate", "a@@b=1"),
    ]);
    let (bin, w3c) = (GrpcTraceBinPropagator::new(), TraceContextPropagator::new());
    for list in [[&bin as &dyn TextMapPropagator, &w3c], [&w3c, &bin]] {
        let context = list.iter().fold(Context::new(), |context, propagator| {
            propagator.extract_with_context(&context, &sent)
        });
        let mut passed_on = Headers::new();
        for propagator in list {
            propagator.inject_context(&context, &mut passed_on);
        }
        assert_eq!(passed_on, sent);
    }
    let alone = bin.extract_with_context(&Context::new(), &sent);
    assert_eq!(written(&bin, &alone), headers([("grpc-trace-bin", &value)]));
}
