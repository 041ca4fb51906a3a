//! RPCs leave nothing in memory, however many there have been and however they ended.
//!
//! Names and methods, which live as long as the process, are there once.

use std::process::Command;
use std::thread;

use peers::tools::output_of;

/// Returns the number of memory blocks at the end of the program, after rounds of 256 RPCs.
///
/// valgrind fails if memory is lost or used wrongly.
fn blocks_left_after(rounds: usize) -> u64 {
    let report = output_of(
        Command::new("valgrind")
            .args(["--log-fd=1", "--error-exitcode=1", "--fair-sched=yes"])
            .args(["--leak-check=full", "--errors-for-leak-kinds=definite,indirect"])
            .arg(env!("CARGO_BIN_EXE_rush"))
            .arg(rounds.to_string()),
        "valgrind (Debian's package)",
    );
    let line = report
        .lines()
        .find(|line| line.contains("in use at exit:"))
        .expect("a summary");
    let blocks = line.split_whitespace().rev().nth(1).expect("a number of blocks");
    blocks.replace(',', "").parse().unwrap()
}

#[test]
fn more_rpcs_leave_no_more_memory() {
    let [few, many] = [3, 6].map(|rounds| thread::spawn(move || blocks_left_after(rounds)));
    let (few, many) = (few.join().unwrap(), many.join().unwrap());
    // Blocks that are allocated on first use vary from run to run. A leak would be one block for
    // each of the 768 additional RPCs, or for each of the 336 unknown paths among them.
    assert!(many < few + 100, "{few} blocks, then {many}");
}
