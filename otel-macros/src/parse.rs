//! How arguments are read: each on its own, so that a mistake in one does not hide those in the next.

use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};
use quote::ToTokens;
use syn::ext::IdentExt;
use syn::parse::{Parse, ParseStream, Parser};
use syn::{Error, Ident, Result, Token, parenthesized};

/// Calls `parse` with the name of each argument and what follows it, and collects what is wrong.
pub(crate) fn arguments(
    tokens: TokenStream,
    known: &[&str],
    errors: &mut Vec<Error>,
    mut parse: impl FnMut(&Ident, ParseStream<'_>) -> Result<()>,
) {
    for argument in split_at_commas(tokens) {
        let parse = |input: ParseStream<'_>| {
            let argument;
            parenthesized!(argument in input);
            let name = argument
                .call(Ident::parse_any)
                .map_err(|error| Error::new(error.span(), format!("expected one of {}", quoted(known))))?;
            parse(&name, &argument)
        };
        if let Err(error) = parse.parse2(ending_with_itself(argument)) {
            errors.push(error);
        }
    }
}

/// The argument in parentheses that stand where its last token stands. What is missing behind that is then shown there, and not at the whole attribute.
fn ending_with_itself(argument: TokenStream) -> TokenStream {
    let last = argument.clone().into_iter().last().expect("an argument is not empty");
    let mut group = Group::new(Delimiter::Parenthesis, argument);
    group.set_span(last.span());
    group.into_token_stream()
}

pub(crate) fn unknown<T>(name: &Ident, known: &[&str]) -> Result<T> {
    let name_text = name.unraw().to_string();
    let meant = nearest(&name_text, known).map(|meant| format!("; did you mean `{meant}`?"));
    let message = match meant {
        Some(meant) => format!("unknown argument `{name_text}`{meant}"),
        None => format!("unknown argument `{name_text}`; expected one of {}", quoted(known)),
    };
    Err(Error::new(name.span(), message))
}

/// The candidate that was most likely meant by `name`. Further away it is another word, if it is not the only one that starts so.
pub(crate) fn nearest<'a>(name: &str, candidates: &[&'a str]) -> Option<&'a str> {
    let distance = |candidate: &&str| strsim::damerau_levenshtein(candidate, name);
    let nearest = candidates.iter().copied().min_by_key(distance);
    nearest
        .filter(|nearest| distance(nearest) <= name.len().div_ceil(3))
        .or_else(|| only_one_that_starts_with(name, candidates))
}

fn only_one_that_starts_with<'a>(name: &str, candidates: &[&'a str]) -> Option<&'a str> {
    let mut longer = candidates
        .iter()
        .copied()
        .filter(|candidate| candidate.starts_with(name));
    longer.next().filter(|_| longer.next().is_none())
}

pub(crate) fn quoted(names: &[&str]) -> String {
    format!("`{}`", names.join("`, `"))
}

pub(crate) fn set_once<T>(slot: &mut Option<T>, name: &Ident, value: T) -> Result<()> {
    if slot.replace(value).is_some() {
        return Err(Error::new(
            name.span(),
            format!("duplicate argument `{name}`; write it once"),
        ));
    }
    Ok(())
}

/// Nothing: the argument's name says it all.
pub(crate) fn flag(input: ParseStream<'_>, name: &Ident) -> Result<()> {
    if input.is_empty() {
        return Ok(());
    }
    Err(input.error(format!("`{name}` takes no value; expected `,` or nothing")))
}

/// `= VALUE`, to the end of the argument. `example` is what to write instead of something else.
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
            "unexpected token after the value of `{name}`; expected `,` or nothing"
        )))
    }
}

/// `(ITEM, …)`, at least one, to the end of the argument. `example` is what to write instead of something else.
pub(crate) fn list<T: Parse>(input: ParseStream<'_>, name: &Ident, example: &str) -> Result<Vec<T>> {
    let expected = || Error::new(name.span(), format!("expected a list: `{name}({example})`"));
    if !input.peek(syn::token::Paren) {
        return Err(expected());
    }
    let items;
    parenthesized!(items in input);
    flag(input, name).map_err(|error| {
        Error::new(
            error.span(),
            format!("unexpected token after the list of `{name}`; expected `,` or nothing"),
        )
    })?;
    let items = items
        .parse_terminated(T::parse, Token![,])
        .map_err(|error| Error::new(error.span(), format!("{error}; expected `{name}({example})`")))?;
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
            _ => arguments.last_mut().expect("starts with one").extend([token]),
        }
    }
    arguments.retain(|argument| !argument.is_empty());
    arguments
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn a_slip_of_the_finger_has_one_nearest_name() {
        let names = [
            "service",
            "skip",
            "request_headers",
            "response_headers",
            "response_trailers",
        ];
        assert_eq!(nearest("servcie", &names), Some("service"));
        assert_eq!(nearest("skipp", &names), Some("skip"));
        assert_eq!(nearest("response_header", &names), Some("response_headers"));
        assert_eq!(nearest("level", &names), None);
    }

    #[test]
    fn half_a_word_means_the_only_one_that_starts_so() {
        let names = [
            "service",
            "skip",
            "request_headers",
            "response_headers",
            "response_trailers",
        ];
        assert_eq!(nearest("serv", &names), Some("service"));
        assert_eq!(nearest("request", &names), Some("request_headers"));
        assert_eq!(nearest("response", &names), None);
    }
}
