//! Pages that are generated from tables.

use std::env;
use std::fmt::Display;
use std::fs;

use integration_tests::client::Kind;

/// Asserts that the file at `path` has this text, or writes it if `UPDATE_EXPECT` is set.
///
/// # Panics
///
/// If the page is not up to date. The message has the name of the test that writes it.
pub(crate) fn check(path: &str, text: &str, written_by: &str) {
    if env::var_os("UPDATE_EXPECT").is_some() {
        fs::write(path, text).unwrap();
    } else {
        let found = fs::read_to_string(path).unwrap_or_default();
        assert_eq!(
            found, text,
            "UPDATE_EXPECT=1 cargo xtask peers {written_by} writes the page"
        );
    }
}

/// Appends a row of a table in Markdown.
pub(crate) fn row(page: &mut String, cells: &[&dyn Display]) {
    for cell in cells {
        page.extend(["| ", &cell.to_string().replace('|', "\\|"), " "]);
    }
    *page += "|\n";
}

/// Appends the first two rows of a table in Markdown.
pub(crate) fn head(page: &mut String, names: &[&str]) {
    let cells: Vec<&dyn Display> = names.iter().map(|name| name as &dyn Display).collect();
    row(page, &cells);
    *page += &"|---".repeat(names.len());
    *page += "|\n";
}

/// Returns the names of kinds, separated by commas, or `all` if they are all of those that exist.
pub(crate) fn kinds(kinds: &[Kind], all: &[Kind]) -> String {
    if kinds.len() == all.len() {
        return "all".to_owned();
    }
    names(kinds)
}

/// Returns the names of kinds, separated by commas.
pub(crate) fn names(kinds: &[Kind]) -> String {
    let names: Vec<String> = kinds.iter().map(|kind| format!("{kind:?}")).collect();
    names.join(", ")
}

/// Returns the results of a case by the kinds of RPCs that have the same one.
pub(crate) fn by_result<T: PartialEq>(result: impl Fn(usize) -> Option<T>) -> Vec<(Vec<Kind>, T)> {
    let mut rows: Vec<(Vec<Kind>, T)> = Vec::new();
    for (number, kind) in Kind::ALL.into_iter().enumerate() {
        let Some(found) = result(number) else { continue };
        match rows.iter_mut().find(|row| row.1 == found) {
            Some(row) => row.0.push(kind),
            None => rows.push((vec![kind], found)),
        }
    }
    rows
}
