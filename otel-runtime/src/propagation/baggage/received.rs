//! The baggage of a context, and the header that it came from.

use opentelemetry::baggage::{Baggage, BaggageExt, KeyValueMetadata};
use opentelemetry::{Context, Key};

use super::member::{self, Member};
use crate::limits;
use crate::propagation::traceparent::trim_ows;

/// Context value with the members as they were received.
///
/// [`Baggage`] has one value per key, decoded and without an order. A header written from it alone
/// would differ from the one that came in.
struct Received(Vec<Member>);

/// Returns `context` with the baggage in the lines of a header.
///
/// Returns `None` if they have no valid member.
pub(in crate::propagation) fn with_baggage(
    context: &Context,
    lines: &mut dyn Iterator<Item = &[u8]>,
) -> Option<Context> {
    let members = lines.flat_map(|line| line.split(|byte| *byte == b',')).map(trim_ows);
    let mut received = Vec::new();
    let mut list = Limits::default();
    for member in members.filter_map(Member::parse) {
        if !list.fits(&member.text) {
            break;
        }
        received.push(member);
    }
    if received.is_empty() {
        return None;
    }
    let entry = |member: &Member| {
        let Member {
            key, value, properties, ..
        } = member;
        KeyValueMetadata::new(key.clone(), value.clone(), properties.as_str())
    };
    let context = context.with_baggage(received.iter().map(entry));
    Some(context.with_value(Received(received)))
}

/// Formats the header of a context's baggage. Returns `None` if there is none.
pub(in crate::propagation) fn format(context: &Context) -> Option<String> {
    let baggage = context.baggage();
    if baggage.is_empty() {
        return None;
    }
    let received = context.get::<Received>().map_or(&[][..], |received| &received.0);
    let (kept, changed) = kept_and_changed(baggage, received);
    let mut header = String::new();
    let mut list = Limits::default();
    for member in kept.into_iter().map(ToOwned::to_owned).chain(changed) {
        if !list.fits(&member) {
            break;
        }
        if !header.is_empty() {
            header.push(',');
        }
        header.push_str(&member);
    }
    (!header.is_empty()).then_some(header)
}

/// Returns the received members that still hold, in their order, and all other entries encoded.
fn kept_and_changed<'a>(baggage: &Baggage, received: &'a [Member]) -> (Vec<&'a str>, Vec<String>) {
    // The baggage holds the last of several members with one key.
    let last = |key: &str| received.iter().rfind(|member| member.key == key);
    let is_kept = |key: &str| {
        let entry = baggage.get_with_metadata(key);
        entry.zip(last(key)).is_some_and(|((value, metadata), member)| {
            value.as_str() == member.value && metadata.as_str() == member.properties
        })
    };
    let kept = received
        .iter()
        .filter(|member| is_kept(&member.key))
        .map(|member| member.text.as_str());
    // Sorted by insertion, as there are a few: `sort` would be much code for that.
    let mut changed: Vec<_> = Vec::new();
    for entry in baggage.iter().filter(|(key, _)| !is_kept(key.as_str())) {
        let at = changed.partition_point(|(key, _): &(&Key, _)| key.as_str() < entry.0.as_str());
        changed.insert(at, entry);
    }
    let changed = changed
        .into_iter()
        .filter_map(|(key, (value, metadata))| member::encode(key.as_str(), value.as_str(), metadata.as_str()));
    (kept.collect(), changed.collect())
}

/// The part of the limits that a list has used up.
#[derive(Default)]
struct Limits {
    members: usize,
    bytes: usize,
}

impl Limits {
    /// Adds a member, unless the list would exceed its limits.
    fn fits(&mut self, member: &str) -> bool {
        let comma = usize::from(self.members > 0);
        let bytes = self.bytes + comma + member.len();
        if self.members == limits::BAGGAGE.members || bytes > limits::BAGGAGE.bytes {
            return false;
        }
        self.members += 1;
        self.bytes = bytes;
        true
    }
}
