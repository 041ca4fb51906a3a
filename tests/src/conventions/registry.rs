//! Reads the registry of `docs/registry`, in the format of OpenTelemetry's `weaver`.

use std::fs;
use std::path::Path;

use saphyr::{LoadableYamlNode, Yaml};

use super::{Conventions, Definition, Use, VERSION};

const REGISTRY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/registry");

/// Adds what the registry defines.
pub(super) fn add_to(conventions: &mut Conventions) {
    let manifest = read("manifest.yaml");
    let version = text(&manifest, "schema_url").rsplit('/').next();
    assert_eq!(version, Some(env!("CARGO_PKG_VERSION")), "the version of the crates");
    let conventions_url = format!("https://opentelemetry.io/schemas/{VERSION}");
    assert_eq!(text(&manifest["dependencies"][0], "schema_url"), conventions_url);
    // Attributes first, as metrics refer to them.
    for file in ["attributes.yaml", "metrics.yaml"] {
        let groups = read(file);
        for group in groups["groups"].as_sequence().expect("a list of groups") {
            match text(group, "type") {
                "attribute_group" => add_attributes(conventions, group),
                "metric" => add_metric(conventions, group),
                other => panic!("a group of type {other}"),
            }
        }
    }
    let files = fs::read_dir(REGISTRY).unwrap();
    let is_yaml = |file: &fs::DirEntry| file.path().extension().is_some_and(|extension| extension == "yaml");
    assert_eq!(files.map(Result::unwrap).filter(is_yaml).count(), 3, "no other files");
}

fn add_attributes(conventions: &mut Conventions, group: &Yaml<'_>) {
    for attribute in group["attributes"].as_sequence().expect("attributes") {
        let form = &attribute["type"];
        let members = form.as_mapping_get("members").and_then(Yaml::as_sequence);
        let members = members.map(|members| members.iter().map(|member| text(member, "value").to_owned()).collect());
        let form = form.as_str().unwrap_or("string");
        let stability = text(attribute, "stability");
        conventions.add_attribute(text(attribute, "id"), form, members.unwrap_or_default(), stability);
    }
}

fn add_metric(conventions: &mut Conventions, group: &Yaml<'_>) {
    let name = text(group, "metric_name");
    assert_eq!(text(group, "id"), format!("metric.{name}"));
    let mut definition = Definition {
        form: text(group, "instrument").to_owned(),
        unit: text(group, "unit").to_owned(),
        stability: text(group, "stability").to_owned(),
        ..Definition::default()
    };
    for attribute in group["attributes"].as_sequence().expect("attributes") {
        let name = text(attribute, "ref");
        assert!(conventions.attributes.contains_key(name), "no attribute {name}");
        let used = Use {
            level: text(attribute, "requirement_level").to_owned(),
            members: Vec::new(),
        };
        definition.attributes.insert(name.to_owned(), used);
    }
    let key = ("metric".to_owned(), name.to_owned());
    let previous = conventions.definitions.insert(key, definition);
    assert!(previous.is_none(), "{name} is in the conventions");
}

fn read(file: &str) -> Yaml<'static> {
    let text = fs::read_to_string(Path::new(REGISTRY).join(file)).unwrap();
    let mut documents = Yaml::load_from_str(&text).unwrap_or_else(|error| panic!("{file}: {error}"));
    assert_eq!(documents.len(), 1, "{file}");
    documents.remove(0)
}

fn text<'a>(node: &'a Yaml<'_>, key: &str) -> &'a str {
    let found = node.as_mapping_get(key).and_then(Yaml::as_str);
    found.unwrap_or_else(|| panic!("no {key} in {node:?}"))
}
