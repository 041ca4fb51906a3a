//! How long the steps of a command take.

use std::time::Instant;

use anyhow::Result;

/// The steps that have passed, with their seconds.
#[derive(Default)]
pub(crate) struct Times(Vec<(String, f64)>);

impl Times {
    /// Runs a step, and prints how long it took if it passes.
    pub(crate) fn run(&mut self, name: &str, step: impl FnOnce() -> Result<()>) -> Result<()> {
        let start = Instant::now();
        step()?;
        let seconds = start.elapsed().as_secs_f64();
        println!("{name} took {seconds:.1} s");
        self.0.push((name.to_owned(), seconds));
        Ok(())
    }

    /// Prints the table of all steps, if there are several.
    pub(crate) fn print(&self) {
        if self.0.len() < 2 {
            return;
        }
        println!("\n== passed");
        for (name, seconds) in &self.0 {
            println!("{seconds:7.1} s  {name}");
        }
        let total: f64 = self.0.iter().map(|(_, seconds)| seconds).sum();
        println!("{total:7.1} s  in all");
    }
}
