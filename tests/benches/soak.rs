//! Whatever can go wrong, for half an hour: `cargo bench -p integration-tests --bench soak`, or for
//! `SOAK_MINUTES=2`. It takes a quarter of a core.
//!
//! Each round is one of `tests/tests/faults.rs`, of another seed. Each minute it prints how much
//! memory the process has; what it has at the end is no more than after the first third.

use std::thread;
use std::time::{Duration, Instant};

use integration_tests::counted::number_from_env;
use integration_tests::faults::{Export, Round, RoundTelemetry, quiet};

fn main() {
    quiet();
    let minutes = number_from_env("SOAK_MINUTES", 30);
    let first = number_from_env("FAULTS_SEED", 1);
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
        // Nothing is kept for longer than a round.
        export.behave(seed);
        let _ = export.arrived();
        assert_eq!(round.run_checked(&telemetry), round.unrecorded(), "{round:?}");
        // The processor's time is a quarter of the clock's.
        thread::sleep((cpu_time() * 4).saturating_sub(begun.elapsed()));
        while begun.elapsed().as_secs() / 60 > resident.len() as u64 {
            resident.push(resident_kib());
            let (minute, rounds) = (resident.len(), seed - first + 1);
            println!("{minute:6} {rounds:8} {:9} {:14}", telemetry.spans(), resident_kib());
        }
        if resident.len() as u64 >= minutes {
            break;
        }
    }
    let (third, end) = (resident[(resident.len() - 1) / 3], resident[resident.len() - 1]);
    // Memory that the allocator keeps for later varies.
    assert!(
        end < third + third / 20,
        "{third} KiB after a third, {end} KiB at the end"
    );
    println!("{third} KiB after a third, {end} KiB at the end");
}

/// Sums over all threads.
fn cpu_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    // The name, in brackets, may have spaces. Behind it, utime and stime are the 12th and 13th, in
    // hundredths of a second.
    let numbers = stat.rsplit(')').next().unwrap().split_whitespace().skip(11).take(2);
    let hundredths: u64 = numbers.map(|number| number.parse::<u64>().unwrap()).sum();
    Duration::from_millis(hundredths * 10)
}

fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.unwrap().trim().trim_end_matches(" kB").parse().unwrap()
}
