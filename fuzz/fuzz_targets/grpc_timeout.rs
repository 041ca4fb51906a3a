#![no_main]

use libfuzzer_sys::fuzz_target;
use otel_runtime::fuzzing::grpc_timeout;

fuzz_target!(|bytes: &[u8]| grpc_timeout::check(bytes));
