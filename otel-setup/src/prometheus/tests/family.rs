//! The families of a scrape, and what their samples must be.

/// A family with the metadata and the samples in front of the next family.
#[derive(Debug, Default)]
pub(super) struct Family {
    pub(super) name: String,
    pub(super) type_name: String,
    pub(super) unit: Option<String>,
    pub(super) help: Option<String>,
    pub(super) samples: Vec<Sample>,
}

#[derive(Debug)]
pub(super) struct Sample {
    pub(super) name: String,
    pub(super) labels: Vec<(String, String)>,
    pub(super) value: f64,
}

impl Sample {
    pub(super) fn label(&self, name: &str) -> Option<&str> {
        let mut labels = self.labels.iter();
        labels.find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    pub(super) fn labels_without_le(&self) -> Vec<&(String, String)> {
        self.labels.iter().filter(|(name, _)| name != "le").collect()
    }
}

/// The format of a text.
#[derive(Clone, Copy)]
pub(super) struct Rules {
    pub(super) is_open_metrics: bool,
    /// Whether names may be in quotes.
    pub(super) is_utf8: bool,
}

/// Checks the samples of a family.
pub(super) fn check(family: &Family, rules: Rules) -> Result<(), String> {
    if family.type_name.is_empty() {
        return Err("no type".to_owned());
    }
    let suffixes: &[&str] = match (family.type_name.as_str(), rules.is_open_metrics) {
        ("counter", true) => &["_total", "_created"],
        ("histogram", true) => &["_bucket", "_sum", "_count", "_created"],
        ("histogram", false) => &["_bucket", "_sum", "_count"],
        ("info", _) => &["_info"],
        _ => &[""],
    };
    let is_quoted = |name: &str| !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == ':');
    for sample in &family.samples {
        let suffix = sample.name.strip_prefix(&family.name);
        if !suffix.is_some_and(|suffix| suffixes.contains(&suffix)) {
            return Err(format!("{} is not of this family", sample.name));
        }
        let mut names = sample
            .labels
            .iter()
            .map(|(name, _)| name.as_str())
            .chain([sample.name.as_str()]);
        if !rules.is_utf8 && names.any(is_quoted) {
            return Err(format!("{sample:?} has a name in quotes"));
        }
        let is_counter = ["counter", "histogram"].contains(&family.type_name.as_str());
        if rules.is_open_metrics && is_counter && (sample.value.is_nan() || sample.value < 0.0) {
            return Err(format!("{sample:?} is negative or not a number"));
        }
    }
    if family.type_name == "histogram" {
        for histogram in family
            .samples
            .chunk_by(|a, b| a.labels_without_le() == b.labels_without_le())
        {
            check_histogram(histogram)?;
        }
    }
    Ok(())
}

fn check_histogram(samples: &[Sample]) -> Result<(), String> {
    let mut last = (f64::NEG_INFINITY, 0.0);
    let buckets = samples.iter().filter(|sample| sample.name.ends_with("_bucket"));
    for bucket in buckets {
        let le = bucket.label("le").ok_or("a bucket without le")?;
        let bound: f64 = le.parse().map_err(|_| "le is no number")?;
        if bound < last.0 || bound.to_bits() == last.0.to_bits() || bucket.value < last.1 {
            return Err(format!("{bucket:?} does not ascend"));
        }
        last = (bound, bucket.value);
    }
    let count = samples.iter().find(|sample| sample.name.ends_with("_count"));
    let count = count.ok_or("no count")?.value;
    if last != (f64::INFINITY, count) {
        return Err(format!("the last bucket is {last:?}, and the count {count}"));
    }
    Ok(())
}
