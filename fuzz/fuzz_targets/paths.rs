#![no_main]

use libfuzzer_sys::fuzz_target;
use otel_runtime::fuzzing::paths;

fuzz_target!(|bytes: &[u8]| paths::check(bytes));
