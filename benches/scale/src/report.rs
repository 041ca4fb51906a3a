//! The tables: as text, as JSON, and in Markdown for `docs/scale.md`.

use std::error::Error;
use std::fmt::Write as _;
use std::path::Path;

use serde_json::json;

use crate::sdk::Mode;
use crate::table::{self, Extent, PROCESSORS, Row, Subject, Threads};

/// Measures all variants, and writes `scale.txt`, `scale.json` and `scale.md` beside the programs.
pub(crate) fn all(directory: &Path, extent: &Extent) -> Result<(), Box<dyn Error>> {
    let servers = table::servers(directory, extent)?;
    let threads = table::threads(directory, extent)?;
    let text = format!("{}\n{}", servers_as_text(&servers)?, threads_as_text(&threads)?);
    let markdown = format!(
        "{}\n{}",
        servers_as_markdown(&servers, extent)?,
        threads_as_markdown(&threads)?
    );
    let json = json!({ "servers": servers_as_json(&servers), "threads": threads_as_json(&threads) });
    std::fs::write(directory.join("scale.txt"), &text)?;
    std::fs::write(directory.join("scale.json"), serde_json::to_string_pretty(&json)?)?;
    std::fs::write(directory.join("scale.md"), &markdown)?;
    println!("{text}\n{markdown}");
    Ok(())
}

fn servers_as_text(rows: &[Row]) -> Result<String, std::fmt::Error> {
    let mut text = String::from(
        "A server under load. Rate, p50, p99 are ratios to the bare server's of the same round; spans are those exported, of an RPC.\n\n",
    );
    writeln!(
        text,
        "{:>5} {:>7}  {:44} {:>8} {:>6} {:>8} {:>6} {:>8} {:>6} {:>7} {:>7} {:>6}",
        "cores", "streams", "", "RPC/s", "ratio", "p50 µs", "ratio", "p99 µs", "ratio", "CPU µs", "added", "spans"
    )?;
    for row in rows {
        writeln!(
            text,
            "{:>5} {:>7}  {:44} {:>8.0} {:>6.2} {:>8.0} {:>6.2} {:>8.0} {:>6.2} {:>7.2} {:>7.2} {:>6.2}",
            row.processors,
            row.streams,
            row.subject.name(),
            row.rate,
            row.rate_ratio,
            row.answers.p50,
            row.p50_ratio,
            row.answers.p99,
            row.p99_ratio,
            row.answers.processor,
            row.processor_added,
            row.answers.spans,
        )?;
    }
    Ok(text)
}

/// Returns a table for each number of processors, of variants by numbers of streams.
fn servers_as_markdown(rows: &[Row], extent: &Extent) -> Result<String, std::fmt::Error> {
    let mut text = String::new();
    for processors in PROCESSORS {
        let cores = if processors == 1 { "one core" } else { "two cores" };
        write!(text, "| {cores} |")?;
        for streams in extent.streams {
            write!(text, " {streams} |")?;
        }
        writeln!(text, "\n|---|{}", "---|".repeat(extent.streams.len()))?;
        let rows: Vec<_> = rows.iter().filter(|row| row.processors == processors).collect();
        let of_first = rows.iter().filter(|row| row.streams == extent.streams[0]);
        for name in of_first.map(|row| row.subject.name()) {
            write!(text, "| {name} |")?;
            for row in rows.iter().filter(|row| row.subject.name() == name) {
                if row.subject.variant.is_traced() {
                    let (rate, p50, p99) = (row.rate_ratio, row.p50_ratio, row.p99_ratio);
                    write!(text, " {rate:.2}, {p50:.2}, {p99:.2}, {:+.1} µs |", row.processor_added)?;
                } else {
                    let (p50, p99) = (row.answers.p50, row.answers.p99);
                    write!(
                        text,
                        " {:.0}/s, {p50:.0} µs, {p99:.0} µs, {:.1} µs |",
                        row.rate, row.answers.processor
                    )?;
                }
            }
            text.push('\n');
        }
        text.push('\n');
    }
    Ok(text)
}

fn servers_as_json(rows: &[Row]) -> serde_json::Value {
    let rows = rows.iter().map(|row| {
        json!({
            "variant": row.subject.variant.name(),
            "bound": row.subject.is_bound,
            "cores": row.processors,
            "streams": row.streams,
            "rpcs_per_second": row.rate,
            "throughput_ratio": row.rate_ratio,
            "p50_microseconds": row.answers.p50,
            "p50_ratio": row.p50_ratio,
            "p99_microseconds": row.answers.p99,
            "p99_ratio": row.p99_ratio,
            "cpu_microseconds": row.answers.processor,
            "cpu_microseconds_added": row.processor_added,
            "spans_exported": row.answers.spans,
        })
    });
    rows.collect()
}

fn ratio([one, two]: [f64; 2]) -> f64 {
    two / one
}

fn threads_as_text(rows: &[Threads]) -> Result<String, std::fmt::Error> {
    let mut text = String::from(
        "The same without a socket, on one thread and on two: nanoseconds of the processor for an RPC, and by the clock; waits are those of a thread in 1,000 RPCs, of two threads; locked are the instructions of an RPC that have a cache line to themselves (locks, atomic counters, the counts of an `Arc`).\n\n",
    );
    writeln!(
        text,
        "{:28} {:44} {:>6} {:>6} {:>6} {:>6} {:>6} {:>6} {:>6} {:>6}",
        "", "", "CPU 1", "CPU 2", "ratio", "wall 1", "wall 2", "ratio", "waits", "locked"
    )?;
    for row in rows {
        writeln!(
            text,
            "{:28} {:44} {:>6.0} {:>6.0} {:>6.2} {:>6.0} {:>6.0} {:>6.2} {:>6.2} {:>6.1}",
            row.mode,
            row.subject.name(),
            row.processor[0],
            row.processor[1],
            ratio(row.processor),
            row.wall[0],
            row.wall[1],
            ratio(row.wall),
            row.waits,
            row.locked,
        )?;
    }
    Ok(text)
}

/// Returns a table of variants by modes.
fn threads_as_markdown(rows: &[Threads]) -> Result<String, std::fmt::Error> {
    let mut text = String::from("| ns, of one thread → of two |");
    for mode in Mode::ALL {
        write!(text, " {mode} |")?;
    }
    writeln!(text, "\n|---|{}", "---|".repeat(Mode::ALL.len()))?;
    let mut subjects: Vec<_> = rows.iter().map(|row| &row.subject).collect();
    subjects.sort_by_key(|subject| (subject.variant as u8, subject.is_bound));
    let mut names: Vec<String> = subjects.into_iter().map(Subject::name).collect();
    names.dedup();
    for name in names {
        write!(text, "| {name} |")?;
        for mode in Mode::ALL {
            match rows.iter().find(|row| row.mode == mode && row.subject.name() == name) {
                Some(row) => {
                    let [one, two] = row.processor;
                    write!(text, " {one:.0} → {two:.0} ({:.2}), {:.0} |", two / one, row.locked)?;
                }
                None => text.push_str(" |"),
            }
        }
        text.push('\n');
    }
    Ok(text)
}

fn threads_as_json(rows: &[Threads]) -> serde_json::Value {
    let rows = rows.iter().map(|row| {
        json!({
            "variant": row.subject.variant.name(),
            "bound": row.subject.is_bound,
            "mode": row.mode.name(),
            "cpu_nanoseconds": row.processor,
            "wall_nanoseconds": row.wall,
            "waits_of_two_threads_in_1000_rpcs": row.waits,
            "locked_instructions": row.locked,
        })
    });
    rows.collect()
}
