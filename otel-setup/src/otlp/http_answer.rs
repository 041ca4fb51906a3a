//! The answers of HTTP servers that are not success, or not OTLP.

use std::error::Error;
use std::time::{Duration, SystemTime};

use http::header::{self, HeaderValue};
use http::{Response, Uri};

use super::attempt::{AttemptError, Retry};
use super::google_rpc;
use super::user_info::redacted;
use super::words::clean;
use crate::export_failure::Cause;

/// The content type of OTLP over HTTP.
pub(super) const PROTOBUF: &str = "application/x-protobuf";

/// Returns the error of an answer that begins with success and then breaks off. The receiver has
/// the request, and would have it twice.
pub(super) fn broken_success(error: &(dyn Error + 'static)) -> AttemptError {
    let words = AttemptError::unreachable(error).failure.words;
    AttemptError::new(Cause::NotConfirmed, words, Retry::Never)
}

/// The maximum size of a response that is read.
pub(super) const MAX_RESPONSE: usize = 64 * 1024;

/// Returns the start of a body and whether that is all, after its content coding. Some proxies
/// compress what nobody has asked them to.
pub(super) fn decoded<E>(head: &Response<()>, start: Vec<u8>, end: Result<bool, E>) -> (Vec<u8>, Result<bool, E>) {
    let is_gzip = |value: &HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"gzip");
    if !head.headers().get(header::CONTENT_ENCODING).is_some_and(is_gzip) {
        return (start, end);
    }
    match unzipped(&start) {
        Some((unzipped, is_whole)) => (unzipped, end.map(|is_all| is_all && is_whole)),
        None => (start, end),
    }
}

#[cfg(feature = "gzip")]
fn unzipped(body: &[u8]) -> Option<(Vec<u8>, bool)> {
    use std::io::Read;

    let mut unzipped = Vec::new();
    let mut decoder = flate2::read::GzDecoder::new(body).take(MAX_RESPONSE as u64 + 1);
    decoder.read_to_end(&mut unzipped).ok()?;
    let is_whole = unzipped.len() <= MAX_RESPONSE;
    unzipped.truncate(MAX_RESPONSE);
    Some((unzipped, is_whole))
}

#[cfg(not(feature = "gzip"))]
fn unzipped(_: &[u8]) -> Option<(Vec<u8>, bool)> {
    None
}

/// Returns the error of a status that is not success.
pub(super) fn refused(head: &Response<()>, body: &[u8]) -> AttemptError {
    let after = head.headers().get(header::RETRY_AFTER).and_then(retry_after);
    let status = (content_type(head) == PROTOBUF)
        .then(|| google_rpc::Status::parse(body))
        .flatten();
    let words = match (&status, location(head)) {
        (Some(status), _) => status.message.clone(),
        (None, Some(location)) => format!("it redirects to {location}"),
        (None, None) => text(body),
    };
    let delay = status.and_then(|status| status.retry_delay());
    AttemptError::from_http(head.status(), after.or(delay), &words)
}

/// Returns where a redirect leads to, without what may be secret.
fn location(head: &Response<()>) -> Option<String> {
    let location = head.headers().get(header::LOCATION)?.to_str().ok()?;
    let location: Uri = location.parse().ok().filter(|_| head.status().is_redirection())?;
    match (location.scheme(), location.host()) {
        (Some(_), Some(_)) => Some(redacted(&location)),
        // Behind two slashes there are user and host.
        (None, None) if !location.path().starts_with("//") => Some(location.path().to_owned()),
        _ => None,
    }
}

/// Returns the error of a success that does not come from an OTLP receiver.
pub(super) fn not_otlp(head: &Response<()>, body: &[u8]) -> AttemptError {
    let words = format!("{} with {}: {}", head.status(), content_type(head), clean(&text(body)));
    AttemptError::new(Cause::NotOtlp, words, Retry::Never)
}

/// Returns the body as text, without the tags of a web page.
fn text(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    if !text.trim_start().starts_with('<') {
        return text.into_owned();
    }
    let mut visible = String::new();
    let mut is_tag = false;
    for character in text.chars() {
        match character {
            '<' => is_tag = true,
            '>' => {
                is_tag = false;
                visible.push(' ');
            }
            _ if !is_tag => visible.push(character),
            _ => {}
        }
    }
    visible
}

/// Returns the content type without parameters, in lower case.
pub(super) fn content_type(head: &Response<()>) -> String {
    let value = head.headers().get(header::CONTENT_TYPE);
    let value = value.and_then(|value| value.to_str().ok()).unwrap_or("no content type");
    let value = value.split(';').next().unwrap_or_default();
    clean(&value.to_ascii_lowercase())
}

/// Parses `Retry-After`: a number of seconds, or a date.
fn retry_after(value: &HeaderValue) -> Option<Duration> {
    let value = value.to_str().ok()?.trim();
    if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(Duration::from_secs(value.parse().unwrap_or(u64::MAX)));
    }
    let date = httpdate::parse_http_date(value).ok()?;
    Some(date.duration_since(SystemTime::now()).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let read = |value| retry_after(&HeaderValue::from_static(value));
        assert_eq!(read("120"), Some(Duration::from_secs(120)));
        assert_eq!(
            read("Sun, 06 Nov 1994 08:49:37 GMT"),
            Some(Duration::ZERO),
            "it has passed"
        );
        let later = read("Tue, 31 Dec 2999 23:59:59 GMT").unwrap();
        assert!(later > Duration::from_secs(86_400), "{later:?}");
        let beyond = read("99999999999999999999999");
        assert_eq!(beyond, Some(Duration::from_secs(u64::MAX)), "of digits alone");
        assert_eq!(read("soon"), None);
        assert_eq!(read(""), None);
        assert_eq!(read("-1"), None);
    }

    #[test]
    fn web_pages_are_shown_without_tags() {
        let page = b"<!DOCTYPE html>\n<html><title>Sign in</title><body class='x'>Welcome</body></html>";
        assert_eq!(clean(&text(page)), "Sign in Welcome");
        assert_eq!(text(b"a < b"), "a < b");
    }
}
