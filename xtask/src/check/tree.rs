//! The tree in `docs/architecture.md`, and the arrows between the files of the crates.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use syn::{File, Item, UseTree};

use crate::project::Project;

const PAGE: &str = "docs/architecture.md";

/// Files of more lines, without their unit tests, need a reason in this table.
const MAX_LINES: usize = 300;
const LONG: [(&str, &str); 0] = [];

/// A module by its path in the crate, such as `server::layer`. The root is empty.
type Module = String;

/// Checks that the page names every file of the crates, that no file imports from a line above its
/// own, that no imports form a circle, and that no file is too long.
pub(super) fn checked(project: &Project) -> Result<()> {
    let page = fs::read_to_string(project.root.join(PAGE))?;
    let mut wrong = Vec::new();
    for (root, lines) in trees(&page)? {
        let files = source_files(&project.root.join(&root))?;
        let tree = Tree::parse(&lines);
        let mut imports = BTreeMap::new();
        for (module, path) in &files {
            let source = fs::read_to_string(project.root.join(&root).join(path))?;
            let name = format!("{root}/{path}");
            let code = source.split("\n#[cfg(test)]\nmod tests {").next().unwrap_or_default();
            let count = code.lines().count();
            if count > MAX_LINES && !path.contains("tests") && !LONG.iter().any(|(long, _)| *long == name) {
                wrong.push(format!("{name} has {count} lines: divide it by meaning"));
            }
            let is_folder = path.ends_with("mod.rs");
            let file = syn::parse_file(&source).with_context(|| name.clone())?;
            imports.insert(module.clone(), imported(module, is_folder, &file, &files));
        }
        for (module, path) in &files {
            if !module.is_empty() && tree.line(module).is_none() {
                wrong.push(format!("{PAGE} does not name {root}/{path}"));
            }
        }
        for name in tree.names().filter(|name| !files.contains_key(*name)) {
            wrong.push(format!("{PAGE} names {name} of {root}, which does not exist"));
        }
        for (from, to) in imports
            .iter()
            .flat_map(|(from, all)| all.iter().map(move |to| (from, to)))
        {
            if tree.line(to) < tree.line(from) {
                wrong.push(format!("{root}: {from} imports {to}, which is above it in {PAGE}"));
            }
        }
        wrong.extend(circle(&imports).map(|circle| format!("{root}: {} import each other", circle.join(", "))));
    }
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

/// Returns the trees of the page: the folder of the sources, and the lines below it.
fn trees(page: &str) -> Result<Vec<(String, Vec<&str>)>> {
    let (_, block) = page
        .split_once("```text\notel-macros/src")
        .context("the tree is missing")?;
    let (block, _) = block.split_once("\n```").context("the tree has no end")?;
    let mut trees = vec![("otel-macros/src".to_owned(), Vec::new())];
    for line in block.lines().filter(|line| !line.is_empty()) {
        if line.starts_with(' ') {
            trees.last_mut().context("a line has no crate")?.1.push(line);
        } else {
            trees.push((line.to_owned(), Vec::new()));
        }
    }
    Ok(trees)
}

/// The lines of the page on which modules stand.
#[derive(Default)]
struct Tree(BTreeMap<Module, usize>);

impl Tree {
    /// Parses lines such as `  server/handler/   descriptor (the static)  call`, whose next line
    /// may go on with names, or `  guard  intern    a description`.
    fn parse(lines: &[&str]) -> Self {
        let mut tree = Tree::default();
        let mut folder = None;
        for (at, line) in lines.iter().enumerate() {
            let line = without_parentheses(line);
            let is_continued = line.starts_with("          ");
            let mut names = line.split_whitespace().peekable();
            if !is_continued {
                folder = names.next_if(|first| first.ends_with('/')).map(module_name);
                tree.0.extend(
                    folder
                        .clone()
                        .filter(|folder| !tree.0.contains_key(folder))
                        .map(|folder| (folder, at)),
                );
            }
            match &folder {
                Some(folder) => {
                    let modules = names.map(|name| match name {
                        "mod" => folder.clone(),
                        name => format!("{folder}::{}", module_name(name)),
                    });
                    tree.0.extend(modules.map(|module| (module, at)));
                }
                None if is_continued => {}
                None => {
                    let names = line.trim().split("    ").next().unwrap_or_default();
                    let names = names.split_whitespace().map(|name| match name {
                        "lib" => Module::new(),
                        name => module_name(name),
                    });
                    tree.0.extend(names.map(|name| (name, at)));
                }
            }
        }
        tree
    }

    /// Returns the line of a module. A folder without names stands for all its files.
    fn line(&self, module: &str) -> Option<usize> {
        self.0.get(module).copied().or_else(|| {
            let (folder, _) = module.rsplit_once("::")?;
            let is_closed = !self.names().any(|name| is_inside(name, folder));
            is_closed.then(|| self.line(folder)).flatten()
        })
    }

    fn names(&self) -> impl Iterator<Item = &Module> {
        self.0.keys()
    }
}

fn module_name(name: &str) -> Module {
    name.trim_end_matches('/').replace('/', "::")
}

fn without_parentheses(line: &str) -> String {
    let mut depth = 0;
    let is_outside = |character: &char| {
        depth += i32::from(*character == '(');
        let is_outside = depth == 0;
        depth -= i32::from(*character == ')');
        is_outside
    };
    line.chars().filter(is_outside).collect()
}

fn is_inside(module: &str, folder: &str) -> bool {
    folder.is_empty() && !module.is_empty() || module.strip_prefix(folder).is_some_and(|rest| rest.starts_with("::"))
}

/// Returns the modules below a folder with their paths, without those of tests.
fn source_files(root: &Path) -> Result<BTreeMap<Module, String>> {
    let mut files = BTreeMap::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder)? {
            let path = entry?.path();
            let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            if path.is_dir() && name != "tests" {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") && name != "tests" {
                let relative = path.strip_prefix(root)?.to_string_lossy().into_owned();
                let module = relative.trim_end_matches(".rs").trim_end_matches("/mod");
                let module = if module == "lib" { "" } else { module };
                files.insert(module.replace('/', "::"), relative);
            }
        }
    }
    Ok(files)
}

/// Returns the modules that a file imports, except those of its own folder's contents.
fn imported(module: &str, is_folder: bool, file: &File, files: &BTreeMap<Module, String>) -> BTreeSet<Module> {
    let mut paths = Vec::new();
    for item in &file.items {
        if let Item::Use(item) = item {
            flatten(&item.tree, &mut Vec::new(), &mut paths);
        }
    }
    let parent = module.rsplit_once("::").map_or("", |(parent, _)| parent);
    let resolved = paths.iter().filter_map(|path| {
        let (base, rest) = match path.split_first()? {
            (first, rest) if first == "crate" => ("", rest),
            (first, rest) if first == "super" => (parent, rest),
            (first, rest) if first == "self" => (module, rest),
            _ => return None,
        };
        let base: Vec<&str> = base.split("::").filter(|part| !part.is_empty()).collect();
        let full: Vec<&str> = base.into_iter().chain(rest.iter().map(String::as_str)).collect();
        (0..=full.len())
            .rev()
            .map(|length| full[..length].join("::"))
            .find(|module| files.contains_key(module))
    });
    // A folder's own file declares and exports what is in the folder.
    let is_own = |imported: &Module| imported == module || is_folder && is_inside(imported, module);
    resolved
        .filter(|imported| !is_own(imported) && !module.is_empty())
        .collect()
}

/// Appends the paths of a `use`.
fn flatten(tree: &UseTree, before: &mut Vec<String>, paths: &mut Vec<Vec<String>>) {
    match tree {
        UseTree::Path(path) => {
            before.push(path.ident.to_string());
            flatten(&path.tree, before, paths);
            before.pop();
        }
        UseTree::Group(group) => {
            for tree in &group.items {
                flatten(tree, before, paths);
            }
        }
        UseTree::Name(name) => paths.push([&before[..], &[name.ident.to_string()]].concat()),
        UseTree::Rename(name) => paths.push([&before[..], &[name.ident.to_string()]].concat()),
        UseTree::Glob(_) => paths.push(before.clone()),
    }
}

/// Returns the modules of a circle, if there is one.
fn circle(imports: &BTreeMap<Module, BTreeSet<Module>>) -> Option<Vec<Module>> {
    let mut left = imports.clone();
    // Without a circle, some module imports none of those that are left.
    while let Some(lowest) = left.iter().find(|(_, all)| !all.iter().any(|to| left.contains_key(to))) {
        let lowest = lowest.0.clone();
        left.remove(&lowest);
    }
    (!left.is_empty()).then(|| left.into_keys().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILES: [&str; 5] = ["", "server", "server::layer", "server::start", "guard"];

    fn files() -> BTreeMap<Module, String> {
        FILES.map(|module| (module.to_owned(), String::new())).into()
    }

    fn imports_of(module: &str, source: &str) -> Vec<Module> {
        let file = syn::parse_file(source).unwrap();
        imported(module, module == "server", &file, &files())
            .into_iter()
            .collect()
    }

    #[test]
    fn imports_are_resolved_to_files() {
        let source = "use std::fmt; use super::start::{Started, start_call as start}; use crate::guard::{self, Guard};";
        assert_eq!(imports_of("server::layer", source), ["guard", "server::start"]);
        assert_eq!(
            imports_of("server::layer", "use crate::ServerLayer; use super::Shared;"),
            ["", "server"]
        );
        assert_eq!(
            imports_of("server", "pub use layer::ServerLayer; use self::start::Started;"),
            [""; 0]
        );
        assert_eq!(
            imports_of("guard", "mod tests { use crate::server::layer::ServerLayer; }"),
            [""; 0]
        );
    }

    #[test]
    fn a_line_names_modules() {
        let lines = [
            "  lib  docs                   the guard of nothing",
            "  fuzzing/                    (checks of everything)",
            "  server/                     layer (a guard)",
            "                              start  mod",
            "  guard",
        ];
        let tree = Tree::parse(&lines);
        let found = |module| tree.line(module);
        assert_eq!([found(""), found("docs"), found("guard")], [Some(0), Some(0), Some(4)]);
        assert_eq!(
            [found("server::layer"), found("server::start"), found("server")],
            [Some(2), Some(3), Some(3)]
        );
        assert_eq!(
            [found("fuzzing::paths"), found("server::body"), found("nothing")],
            [Some(1), None, None]
        );
    }

    #[test]
    fn circles_are_found() {
        let imports = |pairs: &[(&str, &str)]| {
            let mut imports: BTreeMap<Module, BTreeSet<Module>> = BTreeMap::new();
            for (from, to) in pairs {
                imports.entry((*from).to_owned()).or_default().insert((*to).to_owned());
                imports.entry((*to).to_owned()).or_default();
            }
            imports
        };
        assert_eq!(circle(&imports(&[("a", "b"), ("b", "c"), ("a", "c")])), None);
        let circle = circle(&imports(&[("a", "b"), ("b", "c"), ("c", "b"), ("c", "d")]));
        assert_eq!(circle.unwrap(), ["a", "b", "c"]);
    }
}
