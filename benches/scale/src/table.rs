//! The measurements in their order, and their medians.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::load::{Answers, Processors, Server};
use crate::sdk::Mode;
use crate::variants::Variant;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// The amount of measurements.
pub(crate) struct Extent {
    pub(crate) rounds: usize,
    pub(crate) seconds: f64,
    pub(crate) streams: &'static [usize],
}

pub(crate) const PROCESSORS: [usize; 2] = [1, 2];
pub(crate) const FULL: Extent = Extent {
    rounds: 5,
    seconds: 2.0,
    streams: &[1, 8, 64, 512],
};
/// The amount for a trial, whose numbers mean little.
pub(crate) const QUICK: Extent = Extent {
    rounds: 1,
    seconds: 1.0,
    streams: &[8, 512],
};

/// A variant in one of the two programs.
#[derive(Clone, Debug)]
pub(crate) struct Subject {
    pub(crate) program: PathBuf,
    pub(crate) variant: Variant,
    pub(crate) is_bound: bool,
}

impl Subject {
    pub(crate) fn name(&self) -> String {
        let bound = if self.is_bound { ", bound" } else { "" };
        format!("{}{bound}", self.variant)
    }
}

/// Returns all subjects, the bare one first.
pub(crate) fn subjects(directory: &Path) -> Vec<Subject> {
    let mut subjects = Vec::new();
    for variant in Variant::ALL {
        for (program, is_bound) in [("unbound", false), ("bound", true)] {
            if !is_bound || variant.can_be_bound() {
                subjects.push(Subject {
                    program: directory.join(program),
                    variant,
                    is_bound,
                });
            }
        }
    }
    subjects
}

/// The cost of a server under a load, beside the bare one in the same round.
pub(crate) struct Row {
    pub(crate) subject: Subject,
    pub(crate) processors: usize,
    pub(crate) streams: usize,
    pub(crate) rate: f64,
    pub(crate) answers: Answers,
    pub(crate) rate_ratio: f64,
    pub(crate) p50_ratio: f64,
    pub(crate) p99_ratio: f64,
    /// Latency in microseconds.
    pub(crate) processor_added: f64,
}

/// Measures servers in turns, so that other load of the machine affects all of them.
pub(crate) fn servers(directory: &Path, extent: &Extent) -> Result<Vec<Row>> {
    let mut subjects = subjects(directory);
    subjects.retain(|subject| subject.variant != Variant::Sdk);
    let mut rows = Vec::new();
    for processors in PROCESSORS {
        let pinned = Processors::of_server(processors)?;
        for &streams in extent.streams {
            eprintln!("{processors} processors, {streams} streams");
            let mut rounds = Vec::new();
            for _ in 0..extent.rounds {
                let round: Result<Vec<_>> = subjects
                    .iter()
                    .map(|subject| {
                        let server = Server::start(&subject.program, subject.variant, &pinned)?;
                        server.load(subject.variant, streams, extent.seconds, directory)
                    })
                    .collect();
                rounds.push(round?);
            }
            for (index, subject) in subjects.iter().enumerate() {
                rows.push(row(subject, processors, streams, &rounds, index));
            }
        }
    }
    Ok(rows)
}

fn row(subject: &Subject, processors: usize, streams: usize, rounds: &[Vec<Answers>], index: usize) -> Row {
    let of = |ask: &dyn Fn(&Answers) -> f64| median(rounds.iter().map(|round| ask(&round[index])));
    // The first of each round is the bare one, to which the others are related.
    let ratio = |ask: &dyn Fn(&Answers) -> f64| median(rounds.iter().map(|round| ask(&round[index]) / ask(&round[0])));
    let rate = |answers: &Answers| answers.rpcs / answers.seconds;
    let added = rounds.iter().map(|round| round[index].processor - round[0].processor);
    Row {
        subject: subject.clone(),
        processors,
        streams,
        rate: of(&rate),
        answers: Answers {
            rpcs: of(&|answers| answers.rpcs),
            seconds: of(&|answers| answers.seconds),
            p50: of(&|answers| answers.p50),
            p99: of(&|answers| answers.p99),
            processor: of(&|answers| answers.processor),
            spans: of(&|answers| answers.spans),
        },
        rate_ratio: ratio(&rate),
        p50_ratio: ratio(&|answers| answers.p50),
        p99_ratio: ratio(&|answers| answers.p99),
        processor_added: median(added),
    }
}

/// The cost of an RPC with one thread, and with two.
pub(crate) struct Threads {
    pub(crate) subject: Subject,
    pub(crate) mode: Mode,
    /// Nanoseconds of processor time, with one thread and with two.
    pub(crate) processor: [f64; 2],
    /// Nanoseconds by the clock, with one thread and with two.
    pub(crate) wall: [f64; 2],
    /// Waits of one of two threads, in 1,000 RPCs.
    pub(crate) waits: f64,
    /// Instructions of an RPC with exclusive access to a cache line: locks, atomics, counts of an
    /// `Arc`.
    pub(crate) locked: f64,
}

pub(crate) fn threads(directory: &Path, extent: &Extent) -> Result<Vec<Threads>> {
    let mut all = Vec::new();
    for mode in Mode::ALL {
        for subject in subjects(directory) {
            let is_needed = match subject.variant {
                Variant::Bare => mode == Mode::NoSdk,
                Variant::Sdk => mode != Mode::NoSdk,
                _ => !subject.is_bound || mode != Mode::NoSdk,
            };
            if is_needed {
                all.push((subject, mode));
            }
        }
    }
    eprintln!("threads");
    let mut samples = vec![[Vec::new(), Vec::new()]; all.len()];
    for _ in 0..extent.rounds {
        for ((subject, mode), samples) in all.iter().zip(&mut samples) {
            for (index, samples) in samples.iter_mut().enumerate() {
                samples.push(sample(subject, *mode, index + 1)?);
            }
        }
    }
    let mut rows = Vec::new();
    for ((subject, mode), samples) in all.into_iter().zip(&samples) {
        let of = |index: usize, which: usize| median(samples[index].iter().map(|sample| sample[which]));
        rows.push(Threads {
            locked: locked(&subject, mode, directory)?,
            subject,
            mode,
            wall: [of(0, 0), of(1, 0)],
            processor: [of(0, 1), of(1, 1)],
            waits: of(1, 2),
        });
    }
    Ok(rows)
}

fn sample(subject: &Subject, mode: Mode, count: usize) -> Result<[f64; 4]> {
    numbers(Command::new(&subject.program), subject, mode, count)
}

/// Returns exact counts of callgrind.
fn locked(subject: &Subject, mode: Mode, directory: &Path) -> Result<f64> {
    let profile = directory.join("threads.callgrind");
    let mut command = Command::new("valgrind");
    command.args(["--tool=callgrind", "--collect-bus=yes", "--collect-atstart=no"]);
    command.arg("--toggle-collect=*threads::rpc*");
    command.arg(format!("--callgrind-out-file={}", profile.display()));
    command.arg(&subject.program);
    let [.., rpcs] = numbers(command, subject, mode, 1)?;
    // Instructions, and those with exclusive access.
    let profile = std::fs::read_to_string(profile)?;
    let totals = profile.lines().find_map(|line| line.strip_prefix("totals: "));
    let locked: f64 = totals
        .and_then(|totals| totals.split(' ').nth(1))
        .ok_or("no totals")?
        .parse()?;
    Ok(locked / rpcs)
}

fn numbers(mut command: Command, subject: &Subject, mode: Mode, count: usize) -> Result<[f64; 4]> {
    let output = command
        .args(["threads", subject.variant.name(), mode.name()])
        .arg(count.to_string())
        .output()?;
    let text = String::from_utf8(output.stdout)?;
    let numbers: Vec<f64> = text
        .split_whitespace()
        .filter_map(|number| number.parse().ok())
        .collect();
    numbers
        .try_into()
        .map_err(|_| String::from_utf8_lossy(&output.stderr).into_owned().into())
}

fn median(all: impl Iterator<Item = f64>) -> f64 {
    let mut all: Vec<f64> = all.collect();
    all.sort_by(f64::total_cmp);
    match all.len() {
        0 => f64::NAN,
        length if length % 2 == 1 => all[length / 2],
        length => f64::midpoint(all[length / 2 - 1], all[length / 2]),
    }
}
