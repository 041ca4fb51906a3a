//! The pages that users read: their links, their length, and their first lines.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use crate::project::Project;

const README_LINES: usize = 150;

/// Parts of the documentation of an item.
const NO_CHAPTERS: [&str; 2] = ["traced_service.md", "console_json.md"];

/// Builds the documentation, also of each crate with its default features, and checks the links in
/// it.
pub(super) fn documented(project: &Project) -> Result<()> {
    for package in project.published()? {
        let doc = project.cargo(&format!("doc --package {} --no-deps --locked", package.name));
        doc.env("RUSTDOCFLAGS", "-D warnings").run()?;
    }
    // Last, so that its pages remain.
    let doc = project.cargo("doc --workspace --no-deps --locked");
    doc.env("RUSTDOCFLAGS", "-D warnings").run()?;
    let root = project.target_directory("Cargo.toml")?.join("doc");
    let mut pages = Pages {
        root: root.clone(),
        read: BTreeMap::new(),
    };
    let mut broken = Vec::new();
    for package in project.published()? {
        let folder = root.join(package.name.replace('-', "_"));
        for page in html_files(&folder)? {
            broken.extend(pages.broken_links(&page)?);
        }
    }
    ensure!(broken.is_empty(), "broken links:\n{}", broken.join("\n"));
    Ok(())
}

/// Checks that the README is short and lists every example, that each chapter says for whom it is,
/// and each example which question it answers, and that the files that contributors are sent to
/// exist.
pub(super) fn written(project: &Project) -> Result<()> {
    for page in ["CONTRIBUTING.md", "docs/architecture.md", "docs/decisions.md"] {
        let text = fs::read_to_string(project.root.join(page))?;
        let missing: Vec<&str> = paths(&text).filter(|path| !project.root.join(path).exists()).collect();
        ensure!(
            missing.is_empty(),
            "{page} names {}, which do not exist",
            missing.join(", ")
        );
    }
    let readme = fs::read_to_string(project.root.join("README.md"))?;
    let lines = readme.lines().count();
    ensure!(
        lines <= README_LINES,
        "README.md has {lines} lines, {README_LINES} are allowed"
    );
    ensure_compiled(Path::new("README.md"), &readme)?;
    for folder in ["otel-runtime/docs", "otel-setup/docs"] {
        for entry in fs::read_dir(project.root.join(folder))? {
            let path = entry?.path();
            let text = fs::read_to_string(&path)?;
            ensure_compiled(&path, &text)?;
            let is_chapter = !NO_CHAPTERS.iter().any(|name| path.ends_with(name));
            ensure!(
                !is_chapter || text.starts_with("For "),
                "{} does not say for whom it is",
                path.display()
            );
        }
    }
    for entry in fs::read_dir(project.root.join("examples/src/bin"))? {
        let path = entry?.path();
        let text = fs::read_to_string(&path)?;
        let question = text.lines().next().is_some_and(|line| line.ends_with('?'));
        ensure!(question, "{} does not say which question it answers", path.display());
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        ensure!(readme.contains(&format!("`{name}`")), "README.md does not list {name}");
    }
    Ok(())
}

/// Returns the paths of files and folders that a page names in backticks, from the root.
fn paths(page: &str) -> impl Iterator<Item = &str> {
    let quoted = page.split('`').skip(1).step_by(2);
    quoted.filter(|text| {
        let is_path = !text.contains(|c: char| c.is_whitespace() || "*$<>".contains(c)) && !text.contains("NAME");
        let is_from_root = [
            "otel-",
            "tests/",
            "xtask/",
            "docs/",
            "benches/",
            "examples/",
            "peers/",
            "fuzz/",
        ];
        is_path && text.contains('/') && is_from_root.iter().any(|folder| text.starts_with(folder))
    })
}

fn ensure_compiled(path: &Path, text: &str) -> Result<()> {
    ensure!(
        !text.contains("```rust,ignore") && !text.contains("```ignore"),
        "{} has a block of code that is not compiled",
        path.display()
    );
    Ok(())
}

/// The HTML pages of the documentation.
struct Pages {
    root: PathBuf,
    /// The text of the pages that links have led to.
    read: BTreeMap<PathBuf, String>,
}

impl Pages {
    /// Returns the links of a page that lead nowhere within the documentation.
    fn broken_links(&mut self, page: &Path) -> Result<Vec<String>> {
        let html = fs::read_to_string(page)?;
        let folder = page.parent().context("a page is in a folder")?;
        let mut broken = Vec::new();
        for link in links(&html) {
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = match published_path(file) {
                Some(path) if path.ends_with('/') => self.root.join(path).join("index.html"),
                Some(path) => self.root.join(path),
                None if file.is_empty() => page.to_owned(),
                None => folder.join(file),
            };
            // The lines of a source have anchors that a script makes.
            let is_source = file.contains("/src/");
            if !target.is_file() || !(anchor.is_empty() || is_source || self.has_anchor(&target, anchor)?) {
                broken.push(format!("{}: {link}", page.display()));
            }
        }
        Ok(broken)
    }

    fn has_anchor(&mut self, page: &Path, anchor: &str) -> Result<bool> {
        let page = page.canonicalize()?;
        if !self.read.contains_key(&page) {
            self.read.insert(page.clone(), fs::read_to_string(&page)?);
        }
        Ok(self.read[&page].contains(&format!("id=\"{anchor}\"")))
    }
}

/// Returns the path within the documentation, if the address is that of a crate's page on docs.rs.
fn published_path(address: &str) -> Option<&str> {
    let (name, path) = address.strip_prefix("https://docs.rs/")?.split_once("/latest/")?;
    name.starts_with("otel-").then_some(path)
}

/// Returns the addresses of links and pictures, except those on another server.
///
/// Without their documentation, rustdoc leaves the paths of items of other crates as they are, such
/// as `crate::Span`.
fn links(html: &str) -> impl Iterator<Item = &str> {
    let addresses = [" href=\"", " src=\""].map(|attribute| html.split(attribute).skip(1));
    let addresses = addresses.into_iter().flatten();
    let addresses = addresses
        .filter_map(|rest| rest.split_once('"'))
        .map(|(address, _)| address);
    addresses.filter(|address| {
        let is_elsewhere = address.contains("://") || address.starts_with("data:");
        let is_file = address.contains(['.', '/']) || address.starts_with('#');
        (is_file && !is_elsewhere) || published_path(address).is_some()
    })
}

fn html_files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            files.extend(html_files(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "html") {
            files.push(path);
        }
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::{links, published_path};

    #[test]
    fn links_within_the_documentation_are_found() {
        let html = r##"<a href="a.html#b">, <a href="https://c.example/">, <img src="d.png"> <a class="e" href="#f">, <a href="crate::G">"##;
        assert_eq!(links(html).collect::<Vec<_>>(), ["a.html#b", "#f", "d.png"]);
    }

    #[test]
    fn pages_on_docs_rs_are_those_of_the_crates() {
        let address = "https://docs.rs/otel-setup/latest/otel_setup/docs/";
        assert_eq!(published_path(address), Some("otel_setup/docs/"));
        assert_eq!(published_path("https://docs.rs/otel-setup"), None);
        assert_eq!(published_path("https://docs.rs/tonic/latest/tonic/"), None);
    }
}
