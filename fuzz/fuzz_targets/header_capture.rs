#![no_main]

use libfuzzer_sys::fuzz_target;
use otel_runtime::fuzzing::header_capture;

fuzz_target!(|bytes: &[u8]| header_capture::check(bytes));
