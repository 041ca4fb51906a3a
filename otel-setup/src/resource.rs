//! What a service says of itself with everything that it sends.

use std::env;
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
const ATTRIBUTES_VARIABLE: &str = "OTEL_RESOURCE_ATTRIBUTES";

/// What the program says, over what the environment says, over what can be found out.
pub(crate) fn resource(explicit: Vec<KeyValue>, env: &Env) -> Resource {
    let service_name = env.text(SERVICE_NAME_VARIABLE);
    Resource::builder_empty()
        .with_attributes(detected())
        .with_attributes(attributes_from_env(env))
        .with_attributes(service_name.map(|name| KeyValue::new(SERVICE_NAME, name)))
        .with_attributes(explicit)
        .build()
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

/// What was detected, in the words of the semantic conventions, where the detectors have Rust's.
fn conventional(key: &Key, value: &Value) -> Option<KeyValue> {
    let value = match (key.as_str(), value.as_str().as_ref()) {
        // People pass secrets on the command line.
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

/// The name of a service that has none, as the specification wants it.
fn unknown_service() -> String {
    let program = env::current_exe().ok();
    match program.as_ref().and_then(|program| program.file_name()) {
        Some(name) => format!("unknown_service:{}", name.to_string_lossy()),
        None => "unknown_service".to_owned(),
    }
}

/// Pairs in W3C's baggage format. One that is malformed discards the lot: so says
/// [the specification](https://opentelemetry.io/docs/specs/otel/resource/sdk/#specifying-resource-information-via-an-environment-variable).
pub(crate) fn attributes_from_env(env: &Env) -> Vec<KeyValue> {
    let Some(list) = env.text(ATTRIBUTES_VARIABLE) else {
        return Vec::new();
    };
    let pairs = list.split(',').map(str::trim).filter(|pair| !pair.is_empty());
    match pairs.map(attribute).collect() {
        Ok(attributes) => attributes,
        Err(reason) => {
            env.warn(
                ATTRIBUTES_VARIABLE,
                &list,
                format_args!("{reason}; it is ignored as a whole"),
            );
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
        return Err(format!("has no name in {pair:?}"));
    }
    let decoded = |text: &str| decoded(text).map_err(|_| format!("has what is not UTF-8 in {pair:?}"));
    Ok(KeyValue::new(decoded(key)?, decoded(value)?))
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
    fn one_malformed_pair_discards_all() {
        for (malformed, reason) in [
            ("plain", "has no \"=\" in \"plain\""),
            ("=v", "has no name in \"=v\""),
            ("bytes=%FF", "has what is not UTF-8 in \"bytes=%FF\""),
        ] {
            let list = format!("team=payments,{malformed},service.name=shop");
            let (resource, warnings) = attributes([(ATTRIBUTES_VARIABLE, &list)]);
            assert_eq!(value(&resource, "team"), None, "{list}");
            assert!(
                value(&resource, SERVICE_NAME).unwrap().starts_with("unknown_service:"),
                "{list}"
            );
            let expected = format!("{ATTRIBUTES_VARIABLE}={list:?} {reason}; it is ignored as a whole");
            assert_eq!(warnings, [expected]);
        }
    }

    #[test]
    fn the_service_name_has_a_variable_of_its_own_that_wins() {
        let pairs = (ATTRIBUTES_VARIABLE, "service.name=shop,service.version=1.0");
        let (resource, _) = attributes([pairs]);
        assert_eq!(value(&resource, SERVICE_NAME).unwrap(), "shop");
        assert_eq!(
            value(&resource, "service.version").unwrap(),
            "1.2",
            "the program's word"
        );
        let (resource, _) = attributes([pairs, (SERVICE_NAME_VARIABLE, "till")]);
        assert_eq!(value(&resource, SERVICE_NAME).unwrap(), "till");
        let (resource, _) = attributes([pairs, (SERVICE_NAME_VARIABLE, "")]);
        assert_eq!(value(&resource, SERVICE_NAME).unwrap(), "shop", "empty is unset");
    }

    #[test]
    fn what_is_found_out_has_conventional_values_and_no_command_line() {
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
    fn other_systems_have_conventional_names_too() {
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
