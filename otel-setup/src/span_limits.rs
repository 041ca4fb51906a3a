//! The limits of a span: numbers of attributes, events and links.

use opentelemetry_sdk::trace::SpanLimits;

use crate::env::Env;

/// Returns the span limits. The SDK reads only some of these variables, and ignores invalid values
/// silently.
pub(crate) fn from_env(env: &Env) -> SpanLimits {
    let limit = |variable, default: u32| {
        let limit = env.number::<u64>(variable, &default);
        // Who asks for more than any span has wants no limit.
        limit.map_or(default, |limit| u32::try_from(limit).unwrap_or(u32::MAX))
    };
    let default = SpanLimits::default();
    // The default of the specific limits.
    let attributes = limit("OTEL_ATTRIBUTE_COUNT_LIMIT", default.max_attributes_per_span);
    SpanLimits {
        max_attributes_per_span: limit("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", attributes),
        max_events_per_span: limit("OTEL_SPAN_EVENT_COUNT_LIMIT", default.max_events_per_span),
        max_links_per_span: limit("OTEL_SPAN_LINK_COUNT_LIMIT", default.max_links_per_span),
        max_attributes_per_event: limit("OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT", default.max_attributes_per_event),
        max_attributes_per_link: limit("OTEL_LINK_ATTRIBUTE_COUNT_LIMIT", default.max_attributes_per_link),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn specific_span_limits_override_the_general_one() {
        let env = Env::from_vars([
            ("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "1"),
            ("OTEL_ATTRIBUTE_COUNT_LIMIT", "9"),
            ("OTEL_SPAN_EVENT_COUNT_LIMIT", "2"),
            ("OTEL_SPAN_LINK_COUNT_LIMIT", "9223372036854775807"),
            ("OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT", "4"),
            ("OTEL_LINK_ATTRIBUTE_COUNT_LIMIT", "many"),
        ]);
        let limits = from_env(&env);
        assert_eq!(limits.max_attributes_per_span, 1, "the specific limit");
        assert_eq!(limits.max_events_per_span, 2);
        assert_eq!(limits.max_links_per_span, u32::MAX);
        assert_eq!(limits.max_attributes_per_event, 4);
        assert_eq!(limits.max_attributes_per_link, 128);
        let expected = r#"OTEL_LINK_ATTRIBUTE_COUNT_LIMIT="many" is not a valid number; using 128"#;
        assert_eq!(env.into_warnings(), [expected]);

        let general = Env::from_vars([("OTEL_ATTRIBUTE_COUNT_LIMIT", "9")]);
        assert_eq!(from_env(&general).max_attributes_per_span, 9);
    }
}
