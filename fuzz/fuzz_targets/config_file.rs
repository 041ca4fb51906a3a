#![no_main]

use libfuzzer_sys::fuzz_target;
use otel_setup::fuzzing::config_file;

fuzz_target!(|bytes: &[u8]| config_file::check(bytes));
