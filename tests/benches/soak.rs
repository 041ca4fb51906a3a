//! A soak test with fault injection, for half an hour or `SOAK_MINUTES`, at least 3.
//!
//! Run it with `cargo bench -p integration-tests --bench soak`. It uses a quarter of a core, or
//! `SOAK_CPU` percent of one, and ends after `SOAK_RPCS` at the latest.
//!
//! Each round is a round of `tests/faults/injected.rs` with another seed. The least memory between
//! two rounds is printed every minute: what has been allocated and not freed, and what is resident.
//! In the last third, at most 1 % more may be allocated than in the second, and 5 % more may be
//! resident. In the first third, caches fill, and the first RPC of each method and outcome creates
//! its time series: their number must stay the same afterwards.
//!
//! `SOAK_LEAK=64` leaks that many bytes per RPC, to see the assertion fail.

use std::alloc::System;
use std::thread;
use std::time::{Duration, Instant};

use cap::Cap;
use integration_tests::counted::number_from_env;
use integration_tests::faults::{Export, Round, RoundTelemetry};
use integration_tests::panics::quiet;

#[global_allocator]
static ALLOCATED: Cap<System> = Cap::new(System, usize::MAX);

/// The memory between two rounds, in KiB.
#[derive(Clone, Copy, Debug)]
struct Memory {
    allocated: u64,
    resident: u64,
}

/// The state at the end of a minute.
#[derive(Clone, Copy, Debug)]
struct Minute {
    /// The least memory between two rounds of the minute.
    memory: Memory,
    /// The number of time series of all instruments.
    series: usize,
}

impl Memory {
    fn now() -> Self {
        Memory {
            allocated: ALLOCATED.allocated() as u64 >> 10,
            resident: resident_kib(),
        }
    }

    fn least(self, other: Self) -> Self {
        Memory {
            allocated: self.allocated.min(other.allocated),
            resident: self.resident.min(other.resident),
        }
    }
}

fn main() {
    quiet();
    // Three parts are compared.
    let minutes = number_from_env("SOAK_MINUTES", 30).max(3);
    let first = number_from_env("FAULTS_SEED", 1);
    let rpcs = number_from_env("SOAK_RPCS", u64::MAX);
    let percent = u32::try_from(number_from_env("SOAK_CPU", 25)).unwrap();
    let leak = usize::try_from(number_from_env("SOAK_LEAK", 0)).unwrap();
    let export = Export::default();
    let telemetry = RoundTelemetry::new(export.processor());
    let (begun, mut least) = (Instant::now(), None);
    let mut minutes_done = Vec::<Minute>::new();
    println!("minute   rounds     spans   series  allocated KiB   resident KiB");
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
        for _ in 0..round.callers * round.rpcs {
            std::mem::forget(vec![0_u8; leak]);
        }
        // Limit the CPU time to this part of the elapsed time.
        thread::sleep((cpu_time() * 100 / percent).saturating_sub(begun.elapsed()));
        let now = Memory::now();
        least = Some(least.map_or(now, |least: Memory| least.least(now)));
        if begun.elapsed().as_secs() / 60 > minutes_done.len() as u64 {
            let minute = Minute {
                memory: least.take().unwrap(),
                series: telemetry.series().into_values().sum(),
            };
            minutes_done.push(minute);
            let Memory { allocated, resident } = minute.memory;
            println!(
                "{:6} {:8} {:9} {:8} {allocated:14} {resident:14}",
                minutes_done.len(),
                seed - first + 1,
                telemetry.spans(),
                minute.series,
            );
        }
        let made = (seed - first + 1) * round.callers * round.rpcs;
        if minutes_done.len() as u64 >= minutes || (made >= rpcs && minutes_done.len() >= 3) {
            println!("{made} RPCs, {} spans", telemetry.spans());
            break;
        }
    }
    assert_no_growth(&minutes_done);
}

/// Asserts that the last third of the minutes does not take more memory than the second.
fn assert_no_growth(minutes: &[Minute]) {
    let third = minutes.len() / 3;
    let (warm, last) = minutes[third..].split_at(minutes.len() - 2 * third);
    let least_of = |part: &[Minute]| part.iter().map(|minute| minute.memory).reduce(Memory::least).unwrap();
    let (second, end) = (least_of(warm), least_of(last));
    println!("in the second third at least {second:?}, in the last {end:?}");
    let series = minutes[third - 1].series;
    assert!(minutes[third..].iter().all(|minute| minute.series == series));
    assert!(end.allocated <= second.allocated + second.allocated / 100);
    assert!(end.resident <= second.resident + second.resident / 20);
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
