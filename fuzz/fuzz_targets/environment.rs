#![no_main]

use libfuzzer_sys::fuzz_target;
use otel_setup::fuzzing::environment;

fuzz_target!(|bytes: &[u8]| environment::check(bytes));
