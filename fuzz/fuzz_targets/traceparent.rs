#![no_main]

use libfuzzer_sys::fuzz_target;
use otel_runtime::fuzzing::traceparent;

fuzz_target!(|bytes: &[u8]| traceparent::check(bytes));
