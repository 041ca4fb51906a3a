//! The cost of a method: bytes of machine code, and start and memory of a server with a thousand.
//!
//! Bytes are the difference of two programs, of 50 methods and of 100, divided by 50. Each method
//! has a request and a response type of its own. There is no LTO, and one codegen unit: with
//! cargo's 16, functions that methods share are copied into several, and a method without tracing
//! differed by 750 bytes from one version to the next. Start and memory are the medians of 11 runs.
//! A server with a thousand methods has 16 codegen units, so that it is built in less time.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use serde::Serialize;
use xshell::cmd;

use super::tables::{self, Table, median};
use crate::project::{BENCHES, Project};
use crate::tools;

const RUNS: usize = 11;

/// The sections that hold code and everything that is read-only or has a value from the start.
const SECTIONS: [&str; 9] = [
    ".text",
    ".rodata",
    ".eh_frame",
    ".eh_frame_hdr",
    ".gcc_except_table",
    ".data",
    ".data.rel.ro",
    ".bss",
    ".rela.dyn",
];

#[derive(Serialize)]
struct Numbers {
    code: Vec<MethodSize>,
    thousand: Vec<Start>,
}

/// Bytes that a method adds.
#[derive(Serialize)]
struct MethodSize {
    kind: &'static str,
    tracing: &'static str,
    code: f64,
    code_and_data: f64,
}

/// The start of a server, and its first calls.
#[derive(Serialize)]
struct Start {
    methods: usize,
    tracing: &'static str,
    first_reply_microseconds: f64,
    first_reply_kib: f64,
    first_call_microseconds: f64,
    all_called_kib: f64,
}

/// Measures code, and start and memory unless `code_only`.
pub(super) fn run(project: &Project, code_only: bool) -> Result<()> {
    tools::require(project, "size", "binutils")?;
    let servers = Servers {
        project,
        target: project.target_directory(BENCHES)?,
        folder: project.folder_in_target(BENCHES, "methods")?,
    };
    let numbers = Numbers {
        code: servers.code()?,
        thousand: if code_only { Vec::new() } else { servers.thousand()? },
    };
    let mut tables = vec![code_table(&numbers.code)];
    if !code_only {
        tables.push(thousand_table(&numbers.thousand));
    }
    let all = |form: fn(&Table) -> String| tables.iter().map(form).collect::<Vec<_>>().join("\n");
    let (text, markdown) = (all(Table::text), all(Table::markdown));
    tables::write(&servers.folder, "methods", &text, &markdown, &numbers)
}

struct Servers<'p> {
    project: &'p Project,
    target: PathBuf,
    folder: PathBuf,
}

impl Servers<'_> {
    /// Builds a server, and returns its path.
    fn build(&self, methods: usize, kind: &str, tracing: &str, codegen_units: usize) -> Result<PathBuf> {
        let build = format!(
            "build --quiet --release --locked --manifest-path {BENCHES} --package methods \
             --config profile.release.package.methods.codegen-units={codegen_units}"
        );
        let build = self.project.cargo(&build).env("CARGO_INCREMENTAL", "0");
        let build = build
            .env("METHODS", methods.to_string())
            .env("KIND", kind)
            .env("TRACING", tracing);
        eprintln!("{methods} methods, {kind}, {tracing}");
        build.run()?;
        let server = self.folder.join(format!("{methods}-{kind}-{tracing}"));
        fs::copy(self.target.join("release/methods"), &server)?;
        Ok(server)
    }

    fn code(&self) -> Result<Vec<MethodSize>> {
        let mut all = Vec::new();
        for kind in ["unary", "stream"] {
            for tracing in ["bare", "attribute", "instrument"] {
                let large = self.bytes(&self.build(100, kind, tracing, 1)?)?;
                let small = self.bytes(&self.build(50, kind, tracing, 1)?)?;
                all.push(MethodSize {
                    kind,
                    tracing,
                    code: (large.0 - small.0) / 50.0,
                    code_and_data: (large.1 - small.1) / 50.0,
                });
            }
        }
        Ok(all)
    }

    /// Returns the bytes of code of a program, and of code and data.
    fn bytes(&self, program: &Path) -> Result<(f64, f64)> {
        let printed = cmd!(self.project.shell, "size --format=sysv --radix=10 {program}")
            .quiet()
            .read()?;
        let (mut code, mut all) = (0.0, 0.0);
        for line in printed.lines() {
            let mut columns = line.split_whitespace();
            let (Some(section), Some(size)) = (columns.next(), columns.next()) else {
                continue;
            };
            if SECTIONS.contains(&section) {
                let size: f64 = size.parse()?;
                all += size;
                if section == ".text" {
                    code = size;
                }
            }
        }
        Ok((code, all))
    }

    fn thousand(&self) -> Result<Vec<Start>> {
        let mut all = Vec::new();
        for methods in [1, 1000] {
            for tracing in ["bare", "attribute", "layer"] {
                // The program with the attribute adds the layer if its argument says so.
                let server = match tracing {
                    "layer" => self.folder.join(format!("{methods}-unary-attribute")),
                    _ => self.build(methods, "unary", tracing, 16)?,
                };
                let [start, memory, first, after] = self.median_run(&server, tracing)?;
                all.push(Start {
                    methods,
                    tracing,
                    first_reply_microseconds: start,
                    first_reply_kib: memory,
                    first_call_microseconds: first,
                    all_called_kib: after,
                });
            }
        }
        Ok(all)
    }

    /// Returns the median of each number that the server prints.
    fn median_run(&self, server: &Path, tracing: &str) -> Result<[f64; 4]> {
        let mut columns = [const { Vec::new() }; 4];
        for _ in 0..RUNS {
            let printed = cmd!(self.project.shell, "{server} {tracing}").quiet().read()?;
            let numbers: Vec<f64> = printed.split_whitespace().map(str::parse).collect::<Result<_, _>>()?;
            ensure!(numbers.len() == columns.len(), "{} prints {printed}", server.display());
            for (column, number) in columns.iter_mut().zip(numbers) {
                column.push(number);
            }
        }
        Ok(columns.map(|column| median(&column)))
    }
}

fn title(tracing: &str) -> &str {
    match tracing {
        "layer" => "attribute + `ServerLayer`",
        "instrument" => "`#[tracing::instrument]`",
        other => other,
    }
}

fn code_table(all: &[MethodSize]) -> Table {
    let mut table = Table::new(["bytes of a method", "code", "code and data"]);
    for row in all {
        let is_base = |other: &&MethodSize| other.kind == row.kind && other.tracing == "bare";
        let (sign, base) = match all.iter().find(is_base).filter(|_| row.tracing != "bare") {
            Some(bare) => ("+", (bare.code, bare.code_and_data)),
            None => ("", (0.0, 0.0)),
        };
        table.0.push(vec![
            format!("{}, {}", row.kind, title(row.tracing)),
            format!("{sign}{:.0}", row.code - base.0),
            format!("{sign}{:.0}", row.code_and_data - base.1),
        ]);
    }
    table
}

fn thousand_table(all: &[Start]) -> Table {
    let mut table = Table::new([
        "",
        "up to the first reply",
        "memory then",
        "a first call",
        "memory after a first call of each",
    ]);
    for row in all {
        let methods = if row.methods == 1 { "method" } else { "methods" };
        table.0.push(vec![
            format!("{} {methods}, {}", row.methods, title(row.tracing)),
            format!("{} µs", row.first_reply_microseconds),
            format!("{} KiB", row.first_reply_kib),
            format!("{} µs", row.first_call_microseconds),
            format!("{} KiB", row.all_called_kib),
        ]);
    }
    table
}
