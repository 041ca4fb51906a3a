//! The table of all variants.

use std::error::Error;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use serde_json::json;

use crate::chart;
use crate::growth;
use crate::measure::{self, Cost, Subject};
use crate::open_streams::{self, Memory};
use crate::row::Row;
use crate::rpc::Shape;
use crate::sdk::Mode;
use crate::variant::{Variant, Whose};
use crate::variants;

/// Returns the program without bound instruments, and the one with them.
pub(crate) fn programs(directory: &Path) -> [(PathBuf, bool); 2] {
    [(directory.join("unbound"), false), (directory.join("bound"), true)]
}

/// Measures all variants, and writes `table.txt`, `table.json` and `chart.svg` beside the programs.
pub(crate) fn table(directory: &Path) -> Result<(), Box<dyn Error>> {
    let variants = variants::all();
    let mut text = String::from(HEAD);
    let mut rows = Vec::new();
    for shape in Shape::ALL {
        for mode in Mode::TABLE {
            eprintln!("{shape}, {mode}");
            let group = group(directory, &variants, mode, shape)?;
            write_group(&mut text, &group)?;
            rows.extend(group);
        }
    }
    write_open_streams(&mut text, directory)?;
    write!(text, "\n{}", growth::table(&directory.join("bound"))?)?;
    text.push_str(&notes(&variants));
    std::fs::write(directory.join("table.txt"), &text)?;
    std::fs::write(
        directory.join("table.json"),
        serde_json::to_string_pretty(&as_json(&rows))?,
    )?;
    std::fs::write(directory.join("chart.svg"), chart::draw(&rows))?;
    print!("{text}");
    Ok(())
}

/// Measures all variants in one mode and shape.
fn group<'a>(
    directory: &Path,
    variants: &'a [Variant],
    mode: Mode,
    shape: Shape,
) -> Result<Vec<Row<'a>>, Box<dyn Error>> {
    let programs = programs(directory);
    let mut subjects = Vec::new();
    for variant in variants {
        for (program, is_bound) in &programs {
            if !is_bound || (variant.can_be_bound && mode.has_metrics()) {
                let subject = Subject {
                    program,
                    variant: variant.name,
                    mode,
                    shape,
                };
                subjects.push((subject, variant, *is_bound));
            }
        }
    }
    let alone: Vec<_> = subjects.iter().map(|(subject, ..)| subject.clone()).collect();
    let times = measure::time(&alone)?;
    let mut costs = Vec::new();
    for (subject, nanoseconds) in alone.iter().zip(times) {
        costs.push(Cost {
            nanoseconds,
            ..subject.count()?
        });
    }
    let base = |of: &Variant, in_bound: bool| {
        let is_it = |(_, variant, is_bound): &(_, &Variant, bool)| variant.name == of.base && *is_bound == in_bound;
        subjects.iter().position(is_it)
    };
    let mut rows = Vec::new();
    for ((_, variant, is_bound), cost) in subjects.iter().zip(&costs) {
        if *is_bound && variant.whose == Whose::Nobodys {
            continue;
        }
        let base = base(variant, *is_bound).ok_or("a variant without a base")?;
        rows.push(Row {
            variant,
            is_bound: *is_bound,
            mode,
            shape,
            cost: cost.clone(),
            base: costs[base].clone(),
        });
    }
    Ok(rows)
}

const HEAD: &str = "\
What tracing adds to one RPC: instructions (with those of the allocator, and without), allocations, their bytes.
Time is the median of the RPC's as a ratio to that of the bare one. Spans and durations are those recorded for each RPC.
";

fn write_group(text: &mut String, rows: &[Row<'_>]) -> std::fmt::Result {
    let Some(Row { mode, shape, .. }) = rows.first() else {
        return Ok(());
    };
    writeln!(
        text,
        "\n{:46} {:>12} {:>12} {:>7} {:>7} {:>6} {:>5} {:>9}",
        format!("{shape}, {mode}"),
        "instructions",
        "no allocator",
        "allocs",
        "bytes",
        "time",
        "spans",
        "durations"
    )?;
    for row in rows {
        let is_base = row.variant.whose == Whose::Nobodys;
        let nothing = Cost::default();
        let base = if is_base { &nothing } else { &row.base };
        writeln!(
            text,
            "{:46} {:>12.0} {:>12.0} {:>7.1} {:>7.0} {:>6.2} {:>5.1} {:>9.1}{}",
            row.name(),
            row.cost.instructions - base.instructions,
            row.cost.instructions_without_allocator - base.instructions_without_allocator,
            row.cost.allocations - base.allocations,
            row.cost.bytes - base.bytes,
            row.cost.nanoseconds / row.base.nanoseconds,
            row.cost.spans,
            row.cost.durations,
            if is_base { "  (all of it)" } else { "" }
        )?;
    }
    Ok(())
}

fn write_open_streams(text: &mut String, directory: &Path) -> Result<(), Box<dyn Error>> {
    let head = "memory of a stream that is open";
    writeln!(text, "\n{head:66} {:>7} {:>7} {:>9}", "bytes", "allocs", "resident")?;
    for row in open_streams::table(&directory.join("unbound"))? {
        let Memory {
            allocations,
            bytes,
            resident,
        } = row.memory;
        writeln!(
            text,
            "{:66} {bytes:>7.0} {allocations:>7.1} {resident:>9.0}",
            row.name()
        )?;
    }
    Ok(())
}

fn notes(variants: &[Variant]) -> String {
    let mut text = String::from("\nWhat they do not do:\n");
    for variant in variants.iter().filter(|variant| !variant.lacks.is_empty()) {
        let _ = writeln!(text, "  {}: {}", variant.name, variant.lacks);
    }
    text
}

fn as_json(rows: &[Row<'_>]) -> serde_json::Value {
    let rows = rows.iter().map(|row| {
        json!({
            "variant": row.variant.name,
            "bound": row.is_bound,
            "compared_with": row.variant.base,
            "mode": row.mode.name(),
            "shape": row.shape.name(),
            "instructions": row.cost.instructions,
            "instructions_added": row.instructions(),
            "instructions_added_without_allocator": row.instructions_without_allocator(),
            "allocations": row.cost.allocations,
            "allocations_added": row.allocations(),
            "bytes_added": row.cost.bytes - row.base.bytes,
            "nanoseconds": row.cost.nanoseconds,
            "time_ratio": row.cost.nanoseconds / row.base.nanoseconds,
            "spans": row.cost.spans,
            "durations": row.cost.durations,
            "does_not": row.variant.lacks,
        })
    });
    rows.collect()
}
