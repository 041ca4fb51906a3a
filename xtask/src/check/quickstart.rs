//! The README's quick start, as a reader follows it, and the example that it names.

use std::fmt::Write as _;
use std::fs;

use anyhow::{Context, Result, ensure};

use crate::project::Project;

/// The files of the quick start, which the first line of their block of code names.
const FILES: [&str; 4] = ["Cargo.toml", "greeter.proto", "build.rs", "src/main.rs"];

/// Lines that the quick start prints, without times and bars.
const PRINTED: [&str; 5] = [
    "Hello, Ada!",
    "helloworld.Greeter/SayHello client OK",
    "└─ helloworld.Greeter/SayHello server OK",
    "rpc.server.call.duration: Measures the duration of an incoming Remote Procedure Call (RPC).",
    "rpc.client.call.duration: Measures the duration of an outgoing Remote Procedure Call (RPC).",
];

/// Writes the quick start's files into an empty folder, and runs and tests them, with the versions
/// of the workspace's lock and the crates of this checkout.
pub(super) fn run(project: &Project) -> Result<()> {
    let target = project.target_directory("Cargo.toml")?;
    let folder = target.join("readme/greeter");
    project.shell.remove_path(&folder)?;
    let readme = fs::read_to_string(project.root.join("README.md"))?;
    for name in FILES {
        let code = code_block(&readme, name).with_context(|| format!("README.md has no {name}"))?;
        project.shell.write_file(folder.join(name), code)?;
    }
    // A workspace of its own, wherever the target directory is.
    let mut manifest = fs::read_to_string(folder.join("Cargo.toml"))? + "\n[workspace]\n[patch.crates-io]\n";
    for package in project.published()? {
        let path = project.root.join(package.name.as_str());
        writeln!(manifest, "{} = {{ path = '{}' }}", package.name, path.display())?;
    }
    fs::write(folder.join("Cargo.toml"), manifest)?;
    fs::copy(project.root.join("Cargo.lock"), folder.join("Cargo.lock"))?;

    let _there = project.shell.push_dir(&folder);
    let run = project.cargo("run --quiet");
    println!("$ {run}");
    let printed = run.env("CARGO_TARGET_DIR", &target).read()?;
    let lines: Vec<String> = printed.lines().map(without_times).collect();
    for expected in PRINTED {
        let count = lines.iter().filter(|line| *line == expected).count();
        ensure!(
            count == 1,
            "the quick start prints {count} times: {expected}\n{printed}"
        );
    }
    let test = project.cargo("test --quiet");
    println!("$ {test}");
    let printed = test.env("CARGO_TARGET_DIR", &target).read()?;
    ensure!(
        printed.contains("test result: ok. 1 passed"),
        "the quick start's test does not run:\n{printed}"
    );
    Ok(())
}

/// Runs `cargo run -p examples`, which has to end by itself.
pub(super) fn example(project: &Project) -> Result<()> {
    let run = project.cargo("run --quiet --locked --package examples");
    println!("$ {run}");
    let printed = run.read()?;
    let traces = printed.lines().filter(|line| line.starts_with("trace ")).count();
    ensure!(traces == 10, "the example shows {traces} traces instead of 10");
    Ok(())
}

/// Returns the block of code whose first line is a comment with this name.
fn code_block<'r>(readme: &'r str, name: &str) -> Option<&'r str> {
    let mut blocks = readme.split("\n```").skip(1).step_by(2);
    blocks.find_map(|block| {
        let (_language, code) = block.split_once('\n')?;
        let comment = code.lines().next()?;
        (comment.trim_start_matches(['/', '#', ' ']) == name).then_some(code)
    })
}

/// Removes the words that differ from run to run: durations, and bars.
fn without_times(line: &str) -> String {
    let is_time = |word: &str| {
        let unit = word.trim_start_matches(|character: char| character.is_ascii_digit() || character == '.');
        unit.len() < word.len() && ["s", "ms", "µs", "ns"].contains(&unit)
    };
    let words = line.split_whitespace();
    let words: Vec<&str> = words.filter(|word| !is_time(word) && !word.starts_with('█')).collect();
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::{code_block, without_times};

    #[test]
    fn a_block_is_found_by_the_comment_in_its_first_line() {
        let readme =
            "Text.\n\n```toml\n# Cargo.toml\na = 1\n```\n\n```rust,no_run\n// src/main.rs\nfn main() {}\n```\n";
        assert_eq!(code_block(readme, "Cargo.toml"), Some("# Cargo.toml\na = 1"));
        assert_eq!(code_block(readme, "src/main.rs"), Some("// src/main.rs\nfn main() {}"));
        assert_eq!(code_block(readme, "main.rs"), None);
    }

    #[test]
    fn times_and_bars_are_removed() {
        let line = "└─ helloworld.Greeter/SayHello     server   85.4µs  OK     ████";
        assert_eq!(without_times(line), "└─ helloworld.Greeter/SayHello server OK");
        assert_eq!(without_times("Hello, Ada!"), "Hello, Ada!");
    }
}
