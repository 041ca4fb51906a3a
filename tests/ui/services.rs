//! The services that the attribute accepts, for the tests, and for their lints in xtask.

use std::path::{Path, PathBuf};
use std::{fs, io};

/// A file in `pass`, or one of its orders.
#[derive(Clone)]
pub(crate) struct Service {
    /// The name of its module.
    pub(crate) name: String,
    pub(crate) code: String,
}

/// Returns the services in the files of a folder, which is `ui/pass`.
///
/// A file in `each_order` is there several times: with the attribute above `#[async_trait]`, below
/// it, and without `#[async_trait]`, unless the first line says that the file needs it.
pub(crate) fn accepted(folder: &Path) -> io::Result<Vec<Service>> {
    let mut services = Vec::new();
    for file in files(folder)? {
        let code = fs::read_to_string(&file)?;
        services.push(Service {
            name: stem(&file),
            code,
        });
    }
    for file in files(&folder.join("each_order"))? {
        let (name, above) = (stem(&file), fs::read_to_string(&file)?);
        let mut add = |order: &str, code: String| {
            let module = format!("{name}_{order}_async_trait");
            let code = code.replace(&format!("crate::{name}::"), &format!("crate::{module}::"));
            services.push(Service { name: module, code });
        };
        add("below", below_async_trait(&above));
        if !above.starts_with("// Needs `#[async_trait]`") {
            add("without", without_async_trait(&above));
        }
        add("above", above);
    }
    Ok(services)
}

/// Returns the Rust files of a folder, in a fixed order.
fn files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder)?.map(|entry| Ok(entry?.path()));
    let mut files = entries.collect::<io::Result<Vec<PathBuf>>>()?;
    files.retain(|file| file.extension().is_some_and(|extension| extension == "rs"));
    files.sort();
    Ok(files)
}

fn stem(file: &Path) -> String {
    file.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

/// Swaps each `#[traced_service]` with the `#[async_trait]` in the line below it.
fn below_async_trait(code: &str) -> String {
    let mut lines: Vec<&str> = code.split_inclusive('\n').collect();
    for line in 1..lines.len() {
        if is_async_trait(lines[line]) && lines[line - 1].contains("traced_service") {
            lines.swap(line - 1, line);
        }
    }
    lines.concat()
}

fn without_async_trait(code: &str) -> String {
    let lines = code.split_inclusive('\n');
    lines.filter(|line| !is_async_trait(line)).collect()
}

fn is_async_trait(line: &str) -> bool {
    line.trim_start().starts_with("#[") && line.trim_end().ends_with("async_trait]")
}
