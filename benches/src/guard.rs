//! The limit of costs: the committed baseline, and 3% more.
//!
//! The guard compares instructions that tracing adds to an RPC, without those of the allocator, and
//! allocations; and the bytes and allocations of a stream that is open. All are nearly the same in
//! each run; time and resident memory are not.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt::Write as _;
use std::path::Path;

use crate::measure::{Cost, Subject};
use crate::open_streams;
use crate::report::programs;
use crate::rpc::Shape;
use crate::sdk::Mode;
use crate::variant::Whose;
use crate::variants;

const BASELINE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/baseline.tsv");
/// The factor by which a number may grow.
const GROWTH: f64 = 1.03;
/// A difference that is noise: the SDK's hash maps are seeded at random.
const FEW_INSTRUCTIONS: f64 = 25.0;

/// Instructions, or the bytes of an open stream, and allocations, by the name of what they were
/// counted for.
type Costs = BTreeMap<String, (f64, f64)>;

/// Fails if a cost exceeds the baseline, or is not in it.
pub(crate) fn check(directory: &Path) -> Result<(), Box<dyn Error>> {
    let baseline = read(&std::fs::read_to_string(BASELINE)?)?;
    let now = measure(directory)?;
    let mut failed = 0;
    for (name, (instructions, allocations)) in &now {
        let Some((most_instructions, most_allocations)) = baseline.get(name) else {
            println!("{name}: not in the baseline");
            failed += 1;
            continue;
        };
        let is_more = |now: f64, before: f64, few: f64| now > (before * GROWTH).max(before + few);
        if is_more(*instructions, *most_instructions, FEW_INSTRUCTIONS) || is_more(*allocations, *most_allocations, 0.0)
        {
            failed += 1;
            println!(
                "{name}: {instructions:.0} and {allocations:.1} allocations; it was {most_instructions:.0} and {most_allocations:.1}"
            );
        }
    }
    if failed > 0 {
        return Err(format!(
            "{failed} of {} cost more than benches/baseline.tsv says. If that is on purpose: cargo xtask bench guard --update",
            now.len()
        )
        .into());
    }
    println!("{} costs are as benches/baseline.tsv says", now.len());
    Ok(())
}

/// Rewrites the baseline.
pub(crate) fn update(directory: &Path) -> Result<(), Box<dyn Error>> {
    let mut text = String::from(
        "# What tracing adds to an RPC: instructions without the allocator's, and allocations. And to an open stream: bytes, and allocations. Written by cargo xtask bench guard --update\n",
    );
    for (name, (instructions, allocations)) in measure(directory)? {
        writeln!(text, "{name}\t{instructions:.0}\t{allocations:.1}")?;
    }
    std::fs::write(BASELINE, text)?;
    println!("wrote {BASELINE}");
    Ok(())
}

fn read(text: &str) -> Result<Costs, Box<dyn Error>> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let costs = lines.map(|line| {
        let [name, instructions, allocations] = line.split('\t').collect::<Vec<_>>()[..] else {
            return Err(format!("three columns are expected: {line}").into());
        };
        Ok((name.to_owned(), (instructions.parse()?, allocations.parse()?)))
    });
    costs.collect()
}

fn measure(directory: &Path) -> Result<Costs, Box<dyn Error>> {
    let guarded = [
        (Shape::Unary, Mode::Sampled),
        (Shape::Unary, Mode::NotSampled),
        (Shape::Unary, Mode::MetricsOnly),
        (Shape::Unary, Mode::NoSdk),
        (Shape::Unary, Mode::SetUp),
        (Shape::Stream, Mode::Sampled),
        (Shape::Stream, Mode::NoSdk),
        (Shape::Error, Mode::Sampled),
    ];
    let variants = variants::all();
    let mut costs = memory(&directory.join("unbound"))?;
    for (program, is_bound) in programs(directory) {
        for (shape, mode) in guarded {
            let count = |variant| {
                Subject {
                    program: &program,
                    variant,
                    mode,
                    shape,
                }
                .count()
            };
            let mut bases: BTreeMap<&str, Cost> = BTreeMap::new();
            for variant in variants.iter().filter(|variant| variant.whose == Whose::Ours) {
                if !bases.contains_key(variant.base) {
                    bases.insert(variant.base, count(variant.base)?);
                }
                let (cost, base) = (count(variant.name)?, &bases[variant.base]);
                // A variant that records nothing must not pass as cheap.
                let recorded = (
                    f64::from(u8::from(mode.has_sampled_spans())),
                    f64::from(u8::from(mode.has_metrics())),
                );
                if (cost.spans, cost.durations) != recorded {
                    return Err(format!("{}, {shape}, {mode}: {cost:?} of a span and a duration", variant.name).into());
                }
                let bound = if is_bound { ", bound" } else { "" };
                costs.insert(
                    format!("{}{bound}, {shape}, {mode}", variant.name),
                    (
                        cost.instructions_without_allocator - base.instructions_without_allocator,
                        cost.allocations - base.allocations,
                    ),
                );
            }
        }
    }
    Ok(costs)
}

/// Measures streams that are open.
fn memory(program: &Path) -> Result<Costs, Box<dyn Error>> {
    let mut costs = Costs::new();
    for row in open_streams::table(program)? {
        costs.insert(row.name(), (row.memory.bytes, row.memory.allocations));
    }
    Ok(costs)
}
