//! The sampler that `OTEL_TRACES_SAMPLER` names.

use opentelemetry_sdk::trace::Sampler;

use crate::env::Env;

/// Returns the sampler of `OTEL_TRACES_SAMPLER`.
pub(crate) fn from_env(env: &Env) -> Sampler {
    #[derive(Clone, Copy)]
    enum Root {
        AlwaysOn,
        AlwaysOff,
        TraceIdRatio,
    }
    const VARIABLE: &str = "OTEL_TRACES_SAMPLER";
    const DEFAULT: &str = "parentbased_always_on";
    let known = [
        ("always_on", (false, Root::AlwaysOn)),
        ("always_off", (false, Root::AlwaysOff)),
        ("traceidratio", (false, Root::TraceIdRatio)),
        (DEFAULT, (true, Root::AlwaysOn)),
        ("parentbased_always_off", (true, Root::AlwaysOff)),
        ("parentbased_traceidratio", (true, Root::TraceIdRatio)),
    ];
    let (is_parent_based, root) = env.one_of(VARIABLE, &known, DEFAULT).unwrap_or((true, Root::AlwaysOn));
    let root = match root {
        Root::AlwaysOn => Sampler::AlwaysOn,
        Root::AlwaysOff => Sampler::AlwaysOff,
        Root::TraceIdRatio => Sampler::TraceIdRatioBased(ratio(env)),
    };
    if is_parent_based {
        Sampler::ParentBased(Box::new(root))
    } else {
        root
    }
}

/// Returns the ratio of `OTEL_TRACES_SAMPLER_ARG`.
pub(crate) fn ratio(env: &Env) -> f64 {
    const VARIABLE: &str = "OTEL_TRACES_SAMPLER_ARG";
    let Some(ratio) = env.number::<f64>(VARIABLE, &"1.0") else {
        return 1.0;
    };
    if (0.0..=1.0).contains(&ratio) {
        return ratio;
    }
    let value = ratio.to_string();
    env.warn(VARIABLE, &value, "is not between 0 and 1; using 1.0");
    1.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sampler_of<const N: usize>(variables: [(&str, &str); N]) -> (String, Vec<String>) {
        let env = Env::from_vars(variables);
        let sampler = format!("{:?}", from_env(&env));
        (sampler, env.into_warnings())
    }

    #[test]
    fn sampler_names_are_case_insensitive() {
        for (name, expected) in [
            ("always_on", "AlwaysOn"),
            ("ALWAYS_OFF", "AlwaysOff"),
            ("TraceIdRatio", "TraceIdRatioBased(0.25)"),
            ("parentbased_always_on", "ParentBased(AlwaysOn)"),
            ("ParentBased_Always_Off", "ParentBased(AlwaysOff)"),
            ("parentbased_traceidratio", "ParentBased(TraceIdRatioBased(0.25))"),
            ("", "ParentBased(AlwaysOn)"),
        ] {
            let variables = [("OTEL_TRACES_SAMPLER", name), ("OTEL_TRACES_SAMPLER_ARG", "0.25")];
            assert_eq!(sampler_of(variables), (expected.to_owned(), vec![]), "{name:?}");
        }
    }

    #[test]
    fn unknown_samplers_warn_and_use_the_default() {
        for name in ["sometimes", "jaeger_remote", "xray"] {
            let (sampler, warnings) = sampler_of([("OTEL_TRACES_SAMPLER", name)]);
            assert_eq!(sampler, "ParentBased(AlwaysOn)");
            let expected = format!(
                "OTEL_TRACES_SAMPLER={name:?} is not one of always_on, always_off, traceidratio, parentbased_always_on, \
                 parentbased_always_off, parentbased_traceidratio; using parentbased_always_on"
            );
            assert_eq!(warnings, [expected]);
        }
    }

    #[test]
    fn invalid_ratios_warn_and_use_1() {
        let ratio = |value| {
            sampler_of([
                ("OTEL_TRACES_SAMPLER", "traceidratio"),
                ("OTEL_TRACES_SAMPLER_ARG", value),
            ])
        };
        assert_eq!(ratio("0"), ("TraceIdRatioBased(0.0)".to_owned(), vec![]));
        assert_eq!(ratio(""), ("TraceIdRatioBased(1.0)".to_owned(), vec![]), "the default");
        for (value, shown, problem) in [
            ("half", "half", "is not a valid number"),
            ("1.5", "1.5", "is not between 0 and 1"),
            ("-1", "-1", "is not between 0 and 1"),
            ("nan", "NaN", "is not between 0 and 1"),
        ] {
            let warning = format!("OTEL_TRACES_SAMPLER_ARG={shown:?} {problem}; using 1.0");
            assert_eq!(ratio(value), ("TraceIdRatioBased(1.0)".to_owned(), vec![warning]));
        }
        let unused = [
            ("OTEL_TRACES_SAMPLER", "always_on"),
            ("OTEL_TRACES_SAMPLER_ARG", "half"),
        ];
        assert_eq!(
            sampler_of(unused),
            ("AlwaysOn".to_owned(), vec![]),
            "the ratio is not read"
        );
    }
}
