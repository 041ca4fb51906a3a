//! Instructions, counted by callgrind.

use std::collections::HashMap;
use std::error::Error;
use std::path::Path;
use std::process::Command;

use crate::allocations;

/// Runs a program, and returns the instructions of one of its functions, and those without the
/// allocator's.
///
/// # Errors
///
/// If valgrind is missing, or the program fails.
pub fn instructions(program: &Path, arguments: &[String], function: &str) -> Result<(u64, u64), Box<dyn Error>> {
    let out = std::env::temp_dir().join(format!("counting.{}.callgrind", std::process::id()));
    let output = Command::new("valgrind")
        .arg("--tool=callgrind")
        .arg("--collect-atstart=no")
        .arg(format!("--toggle-collect=*{function}*"))
        .arg(format!("--callgrind-out-file={}", out.display()))
        .arg(program)
        .args(arguments)
        .output()
        .map_err(|error| format!("valgrind: {error}"))?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into());
    }
    let profile = std::fs::read_to_string(&out)?;
    std::fs::remove_file(&out)?;
    read(&profile).ok_or_else(|| "this is no profile of callgrind's".into())
}

/// Returns the total, and the total without the inclusive cost of the allocator.
///
/// The [format](https://valgrind.org/docs/manual/cl-format.html) gives a function a number, and its
/// name beside the number at the first mention. A call is three lines: the callee, the number of
/// calls, and their inclusive cost at the end.
fn read(profile: &str) -> Option<(u64, u64)> {
    let mut names = HashMap::new();
    let (mut total, mut in_allocator) = (None, 0);
    let mut lines = profile.lines();
    let mut called = "";
    while let Some(line) = lines.next() {
        if let Some(function) = line.strip_prefix("fn=").or_else(|| line.strip_prefix("cfn=")) {
            let (number, name) = function.split_once(' ').unwrap_or((function, ""));
            if !name.is_empty() {
                names.insert(number, name);
            }
            called = number;
        } else if line.starts_with("calls=") {
            let cost: u64 = lines.next()?.rsplit(' ').next()?.parse().ok()?;
            if names.get(called)?.contains(allocations::FUNCTIONS) {
                in_allocator += cost;
            }
        } else if let Some(sum) = line.strip_prefix("totals: ") {
            total = sum.trim().parse().ok();
        }
    }
    let total: u64 = total?;
    Some((total, total - in_allocator))
}
