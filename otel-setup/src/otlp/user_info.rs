//! User and password in the URL of an endpoint.

use std::borrow::Cow;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use http::uri::Authority;
use http::{HeaderValue, Uri};
use percent_encoding::percent_decode_str;

/// Replaces user, password and query, which may be secret, by `…`.
///
/// The URL may be invalid because the password has a `/`, `?` or `#`. So everything before the last
/// `@` counts, even if that is part of a path.
pub(super) fn without_secrets(url: &str) -> Cow<'_, str> {
    let start = url.find("://").map_or(0, |scheme| scheme + "://".len());
    let host = url[start..].rfind('@').map_or(start, |at| start + at);
    let user = if host > start { "…" } else { "" };
    let (rest, query) = match url[host..].split_once('?') {
        // A fragment may be the end of a secret. The mark stays, since no endpoint may have one.
        Some((rest, query)) => (rest, if query.contains('#') { "?…#…" } else { "?…" }),
        None if user.is_empty() => return url.into(),
        None => (&url[host..], ""),
    };
    format!("{}{user}{rest}{query}", &url[..start]).into()
}

/// Formats the endpoint for messages, without the user info and the query, which may contain
/// secrets.
pub(crate) fn redacted(endpoint: &Uri) -> String {
    let scheme = endpoint.scheme_str().unwrap_or_default();
    let host = endpoint.host().unwrap_or_default();
    let port = endpoint.port().map(|port| format!(":{port}")).unwrap_or_default();
    let path = endpoint.path().trim_end_matches('/');
    format!("{scheme}://{host}{port}{path}")
}

/// Removes user and password from a URL, and returns them as the value of a header
/// `Authorization`.
pub(super) fn take_user_info(url: Uri) -> (Uri, Option<HeaderValue>) {
    let authority = url.authority().map(Authority::as_str).unwrap_or_default();
    let Some((user_info, host)) = authority.rsplit_once('@') else {
        return (url, None);
    };
    let (user, password) = user_info.split_once(':').unwrap_or((user_info, ""));
    let mut credentials: Vec<u8> = percent_decode_str(user).collect();
    credentials.push(b':');
    credentials.extend(percent_decode_str(password));
    let header = format!("Basic {}", BASE64_STANDARD.encode(credentials));
    let mut header = HeaderValue::try_from(header).expect("base64 is ASCII");
    header.set_sensitive(true);
    let host = host.parse().expect("the end of a valid authority is one");
    let mut parts = url.into_parts();
    parts.authority = Some(host);
    let url = Uri::from_parts(parts).expect("only the authority has changed");
    (url, Some(header))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_of_invalid_urls_are_not_shown() {
        for (url, shown) in [
            ("http://c:port", "http://c:port"),
            ("http://ada:secret@c:port", "http://…@c:port"),
            ("ada:secret@c:port", "…@c:port"),
            ("http://ada:se/cret@c:1", "http://…@c:1"),
            ("http://ada:se?cret@c:1", "http://…@c:1"),
            ("http://ada:se#cret@c:1", "http://…@c:1"),
            ("http://ada:se@cret@c:port", "http://…@c:port"),
            ("http://c:port/v1?key=secret", "http://c:port/v1?…"),
            ("http://ada:secret@c:1?key=secret#f", "http://…@c:1?…#…"),
            ("http://c:1?key=sec#ret", "http://c:1?…#…"),
            ("http://c:1/#f", "http://c:1/#f"),
        ] {
            assert_eq!(without_secrets(url), shown, "{url}");
        }
    }

    #[test]
    fn user_and_password_become_a_header() {
        for (url, without, header) in [
            (
                "http://ada:se%20cret@c:1/p?q",
                "http://c:1/p?q",
                Some("Basic YWRhOnNlIGNyZXQ="),
            ),
            ("http://ada@[::1]", "http://[::1]/", Some("Basic YWRhOg==")),
            ("http://a%40b:%3a@c:1", "http://c:1/", Some("Basic YUBiOjo=")),
            ("http://c:1/a@b", "http://c:1/a@b", None),
        ] {
            let (uri, found) = take_user_info(url.parse().unwrap());
            assert_eq!(uri, without);
            assert_eq!(found.as_ref().map(|value| value.to_str().unwrap()), header);
            assert!(found.is_none_or(|value| value.is_sensitive()));
        }
    }
}
