#![no_main]

use libfuzzer_sys::fuzz_target;
use otel_runtime::fuzzing::targets;

fuzz_target!(|bytes: &[u8]| targets::check(bytes));
