//! Medians, and tables for a terminal and for Markdown.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::Result;
use serde::Serialize;

/// Returns the median; 0 if there is no value.
pub(super) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => 0.0,
        odd if odd % 2 == 1 => sorted[odd / 2],
        even => f64::midpoint(sorted[even / 2 - 1], sorted[even / 2]),
    }
}

/// A table: its header, then its rows.
pub(super) struct Table(pub(super) Vec<Vec<String>>);

impl Table {
    /// Starts a table with this header.
    pub(super) fn new<const N: usize>(header: [&str; N]) -> Self {
        Table(vec![header.map(str::to_owned).to_vec()])
    }

    /// Returns the table in Markdown.
    pub(super) fn markdown(&self) -> String {
        let mut text = String::new();
        for (number, row) in self.0.iter().enumerate() {
            let _ = writeln!(text, "| {} |", row.join(" | "));
            if number == 0 {
                let _ = writeln!(text, "|{}", "---|".repeat(row.len()));
            }
        }
        text.replace("|  |", "| |")
    }

    /// Returns the table for a terminal, its first column to the left and the others to the right.
    pub(super) fn text(&self) -> String {
        let columns = self.0[0].len();
        let width = |column: usize| self.0.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
        let widths: Vec<usize> = (0..columns).map(width).collect();
        let mut text = String::new();
        for row in &self.0 {
            let _ = write!(text, "{:width$}", row[0], width = widths[0]);
            for (cell, width) in row.iter().zip(&widths).skip(1) {
                let _ = write!(text, "  {cell:>width$}");
            }
            text.push('\n');
        }
        text
    }
}

/// Prints tables, and writes them as `NAME.txt` and `NAME.md` and their numbers as `NAME.json`.
pub(super) fn write(folder: &Path, name: &str, text: &str, markdown: &str, numbers: &impl Serialize) -> Result<()> {
    println!("{text}\n{markdown}");
    let file = |extension: &str| folder.join(name).with_extension(extension);
    fs::write(file("txt"), text)?;
    fs::write(file("md"), markdown)?;
    fs::write(file("json"), serde_json::to_string_pretty(numbers)? + "\n")?;
    println!("{}, and the same as .md and .json", file("txt").display());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{Table, median};

    #[test]
    fn the_median_of_an_even_number_is_between_the_middle_two() {
        assert!((median(&[4.0, 1.0, 3.0, 2.0]) - 2.5).abs() < f64::EPSILON);
        assert!((median(&[4.0, 1.0, 3.0]) - 3.0).abs() < f64::EPSILON);
    }

    #[test]
    fn a_table_for_both_places() {
        let mut table = Table::new(["", "code"]);
        table.0.push(vec!["unary".to_owned(), "12".to_owned()]);
        assert_eq!(table.markdown(), "| | code |\n|---|---|\n| unary | 12 |\n");
        assert_eq!(table.text(), "       code\nunary    12\n");
    }
}
