#![no_main]

use libfuzzer_sys::fuzz_target;
use otel_runtime::fuzzing::propagators;

fuzz_target!(|bytes: &[u8]| propagators::check(bytes));
