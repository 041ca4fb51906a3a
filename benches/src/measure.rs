//! A measurement in a process of its own, and the process that asks for it.

use std::error::Error;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Instant;

use counting::{allocations, callgrind};

use crate::rpc::{Rpc, Shape};
use crate::sdk::{self, Mode};
use crate::variant::{Variant, Whose};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// RPCs before the measurement, which initialize everything that is made once.
const WARM_UP: u64 = 200;
/// RPCs whose allocations and instructions are counted.
pub(crate) const COUNTED: u64 = 200;
const ROUNDS: usize = 41;
/// The length of a round.
const ROUND_NANOSECONDS: u64 = 2_000_000;

/// The cost of an RPC.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cost {
    pub(crate) instructions: f64,
    /// Instructions without those of the allocator.
    pub(crate) instructions_without_allocator: f64,
    pub(crate) allocations: f64,
    pub(crate) bytes: f64,
    pub(crate) nanoseconds: f64,
    /// Spans that have ended, for one RPC.
    pub(crate) spans: f64,
    /// Durations that have been recorded, for one RPC.
    pub(crate) durations: f64,
}

/// The subject of a measurement.
#[derive(Clone, Debug)]
pub(crate) struct Subject<'a> {
    pub(crate) program: &'a Path,
    pub(crate) variant: &'a str,
    pub(crate) mode: Mode,
    pub(crate) shape: Shape,
}

impl Subject<'_> {
    fn arguments(&self, how: &str) -> [String; 5] {
        [
            "one".to_owned(),
            self.variant.to_owned(),
            self.mode.to_string(),
            self.shape.to_string(),
            how.to_owned(),
        ]
    }

    /// Counts everything but time.
    pub(crate) fn count(&self) -> Result<Cost> {
        let output = Command::new(self.program).args(self.arguments("count")).output()?;
        if !output.status.success() {
            return Err(format!("{self:?}: {}", String::from_utf8_lossy(&output.stderr)).into());
        }
        let counts: Vec<f64> = String::from_utf8(output.stdout)?
            .split_whitespace()
            .map(str::parse)
            .collect::<std::result::Result<_, _>>()?;
        let [allocations, bytes, spans, durations] = counts[..] else {
            return Err("four numbers are expected".into());
        };
        let (all, without_allocator) =
            callgrind::instructions(self.program, &self.arguments("callgrind"), "measure::measured")?;
        #[allow(clippy::cast_precision_loss)]
        let one = |counted: u64| counted as f64 / COUNTED as f64;
        Ok(Cost {
            instructions: one(all),
            instructions_without_allocator: one(without_allocator),
            allocations,
            bytes,
            nanoseconds: 0.0,
            spans,
            durations,
        })
    }
}

/// Runs the process of one measurement.
pub(crate) fn one(
    mut variants: impl Iterator<Item = Variant>,
    variant: &str,
    mode: Mode,
    shape: Shape,
    how: &str,
) -> Result<()> {
    let found = variants.find(|known| known.name == variant);
    let variant = found.ok_or_else(|| format!("no variant {variant}"))?;
    let installed = sdk::install(mode, variant.whose == Whose::Ours);
    let mut rpc = (variant.make)(mode, shape);
    unmeasured(&mut rpc, WARM_UP);
    match how {
        "callgrind" => measured(&mut rpc, COUNTED),
        "count" => {
            let before = allocations::so_far();
            measured(&mut rpc, COUNTED);
            let after = allocations::so_far();
            let (spans, durations) = installed.recorded();
            #[allow(clippy::cast_precision_loss)]
            let one = |counted: u64, of: u64| counted as f64 / of as f64;
            println!(
                "{} {} {} {}",
                one(after.0 - before.0, COUNTED),
                one(after.1 - before.1, COUNTED),
                one(spans, WARM_UP + COUNTED),
                one(durations, WARM_UP + COUNTED),
            );
        }
        "time" => {
            for line in std::io::stdin().lines() {
                let count: u64 = line?.parse()?;
                let start = Instant::now();
                measured(&mut rpc, count);
                println!("{}", start.elapsed().as_nanos());
            }
        }
        _ => return Err(format!("how is {how}?").into()),
    }
    Ok(())
}

/// The function in which callgrind counts.
#[inline(never)]
fn measured(rpc: &mut Rpc, count: u64) {
    for _ in 0..count {
        rpc();
    }
}

#[inline(never)]
fn unmeasured(rpc: &mut Rpc, count: u64) {
    for _ in 0..count {
        rpc();
    }
}

/// The process of a subject, which waits for the number of RPCs to run.
struct Waiting {
    child: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
}

impl Waiting {
    fn start(subject: &Subject<'_>) -> Result<Self> {
        let mut child = Command::new(subject.program)
            .args(subject.arguments("time"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let to = child.stdin.take().ok_or("no stdin")?;
        let from = BufReader::new(child.stdout.take().ok_or("no stdout")?);
        Ok(Waiting { child, to, from })
    }

    /// Returns the nanoseconds of that many RPCs.
    fn run(&mut self, count: u64) -> Result<u64> {
        writeln!(self.to, "{count}")?;
        self.to.flush()?;
        let mut line = String::new();
        self.from.read_line(&mut line)?;
        Ok(line.trim().parse()?)
    }
}

/// Returns the median nanoseconds of an RPC of each subject.
///
/// The subjects take turns, so that other load of the machine affects all of them.
pub(crate) fn time(subjects: &[Subject<'_>]) -> Result<Vec<f64>> {
    let mut all = subjects.iter().map(Waiting::start).collect::<Result<Vec<_>>>()?;
    let mut counts = Vec::new();
    for waiting in &mut all {
        waiting.run(500)?;
        let one = (waiting.run(500)? / 500).max(1);
        counts.push((ROUND_NANOSECONDS / one).max(1));
    }
    let mut times = vec![Vec::new(); all.len()];
    for _ in 0..ROUNDS {
        for ((waiting, count), times) in all.iter_mut().zip(&counts).zip(&mut times) {
            #[allow(clippy::cast_precision_loss)]
            times.push(waiting.run(*count)? as f64 / *count as f64);
        }
    }
    for waiting in all {
        let Waiting { mut child, to, from } = waiting;
        drop((to, from));
        child.wait()?;
    }
    for times in &mut times {
        times.sort_by(f64::total_cmp);
    }
    Ok(times.iter().map(|times| times[times.len() / 2]).collect())
}
