//! Chapters: what is recorded, and how to use each piece.
//!
//! | to find out | read |
//! |---|---|
//! | which spans, attributes and metrics there are, and how each RPC ends | [What every RPC emits](emitted) |
//! | what the arguments of the attribute do | [Arguments](arguments) |
//! | what the attribute writes | [Expansion](expansion) |
//! | why it does not compile | [Compile errors](compile_errors) |
//! | what the attribute cannot do | [Limits](limits) |
//! | what a layer around the server adds | [Server layer](server_layer) |
//! | how to record outgoing calls | [Client](client) |
//! | how to use other headers than `traceparent`, and how to pass a context on by hand | [Propagators](propagators) |
//! | how to keep the context in tasks and threads | [`task`](crate::task) |
//! | how to test that a service is traced | [Testing](testing) |
//! | how to shut down, sample, and bound what is recorded | [In production](production) |
//! | where layers belong, and what proxies, peers and lost connections look like | [Other software](other_software) |
//! | what untrusted callers can do | [Trust](trust) |
//! | what tracing costs | [Cost](cost) |
//! | how to move over from something else | [Migrating](migrating) |
//! | how to set OpenTelemetry up, and with which variables | [the chapters of otel-setup](https://docs.rs/otel-setup/latest/otel_setup/docs/) |
//!
//! The modules have no items.

#[doc = include_str!("../docs/arguments.md")]
pub mod arguments {}

#[doc = include_str!("../docs/client.md")]
pub mod client {}

#[doc = include_str!("../docs/compile_errors.md")]
pub mod compile_errors {}

#[doc = include_str!("../docs/cost.md")]
pub mod cost {}

#[doc = include_str!("../docs/emitted.md")]
pub mod emitted {}

#[doc = include_str!("../docs/expansion.md")]
pub mod expansion {}

#[doc = include_str!("../docs/limits.md")]
pub mod limits {}

#[doc = include_str!("../docs/migrating.md")]
pub mod migrating {}

#[doc = include_str!("../docs/other_software.md")]
pub mod other_software {}

#[doc = include_str!("../docs/production.md")]
pub mod production {}

#[doc = include_str!("../docs/propagators.md")]
pub mod propagators {}

#[doc = include_str!("../docs/server_layer.md")]
pub mod server_layer {}

#[doc = include_str!("../docs/testing.md")]
pub mod testing {}

#[doc = include_str!("../docs/trust.md")]
pub mod trust {}

#[cfg(test)]
mod tests {
    /// Returns the blocks of a language, each with the next block of code behind it.
    fn blocks<'a>(chapter: &'a str, language: &str) -> Vec<(&'a str, &'a str)> {
        let start = format!("```{language}\n");
        let blocks = chapter.split(start.as_str()).skip(1).map(|rest| {
            let (block, rest) = rest.split_once("```").unwrap();
            let (_, rest) = rest.split_once("```").unwrap();
            let (_, rest) = rest.split_once('\n').unwrap();
            (block, rest.split_once("```").unwrap().0)
        });
        blocks.collect()
    }

    /// Documentation tests compile what is behind a diff.
    #[test]
    fn each_diff_of_migrating_leads_to_the_code_behind_it() {
        let diffs = blocks(include_str!("../docs/migrating.md"), "diff");
        assert_eq!(diffs.len(), 4);
        for (diff, after) in diffs {
            let mut after = after.lines().map(|line| line.trim_start_matches("# ").trim());
            let kept = diff.lines().filter(|line| !line.starts_with('-'));
            for line in kept.filter_map(|line| Some(line.get(1..)?.trim())) {
                assert!(line.is_empty() || after.any(|found| found == line), "{line}");
            }
        }
    }
}
