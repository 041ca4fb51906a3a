//! The size of a fleet's RPC metrics, computed from what its replicas serve and call.
//!
//! A *data point* is a series of OpenTelemetry's data model. Prometheus has a series for each line
//! of a scrape, so a histogram is many of them.

/// A method, and the status codes that its calls end with.
#[derive(Clone, Debug)]
pub struct Method {
    /// `pkg.Service/Method`.
    pub name: String,
    /// Pairs of `rpc.status_code` and whether it counts as a failure, which adds `error.type`.
    pub codes: Vec<(&'static str, bool)>,
}

/// A replica of a service: the methods that it serves and calls.
#[derive(Clone, Debug)]
pub struct Replica {
    /// The methods of its `ServerLayer` or annotated services.
    pub served: Vec<Method>,
    /// The methods that its `ClientLayer`s call.
    pub called: Vec<Method>,
    /// Pairs of `server.address` and `server.port` of its `ClientLayer`s. Without any, metrics have
    /// no target (`metrics_without_target`).
    pub targets: Vec<(String, u16)>,
    /// Boundaries of the durations' histograms.
    pub boundaries: Vec<f64>,
    /// Number of digits of a typical count.
    pub digits: usize,
}

/// The size of metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Size {
    /// Data points of an OTLP export.
    pub points: usize,
    /// Bytes of these data points in an OTLP export, without compression.
    pub otlp_bytes: usize,
    /// Series in Prometheus.
    pub series: usize,
    /// Bytes of their lines in a scrape, without compression.
    pub scrape_bytes: usize,
}

impl Size {
    /// Adds another size.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Size {
            points: self.points + other.points,
            otlp_bytes: self.otlp_bytes + other.otlp_bytes,
            series: self.series + other.series,
            scrape_bytes: self.scrape_bytes + other.scrape_bytes,
        }
    }

    /// Returns the size of as many replicas.
    #[must_use]
    pub fn times(self, replicas: usize) -> Self {
        Size {
            points: self.points * replicas,
            otlp_bytes: self.otlp_bytes * replicas,
            series: self.series * replicas,
            scrape_bytes: self.scrape_bytes * replicas,
        }
    }
}

/// An attribute of a data point. Its value is a string or, if the flag is set, an integer.
type Attribute<'a> = (&'a str, String, bool);

impl Replica {
    /// Returns the size of the replica's RPC metrics.
    #[must_use]
    pub fn size(&self) -> Size {
        let targets: Vec<_> = self.targets.iter().map(target_attributes).collect();
        let without = [Vec::new()];
        let targets = if targets.is_empty() { &without[..] } else { &targets };
        let served = self.served.iter().map(|method| self.method("server", method, &without));
        let called = self.called.iter().map(|method| self.method("client", method, targets));
        served.chain(called).fold(Size::default(), Size::plus)
    }

    /// Returns the size of a method's metrics. Active requests have no target.
    fn method(&self, side: &str, method: &Method, targets: &[Vec<Attribute<'_>>]) -> Size {
        let names = [
            ("rpc.method", method.name.clone(), false),
            ("rpc.system.name", "grpc".to_owned(), false),
        ];
        let mut total = sum(&format!("rpc_{side}_active_requests"), &names);
        for target in targets {
            for (code, is_failure) in &method.codes {
                let mut attributes = [&names, &target[..]].concat();
                attributes.push(("rpc.status_code", (*code).to_owned(), false));
                if *is_failure {
                    attributes.push(("error.type", (*code).to_owned(), false));
                }
                total = total.plus(self.histogram(&format!("rpc_{side}_call_duration_seconds"), &attributes));
            }
        }
        total
    }

    /// Returns the size of a data point of durations.
    fn histogram(&self, name: &str, attributes: &[Attribute<'_>]) -> Size {
        let (bounds, buckets) = (self.boundaries.len(), self.boundaries.len() + 1);
        // Start, time, count, sum, minimum and maximum take nine bytes each.
        let otlp = otlp_attributes(attributes) + 6 * 9 + message(8 * buckets) + message(8 * bounds);
        let labels = labels(attributes);
        let bucket = |bound: &str| {
            line(
                &format!("{name}_bucket"),
                &format!("{labels},le=\"{bound}\""),
                self.digits,
            )
        };
        let bucket_bytes: usize = self.boundaries.iter().map(|bound| bucket(&bound.to_string())).sum();
        Size {
            points: 1,
            otlp_bytes: message(otlp),
            series: buckets + 2,
            scrape_bytes: bucket_bytes
                + bucket("+Inf")
                + line(&format!("{name}_sum"), &labels, self.digits + SUM_FRACTION)
                + line(&format!("{name}_count"), &labels, self.digits),
        }
    }
}

/// Returns the size of a data point of active requests.
fn sum(name: &str, attributes: &[Attribute<'_>]) -> Size {
    Size {
        points: 1,
        // Start, time and value take nine bytes each.
        otlp_bytes: message(otlp_attributes(attributes) + 3 * 9),
        series: 1,
        scrape_bytes: line(name, &labels(attributes), 1),
    }
}

/// The point and the digits behind it of a sum in seconds, to the nanosecond.
const SUM_FRACTION: usize = 10;

/// Labels that the scope adds to each series.
const SCOPE: &str = concat!(
    "otel_scope_name=\"otel-runtime\",",
    "otel_scope_schema_url=\"https://opentelemetry.io/schemas/1.45.0\",",
    "otel_scope_version=\"",
    env!("CARGO_PKG_VERSION"),
    "\""
);

fn target_attributes((address, port): &(String, u16)) -> Vec<Attribute<'static>> {
    vec![
        ("server.address", address.clone(), false),
        ("server.port", port.to_string(), true),
    ]
}

/// Returns the labels of a series, without the braces.
fn labels(attributes: &[Attribute<'_>]) -> String {
    let labels = attributes
        .iter()
        .map(|(key, value, _)| format!(",{}=\"{value}\"", key.replace('.', "_")));
    SCOPE.to_owned() + &labels.collect::<String>()
}

/// Returns the length of a line of a scrape.
fn line(name: &str, labels: &str, digits: usize) -> usize {
    format!("{name}{{{labels}}} \n").len() + digits
}

/// Returns the length of attributes in protobuf.
fn otlp_attributes(attributes: &[Attribute<'_>]) -> usize {
    let attribute = |(key, value, is_integer): &Attribute<'_>| {
        let value = if *is_integer { 1 + 3 } else { message(value.len()) };
        message(message(key.len()) + message(value))
    };
    attributes.iter().map(attribute).sum()
}

/// Returns the length of a field of protobuf that has a length: with its tag and the length.
fn message(length: usize) -> usize {
    let digits = usize::BITS - (length | 1).leading_zeros();
    1 + usize::try_from(digits).unwrap_or_default().div_ceil(7) + length
}
