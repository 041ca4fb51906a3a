//! The resource: the attributes that describe the service in all signals.

use std::env;
use std::path::Path;
use std::str::Utf8Error;

use opentelemetry::{Key, KeyValue, Value};
use opentelemetry_resource_detectors::{
    ContainerResourceDetector, HostResourceDetector, OsResourceDetector, ProcessResourceDetector,
    ServiceInstanceIdResourceDetector,
};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::resource::{ResourceDetector, TelemetryResourceDetector};
use percent_encoding::percent_decode_str;

use crate::env::Env;

const SERVICE_NAME: &str = "service.name";
const SERVICE_NAME_VARIABLE: &str = "OTEL_SERVICE_NAME";
pub(crate) const ATTRIBUTES_VARIABLE: &str = "OTEL_RESOURCE_ATTRIBUTES";

/// Builds the resource. Attributes of the program take precedence over those of the environment,
/// and these over detected ones.
pub(crate) fn resource(explicit: Vec<KeyValue>, env: &Env) -> Resource {
    let service_name = env.text(SERVICE_NAME_VARIABLE);
    let service_name = service_name.map(|name| KeyValue::new(SERVICE_NAME, name));
    Resource::builder_empty()
        .with_attributes(detected())
        .with_attributes(with_service_name(attributes_from_env(env), env))
        .with_attributes(with_service_name(Vec::from_iter(service_name), env))
        .with_attributes(with_service_name(explicit, env))
        .build()
}

/// Removes an empty `service.name`: backends group services by their name.
fn with_service_name(mut attributes: Vec<KeyValue>, env: &Env) -> Vec<KeyValue> {
    let count = attributes.len();
    attributes.retain(|attribute| !is_unnamed_service(attribute));
    if attributes.len() < count {
        env.warn(SERVICE_NAME, "", "is empty; ignoring it");
    }
    attributes
}

/// Returns whether an attribute is an empty `service.name`.
pub(crate) fn is_unnamed_service(attribute: &KeyValue) -> bool {
    attribute.key.as_str() == SERVICE_NAME && attribute.value.as_str().trim().is_empty()
}

fn detected() -> Vec<KeyValue> {
    let detectors: [&dyn ResourceDetector; 6] = [
        &TelemetryResourceDetector,
        &ServiceInstanceIdResourceDetector,
        &HostResourceDetector::default(),
        &OsResourceDetector,
        &ProcessResourceDetector,
        &ContainerResourceDetector,
    ];
    let mut attributes = vec![KeyValue::new(SERVICE_NAME, unknown_service())];
    for detector in detectors {
        let detected = detector.detect();
        attributes.extend(detected.iter().filter_map(|(key, value)| conventional(key, value)));
    }
    attributes
}

/// Replaces Rust's names in a detected attribute by those of the semantic conventions.
fn conventional(key: &Key, value: &Value) -> Option<KeyValue> {
    let value = match (key.as_str(), value.as_str().as_ref()) {
        // The command line may contain secrets.
        ("process.command_args", _) => return None,
        ("host.arch", "x86_64") => "amd64".into(),
        ("host.arch", "aarch64") => "arm64".into(),
        ("host.arch", "arm") => "arm32".into(),
        ("host.arch", "powerpc") => "ppc32".into(),
        ("host.arch", "powerpc64") => "ppc64".into(),
        ("os.type", "macos") => "darwin".into(),
        _ => value.clone(),
    };
    Some(KeyValue::new(key.clone(), value))
}

/// Returns the default service name of the specification.
fn unknown_service() -> String {
    service_of(env::current_exe().ok().as_deref())
}

fn service_of(program: Option<&Path>) -> String {
    let Some(name) = program.and_then(Path::file_name) else {
        return "unknown_service".to_owned();
    };
    let name = name.to_string_lossy();
    // Linux marks the program if an update has replaced its file.
    format!("unknown_service:{}", name.strip_suffix(" (deleted)").unwrap_or(&name))
}

/// Parses `OTEL_RESOURCE_ATTRIBUTES`, a list of pairs in the format of W3C Baggage.
///
/// A malformed pair discards the whole list, as [the specification
/// requires](https://opentelemetry.io/docs/specs/otel/resource/sdk/#specifying-resource-information-via-an-environment-variable).
pub(crate) fn attributes_from_env(env: &Env) -> Vec<KeyValue> {
    let Some(list) = env.text(ATTRIBUTES_VARIABLE) else {
        return Vec::new();
    };
    let pairs = list.split(',').map(str::trim).filter(|pair| !pair.is_empty());
    match pairs.map(attribute).collect() {
        Ok(attributes) => attributes,
        Err(problem) => {
            let problem = format_args!("{problem}; ignoring the whole list");
            env.warn(ATTRIBUTES_VARIABLE, &list, problem);
            Vec::new()
        }
    }
}

fn attribute(pair: &str) -> Result<KeyValue, String> {
    let Some((key, value)) = pair.split_once('=') else {
        return Err(format!("has no \"=\" in {pair:?}"));
    };
    let (key, value) = (key.trim(), value.trim());
    if key.is_empty() {
        return Err(format!("has an empty name in {pair:?}"));
    }
    let decoded = |text: &str| {
        if !has_valid_escapes(text) {
            return Err(format!("has an invalid percent sequence in {pair:?}"));
        }
        decoded(text).map_err(|_| format!("has invalid UTF-8 in {pair:?}"))
    };
    Ok(KeyValue::new(decoded(key)?, decoded(value)?))
}

/// Returns whether two hexadecimal digits follow each `%`.
fn has_valid_escapes(text: &str) -> bool {
    let mut escapes = text.split('%').skip(1);
    escapes.all(|escape| {
        let mut digits = escape.bytes();
        let mut is_digit = || digits.next().is_some_and(|digit| digit.is_ascii_hexdigit());
        is_digit() && is_digit()
    })
}

fn decoded(text: &str) -> Result<String, Utf8Error> {
    percent_decode_str(text).decode_utf8().map(std::borrow::Cow::into_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attributes<const N: usize>(variables: [(&str, &str); N]) -> (Resource, Vec<String>) {
        let env = Env::from_vars(variables);
        let resource = resource(vec![KeyValue::new("service.version", "1.2")], &env);
        (resource, env.into_warnings())
    }

    fn value(resource: &Resource, key: &'static str) -> Option<String> {
        let value = resource.get(&Key::from_static_str(key))?;
        Some(value.as_str().into_owned())
    }

    #[test]
    fn the_default_service_has_the_name_of_the_program() {
        for (program, expected) in [
            (Some("/bin/greeter"), "unknown_service:greeter"),
            (Some("/bin/greeter (deleted)"), "unknown_service:greeter"),
            (Some("/"), "unknown_service"),
            (None, "unknown_service"),
        ] {
            assert_eq!(service_of(program.map(Path::new)), expected, "{program:?}");
        }
    }

    #[test]
    fn values_are_percent_decoded() {
        let list = " team = pay%2Cments , path=a=b,note=100%25%20%C3%A9,k%3D=v,empty=,";
        let (resource, warnings) = attributes([(ATTRIBUTES_VARIABLE, list)]);
        assert_eq!(warnings, [] as [&str; 0]);
        for (key, expected) in [
            ("team", "pay,ments"),
            ("path", "a=b"),
            ("note", "100% é"),
            ("k=", "v"),
            ("empty", ""),
        ] {
            assert_eq!(value(&resource, key).as_deref(), Some(expected), "{key}");
        }
    }

    #[test]
    fn a_malformed_pair_discards_the_whole_list() {
        for (malformed, problem) in [
            ("plain", "has no \"=\" in \"plain\""),
            ("=v", "has an empty name in \"=v\""),
            ("bytes=%FF", "has invalid UTF-8 in \"bytes=%FF\""),
            ("share=50%", "has an invalid percent sequence in \"share=50%\""),
            ("share=5%0", "has an invalid percent sequence in \"share=5%0\""),
            ("%zz=1", "has an invalid percent sequence in \"%zz=1\""),
        ] {
            let list = format!("team=payments,{malformed},service.name=shop");
            let (resource, warnings) = attributes([(ATTRIBUTES_VARIABLE, &list)]);
            assert_eq!(value(&resource, "team"), None, "{list}");
            assert!(
                value(&resource, SERVICE_NAME).unwrap().starts_with("unknown_service:"),
                "{list}"
            );
            let expected = format!("{ATTRIBUTES_VARIABLE}={list:?} {problem}; ignoring the whole list");
            assert_eq!(warnings, [expected]);
        }
    }

    #[test]
    fn otel_service_name_takes_precedence() {
        let pairs = (ATTRIBUTES_VARIABLE, "service.name=shop,service.version=1.0");
        let (resource, _) = attributes([pairs]);
        assert_eq!(value(&resource, SERVICE_NAME).unwrap(), "shop");
        assert_eq!(
            value(&resource, "service.version").unwrap(),
            "1.2",
            "set by the program"
        );
        let (resource, _) = attributes([pairs, (SERVICE_NAME_VARIABLE, "till")]);
        assert_eq!(value(&resource, SERVICE_NAME).unwrap(), "till");
        let (resource, _) = attributes([pairs, (SERVICE_NAME_VARIABLE, "")]);
        assert_eq!(value(&resource, SERVICE_NAME).unwrap(), "shop", "empty is unset");
    }

    #[test]
    fn an_empty_service_name_is_ignored() {
        for (name, expected) in [("", "unknown_service:"), (" ", "unknown_service:"), ("till", "till")] {
            let list = "service.name=,team=payments";
            let (resource, warnings) = attributes([(ATTRIBUTES_VARIABLE, list), (SERVICE_NAME_VARIABLE, name)]);
            assert!(
                value(&resource, SERVICE_NAME).unwrap().starts_with(expected),
                "{name:?}"
            );
            assert_eq!(value(&resource, "team").unwrap(), "payments");
            assert_eq!(warnings, ["service.name=\"\" is empty; ignoring it"]);
        }
    }

    #[test]
    fn detected_attributes_follow_the_conventions_and_omit_the_command_line() {
        let (resource, _) = attributes([]);
        assert_eq!(value(&resource, "telemetry.sdk.name").unwrap(), "opentelemetry");
        assert_eq!(value(&resource, "telemetry.sdk.language").unwrap(), "rust");
        assert_eq!(value(&resource, "service.instance.id").unwrap().len(), 36);
        assert_eq!(value(&resource, "process.pid").unwrap(), std::process::id().to_string());
        assert_eq!(value(&resource, "process.command_args"), None);
        if cfg!(all(target_os = "linux", target_arch = "x86_64")) {
            assert_eq!(value(&resource, "host.arch").unwrap(), "amd64");
            assert_eq!(value(&resource, "os.type").unwrap(), "linux");
        }
    }

    #[test]
    fn names_of_other_systems_follow_the_conventions() {
        for (key, detected, expected) in [
            ("host.arch", "aarch64", "arm64"),
            ("host.arch", "arm", "arm32"),
            ("host.arch", "powerpc64", "ppc64"),
            ("host.arch", "s390x", "s390x"),
            ("os.type", "macos", "darwin"),
            ("os.type", "windows", "windows"),
        ] {
            let attribute = conventional(&Key::from_static_str(key), &Value::from(detected));
            assert_eq!(attribute, Some(KeyValue::new(key, expected)));
        }
    }
}
