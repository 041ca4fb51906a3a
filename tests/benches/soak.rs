//! A soak test with fault injection, for half an hour or `SOAK_MINUTES`.
//!
//! Run it with `cargo bench -p integration-tests --bench soak`. It uses a quarter of a core, or
//! `SOAK_CPU` percent of one, and ends after `SOAK_RPCS` at the latest.
//!
//! Each round is a round of `tests/faults/injected.rs` with another seed. The resident memory is
//! printed every minute. At the end, it must be at most 5 % more than after the first third.

use std::thread;
use std::time::{Duration, Instant};

use integration_tests::counted::number_from_env;
use integration_tests::faults::{Export, Round, RoundTelemetry};
use integration_tests::panics::quiet;

fn main() {
    quiet();
    let minutes = number_from_env("SOAK_MINUTES", 30);
    let first = number_from_env("FAULTS_SEED", 1);
    let rpcs = number_from_env("SOAK_RPCS", u64::MAX);
    let percent = u32::try_from(number_from_env("SOAK_CPU", 25)).unwrap();
    let export = Export::default();
    let telemetry = RoundTelemetry::new(export.processor());
    let (begun, mut resident) = (Instant::now(), Vec::new());
    println!("minute   rounds     spans   resident KiB");
    for seed in first.. {
        let round = Round {
            seed,
            callers: 8,
            rpcs: 50,
        };
        // Discard the received spans, so that memory does not grow with the rounds.
        export.behave(seed);
        let _ = export.arrived();
        assert_eq!(round.run_checked(&telemetry), round.unrecorded(), "{round:?}");
        // Limit the CPU time to this part of the elapsed time.
        thread::sleep((cpu_time() * 100 / percent).saturating_sub(begun.elapsed()));
        while begun.elapsed().as_secs() / 60 > resident.len() as u64 {
            resident.push(resident_kib());
            let (minute, rounds) = (resident.len(), seed - first + 1);
            println!("{minute:6} {rounds:8} {:9} {:14}", telemetry.spans(), resident_kib());
        }
        let made = (seed - first + 1) * round.callers * round.rpcs;
        if resident.len() as u64 >= minutes || (made >= rpcs && !resident.is_empty()) {
            println!("{made} RPCs, {} spans", telemetry.spans());
            break;
        }
    }
    let (third, end) = (resident[(resident.len() - 1) / 3], resident[resident.len() - 1]);
    // Tolerate the variation of memory that the allocator retains.
    assert!(
        end < third + third / 20,
        "{third} KiB after a third, {end} KiB at the end"
    );
    println!("{third} KiB after a third, {end} KiB at the end");
}

/// Returns the CPU time of all threads of the process.
fn cpu_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    // The process name, in parentheses, may contain spaces. After it, utime and stime are the 12th
    // and 13th fields, in hundredths of a second.
    let numbers = stat.rsplit(')').next().unwrap().split_whitespace().skip(11).take(2);
    let hundredths: u64 = numbers.map(|number| number.parse::<u64>().unwrap()).sum();
    Duration::from_millis(hundredths * 10)
}

fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.unwrap().trim().trim_end_matches(" kB").parse().unwrap()
}
