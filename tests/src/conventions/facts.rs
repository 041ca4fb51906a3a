//! Reads the table of facts.

use super::{Attribute, Conventions, Definition, Use};

const TABLE: &str = include_str!("../../conventions/1.45.0.tsv");
const COLUMNS: &str = "signal\tname\tattribute\ttype\tunit\tmembers\tlevel\tstability";

pub(super) fn read() -> Conventions {
    let mut conventions = Conventions::default();
    let mut rows = TABLE.lines().filter(|line| !line.starts_with('#'));
    assert_eq!(rows.next(), Some(COLUMNS));
    for row in rows {
        let columns: Vec<&str> = row.split('\t').collect();
        let columns: [&str; 8] = columns.try_into().unwrap_or_else(|_| panic!("not 8 columns: {row}"));
        add(&mut conventions, columns);
    }
    conventions
}

fn add(conventions: &mut Conventions, columns: [&str; 8]) {
    let [signal, name, attribute, form, unit, members, level, stability] = columns;
    let members = match members {
        "-" => Vec::new(),
        members => members.split(',').map(str::to_owned).collect(),
    };
    let key = (signal.to_owned(), name.to_owned());
    match (signal, attribute) {
        ("attribute", _) => conventions.add_attribute(name, form, members, stability),
        ("failure", _) => drop(conventions.failures.insert(name.to_owned(), members)),
        (_, "-") => {
            let definition = Definition {
                form: form.to_owned(),
                unit: unit.to_owned(),
                stability: stability.to_owned(),
                ..Definition::default()
            };
            assert!(
                conventions.definitions.insert(key, definition).is_none(),
                "{name} is there twice"
            );
        }
        (_, attribute) => {
            assert!(conventions.attributes.contains_key(attribute), "no type of {attribute}");
            let level = level.to_owned();
            let used = Use { level, members };
            let definition = conventions.definitions.get_mut(&key);
            let definition = definition.unwrap_or_else(|| panic!("no row of {name} itself"));
            definition.attributes.insert(attribute.to_owned(), used);
        }
    }
}

impl Conventions {
    /// Adds an attribute with a type such as `int` or `template[string[]]`.
    pub(super) fn add_attribute(&mut self, name: &str, form: &str, members: Vec<String>, stability: &str) {
        let template = form.strip_prefix("template[").and_then(|form| form.strip_suffix(']'));
        let attribute = Attribute {
            value: template.unwrap_or(form).to_owned(),
            is_template: template.is_some(),
            members,
            stability: stability.to_owned(),
        };
        let previous = self.attributes.insert(name.to_owned(), attribute);
        assert!(previous.is_none(), "{name} is there twice");
    }
}
