//! A server in a process of its own, and the load on it.
//!
//! h2load makes the load: it is a client in C, which leaves the processor to the server.

use std::error::Error;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use crate::variants::Variant;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// A message as gRPC frames it: `Message { text: "Hello, world!" }`.
pub(crate) const MESSAGE: &[u8] = b"\0\0\0\0\x0f\x0a\x0dHello, world!";

/// The header of a caller whose span is sampled.
pub(crate) const HEADERS: [(&str, &str); 3] = [
    ("te", "trailers"),
    ("content-type", "application/grpc"),
    ("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
];

/// RPCs before the measurement.
const WARM_UP: &str = "--requests=3000";

/// The processors of the server, and those of the load.
///
/// If the machine has more processors than the server gets, the load runs on the others.
#[derive(Clone, Debug)]
pub(crate) struct Processors {
    server: String,
    client: String,
}

impl Processors {
    pub(crate) fn of_server(count: usize) -> Result<Self> {
        let all = std::thread::available_parallelism()?.get();
        if all < 2 || count > all {
            return Err(format!("{all} processors are too few for a server on {count}, and its load").into());
        }
        let list = |range: std::ops::Range<usize>| range.map(|number| number.to_string()).collect::<Vec<_>>().join(",");
        Ok(Processors {
            server: list(0..count),
            client: if count < all { list(count..all) } else { list(0..all) },
        })
    }
}

fn pinned(processors: &str, program: &Path) -> Command {
    let mut command = Command::new("taskset");
    command.args(["--cpu-list", processors]).arg(program);
    command
}

/// A running server.
pub(crate) struct Server {
    process: Child,
    output: BufReader<ChildStdout>,
    port: u16,
    processors: Processors,
}

/// The responses to a load.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Answers {
    pub(crate) rpcs: f64,
    pub(crate) seconds: f64,
    /// Latency in microseconds.
    pub(crate) p50: f64,
    pub(crate) p99: f64,
    /// The server's processor time per RPC, in microseconds.
    pub(crate) processor: f64,
    /// Exported spans per RPC.
    pub(crate) spans: f64,
}

impl Server {
    pub(crate) fn start(program: &Path, variant: Variant, processors: &Processors) -> Result<Self> {
        let mut command = pinned(&processors.server, program);
        command
            .args(["serve", variant.name()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut process = command.spawn()?;
        let mut output = BufReader::new(process.stdout.take().ok_or("no output")?);
        let mut port = String::new();
        output.read_line(&mut port)?;
        Ok(Server {
            process,
            output,
            port: port.trim().parse()?,
            processors: processors.clone(),
        })
    }

    /// Makes the load of one measurement, on a server that has warmed up.
    pub(crate) fn load(mut self, variant: Variant, streams: usize, seconds: f64, directory: &Path) -> Result<Answers> {
        let message = directory.join("message.bin");
        fs::write(&message, MESSAGE)?;
        let log = directory.join("requests.tsv");
        let _ = fs::remove_file(&log);
        let warm_up = self.h2load(streams, &message).arg(WARM_UP).output()?;
        succeeded(&warm_up, 0)?;
        let before = processor_time(self.process.id())?;
        let mut command = self.h2load(streams, &message);
        command
            .arg(format!("--duration={seconds}"))
            .arg(format!("--log-file={}", log.display()));
        let output = command.output()?;
        let processor = processor_time(self.process.id())? - before;
        let rpcs = succeeded(&output, streams)?;

        drop(self.process.stdin.take());
        let mut recorded = String::new();
        self.output.read_to_string(&mut recorded)?;
        self.process.wait()?;
        let (spans, durations) = recorded.trim().split_once(' ').ok_or("no numbers")?;
        let (spans, durations): (f64, f64) = (spans.parse()?, durations.parse()?);
        let all = rpcs + 3000.0;
        if variant.is_traced() && durations < all {
            return Err(format!("{variant}: {durations} durations of {all} RPCs").into());
        }
        let mut times = times(&log)?;
        times.sort_by(f64::total_cmp);
        let quantile = |part: f64| {
            times
                .get((times.len() as f64 * part) as usize)
                .copied()
                .unwrap_or_default()
        };
        Ok(Answers {
            rpcs,
            seconds,
            p50: quantile(0.5),
            p99: quantile(0.99),
            processor: processor / rpcs,
            spans: spans / durations.max(1.0),
        })
    }

    fn h2load(&self, streams: usize, message: &Path) -> Command {
        let connections = streams.min(4);
        let mut command = pinned(&self.processors.client, Path::new("h2load"));
        command.arg(format!("--clients={connections}"));
        command.arg(format!("--max-concurrent-streams={}", streams / connections));
        command.arg(format!("--data={}", message.display()));
        command.args(HEADERS.map(|(name, value)| format!("--header={name}: {value}")));
        command.arg(format!("http://127.0.0.1:{}/bench.Bench/Unary", self.port));
        command
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Returns the number of responses, and fails if one has no message.
///
/// Requests that were active at the end of the time are not in it.
fn succeeded(output: &std::process::Output, under_way: usize) -> Result<f64> {
    let text = String::from_utf8_lossy(&output.stdout);
    let number = |line: &str, before: &str| -> Option<f64> {
        let line = text.lines().find(|found| found.starts_with(line))?;
        line.split_once(before)?.0.rsplit([' ', '(']).next()?.parse().ok()
    };
    let done = number("requests:", " succeeded");
    let failed = number("requests:", " failed");
    let bytes = number("traffic:", ") data");
    let (Some(done), Some(failed), Some(bytes)) = (done, failed, bytes) else {
        return Err(format!("h2load says {text}{}", String::from_utf8_lossy(&output.stderr)).into());
    };
    let expected = done * MESSAGE.len() as f64;
    let most = expected + (under_way * MESSAGE.len()) as f64;
    if done == 0.0 || failed > under_way as f64 || !(expected..=most).contains(&bytes) {
        return Err(format!("of {done} requests {failed} have failed; {bytes} bytes instead of {expected}").into());
    }
    Ok(done)
}

/// Returns the duration of each request, in microseconds.
fn times(log: &Path) -> Result<Vec<f64>> {
    let text = fs::read_to_string(log)?;
    let times = text
        .lines()
        .filter_map(|line| line.split('\t').nth(2)?.trim().parse().ok());
    Ok(times.collect())
}

/// Returns the processor time of a process, in microseconds, in its own code and in the kernel.
///
/// Linux counts hundredths of a second.
fn processor_time(process: u32) -> Result<f64> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat"))?;
    // The name of the program, in parentheses, may contain anything.
    let after_name = stat.rsplit_once(')').ok_or("no name")?.1;
    let mut fields = after_name.split_whitespace().skip(11);
    let mut next = || -> Result<f64> { Ok(fields.next().ok_or("too few fields")?.parse()?) };
    Ok((next()? + next()?) * 10_000.0)
}
