//! Chapters: how to set OpenTelemetry up.
//!
//! | to find out | read |
//! |---|---|
//! | what `init` sets up, and what can be set in code | [Set-up](setup) |
//! | which environment variables there are, and their defaults | [Environment variables](variables) |
//! | how to configure it with OpenTelemetry's configuration file | [Configuration file](configuration_file) |
//! | what happens while a receiver is away or refuses | [Outages](outages) |
//! | what Prometheus gets from a scrape: names, formats, exemplars | [Prometheus](prometheus) |
//! | how to see what runs now, with a browser alone | [zPages](zpages) |
//! | how to run a service in production | [In production](otel_runtime::docs::production) |
//! | what is recorded of RPCs, and everything else | [the chapters of otel-runtime](otel_runtime::docs) |
//!
//! The modules have no items.

// Links to items that need a Cargo feature lead to docs.rs without it.

#[doc = include_str!("../docs/outages.md")]
pub mod outages {}

#[doc = include_str!("../docs/setup.md")]
pub mod setup {}

#[doc = include_str!("../docs/configuration_file.md")]
#[cfg_attr(feature = "config-file", doc = "\n\n[check]: crate::check")]
#[cfg_attr(
    not(feature = "config-file"),
    doc = "\n\n[check]: https://docs.rs/otel-setup/latest/otel_setup/fn.check.html"
)]
pub mod configuration_file {}

#[doc = include_str!("../docs/prometheus.md")]
pub mod prometheus {}

#[doc = include_str!("../docs/variables.md")]
pub mod variables {}

#[doc = include_str!("../docs/zpages.md")]
#[cfg_attr(
    feature = "zpages",
    doc = "

[address]: crate::Builder::zpages_address
[allowed]: crate::Builder::zpages_allowed_host"
)]
#[cfg_attr(
    not(feature = "zpages"),
    doc = "

[address]: https://docs.rs/otel-setup/latest/otel_setup/struct.Builder.html#method.zpages_address
[allowed]: https://docs.rs/otel-setup/latest/otel_setup/struct.Builder.html#method.zpages_allowed_host"
)]
pub mod zpages {}
