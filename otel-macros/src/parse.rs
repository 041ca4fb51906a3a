//! Parses the arguments of an attribute one by one, so that an error in one does not hide errors in
//! the next.

use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};
use quote::ToTokens;
use syn::ext::IdentExt;
use syn::parse::{Parse, ParseStream, Parser};
use syn::{Error, Ident, Result, Token, parenthesized};

/// Calls `parse_argument` with the name of each argument and the input after it. Appends all errors
/// to `errors`.
pub(crate) fn arguments(
    tokens: TokenStream,
    expected: &[&str],
    errors: &mut Vec<Error>,
    mut parse_argument: impl FnMut(&Ident, ParseStream<'_>) -> Result<()>,
) {
    for argument in split_at_commas(tokens) {
        let parse = |input: ParseStream<'_>| {
            let argument;
            parenthesized!(argument in input);
            let name = argument
                .call(Ident::parse_any)
                .map_err(|error| Error::new(error.span(), format!("expected one of {}", quoted(expected))))?;
            parse_argument(&name, &argument)
        };
        if let Err(error) = parse.parse2(parenthesized_at_end(argument)) {
            errors.push(error);
        }
    }
}

/// Returns the argument in parentheses with the span of its last token. If something is missing at
/// its end, the error points to that token instead of the whole attribute.
fn parenthesized_at_end(argument: TokenStream) -> TokenStream {
    let last = argument.clone().into_iter().last().expect("an argument is not empty");
    let mut group = Group::new(Delimiter::Parenthesis, argument);
    group.set_span(last.span());
    group.into_token_stream()
}

/// Returns the error for an argument that is not one of `expected`.
pub(crate) fn unknown_argument<T>(name: &Ident, expected: &[&str]) -> Result<T> {
    let text = name.unraw().to_string();
    let help = match best_match(&text, expected) {
        Some(best) => format!("did you mean `{best}`?"),
        None => format!("expected one of {}", quoted(expected)),
    };
    Err(Error::new(name.span(), format!("unknown argument `{text}`; {help}")))
}

/// Returns the candidate that differs from `name` in at most a third of its letters, or else the
/// only candidate that starts with it.
pub(crate) fn best_match<'a>(name: &str, candidates: &[&'a str]) -> Option<&'a str> {
    let distance = |candidate: &&str| strsim::damerau_levenshtein(candidate, name);
    let closest = candidates.iter().copied().min_by_key(distance);
    closest
        .filter(|closest| distance(closest) <= name.len().div_ceil(3))
        .or_else(|| only_completion(name, candidates))
}

fn only_completion<'a>(name: &str, candidates: &[&'a str]) -> Option<&'a str> {
    let mut completions = candidates
        .iter()
        .copied()
        .filter(|candidate| candidate.starts_with(name));
    completions.next().filter(|_| completions.next().is_none())
}

/// Returns the names in backticks, separated by commas.
pub(crate) fn quoted(names: &[&str]) -> String {
    format!("`{}`", names.join("`, `"))
}

/// Sets an argument's value, or returns an error if it is set already.
pub(crate) fn set_once<T>(slot: &mut Option<T>, name: &Ident, value: T) -> Result<()> {
    if slot.replace(value).is_some() {
        return Err(Error::new(
            name.span(),
            format!("duplicate argument `{name}`; write it once"),
        ));
    }
    Ok(())
}

/// Parses the end of an argument that has no value.
pub(crate) fn flag(input: ParseStream<'_>, name: &Ident) -> Result<()> {
    if input.is_empty() {
        return Ok(());
    }
    Err(input.error(format!("`{name}` takes no value; write `{name}` alone")))
}

/// Parses `= VALUE` up to the end of the argument. Errors show `example` as a valid value.
pub(crate) fn value<T>(
    input: ParseStream<'_>,
    name: &Ident,
    example: &str,
    parse: fn(ParseStream<'_>) -> Result<T>,
) -> Result<T> {
    let expected = || Error::new(name.span(), format!("expected a value: `{name} = {example}`"));
    input.parse::<Option<Token![=]>>()?.ok_or_else(expected)?;
    if input.is_empty() {
        return Err(expected());
    }
    let value = parse(input)?;
    if input.is_empty() {
        Ok(value)
    } else {
        Err(input.error(format!(
            "unexpected token after the value of `{name}`; expected `,` or `)`"
        )))
    }
}

/// Parses `(ITEM, …)`, with at least one item, up to the end of the argument. Errors show `example`
/// as a valid item.
pub(crate) fn list<T: Parse>(input: ParseStream<'_>, name: &Ident, example: &str) -> Result<Vec<T>> {
    let expected = || Error::new(name.span(), format!("expected a list: `{name}({example})`"));
    if !input.peek(syn::token::Paren) {
        return Err(expected());
    }
    let items;
    parenthesized!(items in input);
    if !input.is_empty() {
        return Err(input.error(format!(
            "unexpected token after the list of `{name}`; expected `,` or `)`"
        )));
    }
    let items = items
        .parse_terminated(T::parse, Token![,])
        .map_err(|error| Error::new(error.span(), format!("{error}; write `{name}({example})`")))?;
    if items.is_empty() {
        return Err(expected());
    }
    Ok(items.into_iter().collect())
}

fn split_at_commas(tokens: TokenStream) -> Vec<TokenStream> {
    let mut arguments = vec![TokenStream::new()];
    for token in tokens {
        match &token {
            TokenTree::Punct(comma) if comma.as_char() == ',' => arguments.push(TokenStream::new()),
            _ => arguments.last_mut().expect("never empty").extend([token]),
        }
    }
    arguments.retain(|argument| !argument.is_empty());
    arguments
}

#[cfg(test)]
mod tests {
    use super::best_match;

    #[test]
    fn suggests_the_closest_name_for_a_typo() {
        let names = [
            "service",
            "skip",
            "request_headers",
            "response_headers",
            "response_trailers",
        ];
        assert_eq!(best_match("servcie", &names), Some("service"));
        assert_eq!(best_match("skipp", &names), Some("skip"));
        assert_eq!(best_match("response_header", &names), Some("response_headers"));
        assert_eq!(best_match("level", &names), None);
    }

    #[test]
    fn suggests_the_only_completion_of_a_prefix() {
        let names = [
            "service",
            "skip",
            "request_headers",
            "response_headers",
            "response_trailers",
        ];
        assert_eq!(best_match("serv", &names), Some("service"));
        assert_eq!(best_match("request", &names), Some("request_headers"));
        assert_eq!(best_match("response", &names), None);
    }
}
