//! Runs all cells of a peer in one direction.

use std::collections::BTreeMap;
use std::env;

use integration_tests::client::{Kind, code_name, endpoint};
use integration_tests::collector::Collector;
use integration_tests::scripted::{Annotated, ScriptedService};
use integration_tests::server::{RunningServer, TIMEOUT, serve_with};
use integration_tests::telemetry::{Telemetry, attributes};
use opentelemetry_sdk::trace::SpanData;
use otel_runtime::{ServerLayer, TracedChannel};
use tokio::task::{JoinHandle, block_in_place};
use tokio::time::timeout;
use tonic::Status;
use tonic::transport::Server;

use super::names::{self, Names};
use super::observe::{durations_that_differ, our_span, their_spans};
use super::ours::{DEADLINE, call, routes_with_gzip};
use super::peer::{self, Peer};
use super::process::Process;
use super::table::{Cell, Key, Table};
use super::{Direction, End, rules};

/// Set to `1`, makes the table have what was found; set to `add`, adds what was found to it.
const UPDATE: &str = "UPDATE_EXPECT";

/// Runs all cells of a peer in one direction, and asserts that the table has their results.
///
/// # Panics
///
/// If a result is not in the table, breaks a rule, or lacks a reason.
pub async fn run(peer: &Peer, direction: Direction, directory: &str) {
    let number = peer::ALL.iter().position(|known| known.name == peer.name).unwrap();
    let update = env::var(UPDATE).unwrap_or_default();
    let mut table = Table::read();
    if update == "1" {
        table.cells.retain(|key, _| (key.0, key.1) != (number, direction));
    }
    let mut runner = Runner::new(peer, direction, directory, number, table).await;
    let mut found = BTreeMap::new();
    for end in End::ALL {
        let kinds: Vec<Kind> = Kind::ALL
            .into_iter()
            .filter(|kind| end.applies(peer, direction, *kind))
            .collect();
        let groups: Vec<&[Kind]> = if end.ends_the_process() {
            vec![&kinds]
        } else {
            kinds.chunks(1).collect()
        };
        for kinds in groups {
            found.extend(runner.cells(end, kinds).await);
            if end == End::Ok && kinds == [Kind::Unary] {
                runner.names.take_spans(&runner.collector, direction);
            }
        }
        if end == End::Unknown {
            block_in_place(|| runner.processes[0].as_mut().unwrap().flush());
            runner.names.take_metrics(&runner.collector);
        }
    }
    let names = std::mem::take(&mut runner.names);
    let mut table = std::mem::take(&mut runner.table);
    let mut wrong = rules::wrong_cells(&table, &found, !update.is_empty());
    if !update.is_empty() {
        names::replace(number, direction, names);
    } else if names::read().get(&(number, direction)) != Some(&names) {
        wrong.push(format!("{}: other names: {names:#?}", peer.name));
    }
    if !update.is_empty() {
        table.cells.retain(|key, _| (key.0, key.1) == (number, direction));
        for (key, cell) in found {
            let known = table.cells.entry(key).or_insert_with(|| cell.clone());
            for (known, found) in [
                (&mut known.caller, cell.caller),
                (&mut known.ours, cell.ours),
                (&mut known.theirs, cell.theirs),
            ] {
                known.extend(found);
                known.sort();
                known.dedup();
            }
        }
        Table::replace(number, direction, table.cells);
    }
    if !wrong.is_empty() {
        for process in runner.processes.iter().flatten() {
            println!("the peer's standard error:\n{}", process.stderr());
        }
        panic!("{} cells:\n{}", wrong.len(), wrong.join("\n"));
    }
}

struct Runner<'p> {
    peer: &'p Peer,
    direction: Direction,
    number: usize,
    table: Table,
    launcher: super::launch::Launcher,
    collector: Collector,
    names: Names,
    handler: ScriptedService,
    /// Our server, and one that accepts gzip.
    servers: [Option<RunningServer>; 2],
    /// The peer's processes, each for one of our servers.
    processes: [Option<Process>; 2],
    /// The channels of our client, each to one of the processes.
    channels: [Option<TracedChannel>; 2],
}

impl<'p> Runner<'p> {
    async fn new(peer: &'p Peer, direction: Direction, directory: &str, number: usize, table: Table) -> Self {
        let handler = ScriptedService::default();
        let layered = || Server::builder().layer(ServerLayer::new());
        let refusing = serve_with(layered(), Annotated::routes(&handler)).await;
        let accepting = serve_with(layered(), routes_with_gzip(&handler)).await;
        Runner {
            peer,
            direction,
            number,
            table,
            launcher: block_in_place(|| (peer.launcher)(directory)),
            collector: Collector::start(),
            names: Names::default(),
            handler,
            servers: [Some(refusing), Some(accepting)],
            processes: [None, None],
            channels: [None, None],
        }
    }

    /// Runs RPCs that end the same way, and returns their results.
    ///
    /// Both sides have a timer for a deadline. The client's reset may arrive before the server's
    /// timer fires, and tonic's answer, which is `CANCELLED`, before the client's. So deadlines
    /// have five tries.
    async fn cells(&mut self, end: End, kinds: &[Kind]) -> Vec<(Key, Cell)> {
        let mut tries = 1;
        loop {
            let cells = self.cells_once(end, kinds).await;
            let is_early = cells.iter().any(|(_, cell)| {
                let is_answered = self.direction == Direction::Client && cell.caller[0] == "CANCELLED";
                cell.ours[0] == "CANCELLED" || is_answered
            });
            if end != End::Deadline || !is_early || tries == 5 {
                return cells;
            }
            tries += 1;
        }
    }

    async fn cells_once(&mut self, end: End, kinds: &[Kind]) -> Vec<(Key, Cell)> {
        let telemetry = Telemetry::start();
        self.collector.clear();
        let place = usize::from(matches!(end, End::Gzip | End::GoAway));
        self.start(place).await;
        let callers = match self.direction {
            Direction::Client => self.peer_calls(place, end, kinds).await,
            Direction::Server => self.we_call(place, end, kinds).await,
        };
        let spans = telemetry.spans(kinds.len()).await;
        let durations = durations_that_differ(&telemetry, self.direction, &spans).await;
        let mut cells = Vec::new();
        for (kind, caller) in kinds.iter().zip(callers) {
            let kind_number = Kind::ALL.iter().position(|known| known == kind).unwrap();
            let key = (self.number, self.direction, end, kind_number);
            let span = span_of(&spans, *kind);
            let expected = self.table.cells.get(&key).map(|cell| &*cell.theirs);
            let theirs = their_spans(&self.collector, self.direction, span, expected);
            let mut ours = our_span(span);
            ours.extend(durations.iter().map(|durations| format!(", {durations}")));
            let cell = Cell {
                caller: vec![caller],
                ours: vec![ours],
                theirs: vec![theirs],
            };
            cells.push((key, cell));
        }
        let is_gone = |(_, cell): &(Key, Cell)| cell.ours[0].ends_with("connection_reset");
        if end == End::Panic && self.direction == Direction::Server && cells.iter().any(is_gone) {
            // A panic has ended the process, which the next RPC must not find.
            block_in_place(|| self.processes[place].as_mut().unwrap().wait());
        }
        cells
    }

    /// Starts the process at `place`, if it does not run.
    async fn start(&mut self, place: usize) {
        if let Some(process) = &mut self.processes[place]
            && !process.has_ended()
        {
            return;
        }
        let role = self.direction;
        let mut arguments = vec![self.peer.argument, role.role()];
        let address = self.servers[place].as_ref().unwrap().address.to_string();
        if role == Direction::Client {
            arguments.push(&address);
        }
        let mut process = Process::start(&mut self.launcher.command(role, &arguments, &self.collector));
        if self.direction == Direction::Server {
            let address = block_in_place(|| process.answer("127.0.0.1:"));
            let address = format!("127.0.0.1:{address}").parse().unwrap();
            self.channels[place] = Some(TracedChannel::connect(endpoint(address)).await.unwrap());
        }
        self.processes[place] = Some(process);
    }

    /// Lets the peer call our server, and returns the codes that it gets.
    async fn peer_calls(&mut self, place: usize, end: End, kinds: &[Kind]) -> Vec<String> {
        let process = self.processes[place].as_mut().unwrap();
        for kind in kinds {
            let seconds = match end {
                End::Deadline => DEADLINE.as_secs_f64().to_string(),
                _ => String::new(),
            };
            let option = match end {
                End::Gzip | End::GzipRefused => "gzip",
                End::Unknown => "unknown",
                _ => "",
            };
            process.send(&format!("{kind:?}|{}|{seconds}|{option}", end.text()));
            if end.waits() {
                timeout(TIMEOUT, self.handler.waits())
                    .await
                    .expect("the call reaches the server");
            }
        }
        match end {
            End::Cancel | End::LateCancel => process.send("cancel"),
            End::GoAway => self.servers[place] = None,
            End::Killed => {
                process.kill();
                return vec!["-".to_owned(); kinds.len()];
            }
            _ => {}
        }
        if end == End::GoAway {
            for _ in kinds {
                self.handler.release();
            }
        }
        let mut codes = Vec::new();
        for kind in kinds {
            let ended = block_in_place(|| process.answer(&format!("ended {kind:?} ")));
            let code = ended.split(' ').next().unwrap();
            codes.push(code.to_owned());
        }
        // A peer may have closed the connection before.
        self.handler.forget_release().await;
        codes
    }

    /// Calls the peer's server, and returns the codes that our client gets.
    async fn we_call(&mut self, place: usize, end: End, kinds: &[Kind]) -> Vec<String> {
        let channel = self.channels[place].clone().unwrap();
        let mut process = self.processes[place].take().unwrap();
        let mut calls: Vec<JoinHandle<Result<(), Status>>> = Vec::new();
        for kind in kinds {
            calls.push(tokio::spawn(call(channel.clone(), *kind, end)));
            if end.waits() {
                block_in_place(|| process.answer("waits"));
            }
        }
        match end {
            End::GoAway => {
                process.send("goaway");
                block_in_place(|| process.answer("going"));
            }
            End::Killed => process.kill(),
            _ => {}
        }
        let mut codes = Vec::new();
        for call in calls {
            match end {
                End::GoAway => process.send("release"),
                End::Cancel | End::LateCancel => call.abort(),
                _ => {}
            }
            codes.push(match timeout(TIMEOUT, call).await.expect("the call ends") {
                Ok(Ok(())) => "OK".to_owned(),
                Ok(Err(status)) => {
                    println!("{status:?}");
                    code_name(status.code()).to_owned()
                }
                Err(_) => "-".to_owned(),
            });
        }
        self.processes[place] = Some(process);
        codes
    }
}

/// Returns the span of a kind, even if its method is unknown.
fn span_of(spans: &[SpanData], kind: Kind) -> &SpanData {
    let of_kind = |span: &&SpanData| attributes(&span.attributes)["rpc.method"] == kind.method();
    match spans {
        [span] => span,
        spans => spans.iter().find(of_kind).unwrap(),
    }
}
