//! The words of receivers and of proxies: what they mean, and how messages show them.

use crate::text::escape_control;

/// The maximum length of a receiver's words in messages, in characters.
const MAX_WORDS: usize = 200;

/// The words of tonic for an answer that is not gRPC. The HTTP status code follows.
const NOT_GRPC: &str = "grpc-status header missing, mapped from HTTP status code ";

/// The words of tonic for an answer whose body is not gRPC, such as a web page. The HTTP status
/// follows.
const WEB_PAGE: [&str; 2] = [
    "with invalid compression flag: ",
    " while receiving response with status: ",
];

/// The maximum size of an answer over gRPC. No receiver has this limit, so the words of tonic about
/// it are about an answer, and not about a request.
pub(super) const MAX_ANSWER: usize = 64 * 1024 + 1;

/// Returns whether a receiver's answer is too large to be read, as it is or after decompression.
pub(super) fn is_about_answer(words: &str) -> bool {
    [" the limit is: ", " size limit, of "]
        .iter()
        .any(|limit| words.contains(&format!("{limit}{MAX_ANSWER} bytes")))
}

/// Returns whether the answer to a gRPC request is that of a web server, which does not know the
/// path, the method or the content type.
pub(super) fn is_unknown_to_http(words: &str) -> bool {
    words.strip_prefix(NOT_GRPC).is_some_and(is_unknown)
}

/// Returns whether an HTTP status says that the server does not know the path, the method or the
/// content type.
pub(super) fn is_unknown(http_status: &str) -> bool {
    matches!(http_status, "404" | "405" | "415")
}

/// Returns the HTTP status of an answer that is a web page.
pub(super) fn web_page(words: &str) -> Option<&str> {
    let [flag, status] = WEB_PAGE;
    words.split_once(flag)?.1.split_once(status).map(|(_, status)| status)
}

/// Returns whether a receiver's words say that the request is too large: those of gRPC in Go, Rust
/// and Java, of Go's HTTP server, of other receivers, and of proxies in front of them.
pub(super) fn is_about_size(words: &str) -> bool {
    if words.strip_prefix(NOT_GRPC) == Some("413") {
        return true;
    }
    let words = words.to_ascii_lowercase();
    let phrases = [
        "larger than max",
        "too large",
        "exceeds maximum size",
        "max message size",
        "exceeded while decompressing",
    ];
    phrases.iter().any(|phrase| words.contains(phrase))
}

/// Cuts the words of a receiver, and makes them one printable line.
pub(super) fn clean(words: &str) -> String {
    let line = words.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut cut: String = line.chars().take(MAX_WORDS).collect();
    if cut.len() < line.len() {
        cut.push('…');
    }
    escape_control(&cut).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_cut_to_one_printable_line() {
        assert_eq!(clean(" no\r\n such\ttenant\u{202e} "), "no such tenant\\u{202e}");
        let long = "word ".repeat(1000);
        assert_eq!(clean(&long).chars().count(), MAX_WORDS + 1);
    }
}
