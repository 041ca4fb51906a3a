//! Patterns of header names to capture: `x-tenant-*`.

use http::{HeaderMap, HeaderName};

use crate::limits;

/// Texts in the names of headers that hold secrets. No pattern captures a header with one of them.
///
/// `auth` is for `authorization`, `proxy-authorization`, `www-authenticate` and the like, `cookie`
/// for `cookie` and `set-cookie`.
const SECRETS: [&str; 23] = [
    "access-key",
    "access_key",
    "api-key",
    "api_key",
    "apikey",
    "auth",
    "bearer",
    "cookie",
    "credential",
    "csrf",
    "jwt",
    "passcode",
    "passphrase",
    "passw",
    "private-key",
    "private_key",
    "pwd",
    "secret",
    "session",
    "signature",
    "subscription-key",
    "token",
    "xsrf",
];

/// The beginning of the names of headers to capture.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct HeaderPattern(Box<str>);

impl HeaderPattern {
    /// Parses a pattern: a part of a name, and `*` at its end.
    ///
    /// Returns `None` if it is none, or if it cannot match because its names are those of secrets.
    pub(crate) fn parse(pattern: &str) -> Option<Self> {
        let name = HeaderName::from_bytes(pattern.strip_suffix('*')?.as_bytes()).ok()?;
        let name = name.as_str();
        (!name.contains('*') && !is_secret(name)).then(|| HeaderPattern(Box::from(name)))
    }

    fn matches(&self, name: &HeaderName) -> bool {
        let name = name.as_str();
        name.len() <= limits::NAME && name.starts_with(&*self.0) && !is_secret(name)
    }
}

/// Returns `true` if a name is that of a header, or a pattern of such names.
#[must_use]
pub fn is_header_name_or_pattern(name: &str) -> bool {
    if name.contains('*') {
        HeaderPattern::parse(name).is_some()
    } else {
        HeaderName::from_bytes(name.as_bytes()).is_ok()
    }
}

/// Returns the part of a pattern by which its headers hold secrets, so that it never matches.
pub(super) fn secret_of(pattern: &str) -> Option<&'static str> {
    let part = pattern.strip_suffix('*')?.to_ascii_lowercase();
    SECRETS.into_iter().find(|secret| part.contains(secret))
}

fn is_secret(name: &str) -> bool {
    SECRETS.iter().any(|secret| name.contains(secret))
}

/// Returns the names that one of the patterns matches, within the limit on their number.
///
/// A header with a value that is marked as sensitive is left out.
pub(super) fn matching<'a>(patterns: &[HeaderPattern], headers: &'a HeaderMap) -> impl Iterator<Item = &'a HeaderName> {
    let names = headers
        .keys()
        .filter(|name| patterns.iter().any(|pattern| pattern.matches(name)));
    let names = names.filter(|name| !headers.get_all(*name).iter().any(http::HeaderValue::is_sensitive));
    names.take(limits::PATTERN_HEADERS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_is_a_prefix_and_an_asterisk() {
        for pattern in ["x-tenant-*", "x*", "X-Tenant-*"] {
            assert!(is_header_name_or_pattern(pattern), "{pattern}");
        }
        for pattern in ["*", "", "*-id", "x-*-id", "x-**", "x tenant*", "x-auth-*", "cookie*"] {
            assert!(!is_header_name_or_pattern(pattern), "{pattern}");
        }
    }

    #[test]
    fn matches_no_header_that_holds_a_secret() {
        let pattern = HeaderPattern::parse("a*").unwrap();
        let matches = |name| pattern.matches(&HeaderName::from_static(name));
        for name in ["a", "ab", "accept", "a-key"] {
            assert!(matches(name), "{name}");
        }
        for name in [
            "authorization",
            "authentication-info",
            "a-cookie",
            "a-set-cookie2",
            "a-api-key",
            "a-jwt-assertion",
            "access-token",
            "a-session-id",
            "a-password",
            "a-passphrase",
            "a-pwd",
            "a-bearer",
            "a-access-key-id",
            "a-apim-subscription-key",
            "a-csrf",
            "b",
        ] {
            assert!(!matches(name), "{name}");
        }
        let of_length = |length| pattern.matches(&HeaderName::from_bytes("a".repeat(length).as_bytes()).unwrap());
        assert!(of_length(limits::NAME) && !of_length(limits::NAME + 1));
    }
}
