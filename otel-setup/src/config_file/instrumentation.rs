//! `instrumentation/development`: options of instrumentation libraries.

use super::layers::{self, Layers};
use super::section::Item;
use crate::error::InitError;

/// The options that apply to this program.
#[derive(Debug, Default)]
pub(crate) struct Instrumentation {
    /// The list of `OTEL_SEMCONV_STABILITY_OPT_IN`.
    pub(crate) stability_opt_in: String,
    pub(crate) layers: Option<Layers>,
}

pub(super) fn read(section: Option<Item<'_>>) -> Result<Instrumentation, InitError> {
    let Some(item) = section else {
        return Ok(Instrumentation::default());
    };
    let mut section = item.section()?;
    // Files are shared between services, so options of other languages are no mistake.
    for language in [
        "cpp", "dotnet", "erlang", "go", "java", "js", "php", "python", "ruby", "swift",
    ] {
        let _ = section.present(language);
    }
    let opt_in = section.get("general").map(|general| opt_in(&general)).transpose()?;
    let mut layers = None;
    if let Some(rust) = section.get("rust") {
        // The other options are for other libraries.
        for (name, options) in rust.entries()? {
            if name == "otel_runtime" && !options.is_null() {
                layers = Some(layers::read(&options)?);
            }
        }
    }
    section.finish()?;
    Ok(Instrumentation {
        stability_opt_in: opt_in.unwrap_or_default(),
        layers,
    })
}

/// Reads the options of all languages. That of RPCs takes precedence over the list.
fn opt_in(item: &Item<'_>) -> Result<String, InitError> {
    let mut section = item.section()?;
    let list = section.text("stability_opt_in_list")?;
    let mut opt_in = list.unwrap_or_default();
    if let Some(rpc) = section.get("rpc") {
        let mut rpc = rpc.section()?;
        if let Some(semconv) = rpc.get("semconv") {
            let mut semconv = semconv.section()?;
            if let Some(version) = semconv.get("version")
                && version.integer(&(0..=i64::MAX))? != 1
            {
                version.warn("is not known; using 1");
            }
            let is_dual = semconv.get("dual_emit").map(|item| item.boolean()).transpose()?;
            semconv.unsupported("experimental");
            semconv.finish()?;
            opt_in = if is_dual == Some(true) { "rpc/dup" } else { "" };
        }
        rpc.finish()?;
    }
    // The other options are for other instrumentation, such as that of HTTP.
    Ok(opt_in.to_owned())
}
