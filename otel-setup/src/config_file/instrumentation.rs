//! `instrumentation/development`: options of instrumentation libraries.

use super::section::Item;
use crate::error::InitError;

/// Reads the options of this program's language, none of which is supported yet.
pub(super) fn read(section: Option<Item<'_>>) -> Result<(), InitError> {
    let Some(item) = section else { return Ok(()) };
    let mut section = item.section()?;
    // Files are shared between services, so those of other languages are no mistake.
    for language in [
        "cpp", "dotnet", "erlang", "go", "java", "js", "php", "python", "ruby", "swift",
    ] {
        let _ = section.present(language);
    }
    if let Some(general) = section.get("general") {
        for (name, option) in general.entries()? {
            match name {
                "rpc" | "stability_opt_in_list" => {
                    option.warn("is not supported yet; set the variable OTEL_SEMCONV_STABILITY_OPT_IN=rpc/dup");
                }
                _ => {}
            }
        }
    }
    if let Some(rust) = section.get("rust") {
        for (name, options) in rust.entries()? {
            if name == "otel_runtime" {
                options.warn("is not supported yet; configure `ServerLayer` and `ClientLayer` in code");
            }
        }
    }
    section.finish()
}
