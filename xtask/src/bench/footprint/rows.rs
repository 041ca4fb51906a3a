//! The results, for a terminal and for `docs/scale.md`.

use serde::Serialize;

use super::subjects::BASELINE;
use crate::bench::tables::Table;

/// A row of the results.
#[derive(Serialize)]
pub(super) struct Row {
    pub(super) name: String,
    #[serde(skip)]
    pub(super) title: String,
    pub(super) packages: usize,
    pub(super) seconds: f64,
    pub(super) cpu_seconds: f64,
}

/// Returns the table of `docs/scale.md`, in relation to the baseline, which comes first.
pub(super) fn page_table(rows: &[Row]) -> Table {
    let mut table = Table::new(["", "packages", "clean release build", "its CPU time"]);
    for row in rows {
        let (packages, seconds, cpu_seconds) = match row.name.as_str() {
            BASELINE => (
                row.packages.to_string(),
                format!("{:.0} s", row.seconds),
                format!("{:.0} s", row.cpu_seconds),
            ),
            _ => (
                format!("+{}", row.packages),
                format!("× {}", ratio(row.seconds, rows[0].seconds)),
                format!("× {}", ratio(row.cpu_seconds, rows[0].cpu_seconds)),
            ),
        };
        table.0.push(vec![row.title.clone(), packages, seconds, cpu_seconds]);
    }
    table
}

/// Returns the table for a terminal, with all numbers.
pub(super) fn text_table(rows: &[Row]) -> Table {
    let mut table = Table::new(["", "packages", "seconds", "ratio", "CPU", "ratio"]);
    for row in rows {
        table.0.push(vec![
            row.name.clone(),
            row.packages.to_string(),
            format!("{:.1}", row.seconds),
            ratio(row.seconds, rows[0].seconds),
            format!("{:.1}", row.cpu_seconds),
            ratio(row.cpu_seconds, rows[0].cpu_seconds),
        ]);
    }
    table
}

fn ratio(time: f64, base: f64) -> String {
    if base > 0.0 {
        format!("{:.2}", time / base)
    } else {
        "-".to_owned()
    }
}
