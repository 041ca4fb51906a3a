//! Flame graphs of servers under load: where the time of an RPC goes.
//!
//! ```console
//! $ cargo xtask bench flame
//! ```
//!
//! perf samples the stacks of the server of `scale`, a process of its own, while h2load sends unary
//! RPCs on 512 streams with a sampled `traceparent`. Spans go to the batch processor, and metrics
//! are collected every second.

use std::error::Error;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Cursor};
use std::path::Path;
use std::process::{Command, Stdio};

use inferno::collapse::Collapse;
use inferno::collapse::perf::{Folder, Options as FoldOptions};
use inferno::flamegraph::{self, Options};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// The variants of `scale`, and the names of their graphs.
const VARIANTS: [(&str, &str); 3] = [
    ("bare", "flame-bare.svg"),
    ("attribute", "flame-attribute.svg"),
    ("attribute + ServerLayer", "flame-both.svg"),
];

/// A message as gRPC frames it: `Message { text: "Hello, world!" }`.
const MESSAGE: &[u8] = b"\0\0\0\0\x0f\x0a\x0dHello, world!";
const TRACEPARENT: &str = "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
const SECONDS: u32 = 6;

/// The widest part of a graph that is left out, in percent: it could not be read.
const MIN_WIDTH: f64 = 0.4;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [server, scratch, graphs] = &arguments[..] else {
        return Err("usage: flame SERVER SCRATCH_DIRECTORY GRAPHS_DIRECTORY".into());
    };
    let (scratch, graphs) = (Path::new(scratch), Path::new(graphs));
    for (variant, graph) in VARIANTS {
        let folded = fold(&sample(Path::new(server), variant, scratch)?)?;
        fs::write(scratch.join(graph).with_extension("folded"), &folded)?;
        draw(variant, &folded, &graphs.join(graph))?;
    }
    Ok(())
}

/// Samples a server under load, and returns the stacks as perf prints them.
fn sample(server: &Path, variant: &str, scratch: &Path) -> Result<Vec<u8>> {
    let (samples, message) = (scratch.join("perf.data"), scratch.join("message.bin"));
    fs::write(&message, MESSAGE)?;
    let mut process = Command::new("perf")
        .args([
            "record",
            "--quiet",
            "--event=cpu-clock",
            "--freq=499",
            "--call-graph=fp",
            "--output",
        ])
        .arg(&samples)
        .arg("--")
        .arg(server)
        .args(["serve", variant])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut output = BufReader::new(process.stdout.take().ok_or("no output")?);
    let mut port = String::new();
    output.read_line(&mut port)?;
    let load = Command::new("h2load")
        .args(["--clients=4", "--max-concurrent-streams=128", "--threads=1"])
        .arg(format!("--duration={SECONDS}"))
        .arg(format!("--data={}", message.display()))
        .args(["--header=te: trailers", "--header=content-type: application/grpc"])
        .arg(format!("--header={TRACEPARENT}"))
        .arg(format!("http://127.0.0.1:{}/bench.Bench/Unary", port.trim()))
        .output()?;
    // The end of its input ends the server.
    drop(process.stdin.take());
    let recorded = output.lines().collect::<std::io::Result<String>>()?;
    process.wait()?;
    if !load.status.success() {
        return Err(String::from_utf8_lossy(&load.stderr).into());
    }
    eprintln!("{variant}: {recorded} spans and durations");
    let script = Command::new("perf")
        .args(["script", "--input"])
        .arg(&samples)
        .output()?;
    Ok(script.stdout)
}

/// Folds stacks to a line each.
fn fold(stacks: &[u8]) -> Result<String> {
    let mut folded = Vec::new();
    Folder::from(FoldOptions::default()).collapse(Cursor::new(stacks), &mut folded)?;
    let folded = String::from_utf8(folded)?;
    let lines = folded.lines().map(|line| shorten(line) + "\n");
    Ok(lines.collect())
}

/// Removes the hashes and type parameters of functions, which make a graph large.
fn shorten(line: &str) -> String {
    let mut depth = 0_u32;
    let mut short = String::new();
    for char in line.chars() {
        match char {
            '<' => depth += 1,
            '>' if depth > 0 && !short.ends_with('-') => depth -= 1,
            _ if depth < 2 => short.push(char),
            _ => {}
        }
    }
    short
}

fn draw(variant: &str, folded: &str, graph: &Path) -> Result<()> {
    let mut options = Options::default();
    options.title = format!("A server's processor time, unary RPCs on 512 streams: {variant}");
    options.min_width = MIN_WIDTH;
    flamegraph::from_lines(&mut options, folded.lines(), File::create(graph)?)?;
    Ok(())
}
