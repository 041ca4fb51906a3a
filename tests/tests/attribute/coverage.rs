//! The compiler counts the same lines of a body with the attribute as without it, for
//! `-C instrument-coverage`.
//!
//! The counted regions are in the compiler's MIR. They are there with any toolchain, whereas
//! reading profiles takes the tools of the compiler's own LLVM.

use std::collections::BTreeSet;
use std::fs;
use std::ops::RangeInclusive;
use std::path::Path;
use std::process::Command;

const PROGRAM: &str = include_str!("../../examples/covered.rs");

/// Returns the regions that the compiler counts in the program, such as `12:5: 12:20`.
fn counted_regions(order: &str) -> BTreeSet<String> {
    let temporary = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let mir = temporary.join(format!("covered-{order}.mir"));
    let output = Command::new(env!("CARGO"))
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .args([
            "rustc",
            "--quiet",
            "--locked",
            "--package",
            "integration-tests",
            "--example",
            "covered",
        ])
        .arg("--target-dir")
        .arg(temporary.parent().unwrap())
        .args(["--", "--cfg", order, "-C", "instrument-coverage"])
        .arg(format!("--emit=mir={}", mir.display()))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mir = fs::read_to_string(mir).unwrap();
    let regions = mir
        .lines()
        .filter(|line| line.trim_start().starts_with("coverage Code"));
    regions
        .map(|region| {
            let (_, place) = region.split_once("covered.rs:").unwrap();
            place.split(" (").next().unwrap().to_owned()
        })
        .collect()
}

/// Returns the lines of a region.
fn lines_of(region: &str) -> RangeInclusive<usize> {
    let (start, end) = region.split_once(": ").unwrap();
    let line = |place: &str| place.split(':').next().unwrap().parse().unwrap();
    line(start)..=line(end)
}

/// Returns the numbers of the program's lines that end with a comment.
fn lines_with(comment: &str) -> BTreeSet<usize> {
    let lines = PROGRAM.lines().enumerate();
    lines
        .filter(|(_, line)| line.ends_with(comment))
        .map(|(before, _)| before + 1)
        .collect()
}

#[test]
fn the_same_regions_are_counted_as_without_the_attribute() {
    let plain = counted_regions("plain");
    let lines: BTreeSet<usize> = plain.iter().flat_map(|region| lines_of(region)).collect();
    for comment in ["// native", "// boxed"] {
        assert!(!lines_with(comment).is_empty());
        assert!(lines.is_superset(&lines_with(comment)), "{plain:#?}");
    }
    assert_eq!(counted_regions("above"), plain);
    assert_eq!(counted_regions("below"), plain);
}
