//! However many RPCs there have been, in whatever ways they ended, nothing is left of them. What is kept for good, names and methods, is there once.

use std::process::Command;
use std::thread;

use peers::tools::output_of;

/// How many blocks of memory there still are when the program ends, after so many rounds of 256 RPCs. No memory may be lost, nor used wrongly.
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
fn more_rpcs_leave_no_more_behind() {
    let [few, many] = [3, 6].map(|rounds| thread::spawn(move || blocks_left_after(rounds)));
    let (few, many) = (few.join().unwrap(), many.join().unwrap());
    // Some is made when it is first needed, in no order that is the same each time. One block for each of the 768 RPCs, or for each of the 336 unknown paths among them, is another matter.
    assert!(many < few + 100, "{few} blocks, then {many}");
}
