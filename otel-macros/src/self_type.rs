//! Rewrites `Self::ChatStream` in a method, so that it still means the type that the user declared
//! and not the `TracedStream` around it.

use proc_macro2::{Delimiter, Ident, Spacing, TokenStream, TokenTree};
use quote::{ToTokens, quote};
use syn::ext::IdentExt;
use syn::{ImplItemFn, Path};

use crate::shape::{is_path_separator, regroup};

/// The names of an impl's response stream types.
#[derive(Clone)]
pub(crate) struct StreamTypes {
    pub(crate) names: Vec<Ident>,
    /// The path of the runtime, which defines `Untraced`.
    pub(crate) runtime: Path,
}

impl StreamTypes {
    /// Returns only the stream types that the method mentions.
    ///
    /// Searching the text is fast: the compiler prints tokens quickly, but each token that a macro
    /// visits costs a call into the compiler.
    pub(crate) fn mentioned_in(&self, method: &ImplItemFn) -> Self {
        let text = method.to_token_stream().to_string();
        let names = self
            .names
            .iter()
            .filter(|name| text.contains(&name.unraw().to_string()));
        StreamTypes {
            names: names.cloned().collect(),
            runtime: self.runtime.clone(),
        }
    }

    // Input:
    //     Ok(Response::new(Box::pin(stream) as Self::ChatStream))
    //
    // Output:
    //     Ok(Response::new(
    //         Box::pin(stream) as ::otel_runtime::__private::Untraced<Self::ChatStream>
    //     ))
    //
    // Rewrites tokens instead of syntax, so that it also reaches the arguments of macros.
    pub(crate) fn replace_with_untraced(&self, tokens: TokenStream) -> TokenStream {
        if self.names.is_empty() {
            return tokens;
        }
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        let mut output = TokenStream::new();
        let mut rest = tokens.as_slice();
        while let Some((token, after)) = rest.split_first() {
            if let Some((name, after)) = self.split_stream_path(rest) {
                let runtime = &self.runtime;
                let untraced = quote!(#runtime::__private::Untraced<Self::#name>);
                output.extend(if starts_with_path_separator(after) {
                    quote!(<#untraced>)
                } else {
                    untraced
                });
                rest = after;
                continue;
            }
            output.extend([match token {
                TokenTree::Group(group) => TokenTree::Group(regroup(group, self.replace_with_untraced(group.stream()))),
                other => other.clone(),
            }]);
            rest = after;
        }
        output
    }

    /// If `tokens` start with the path of a stream type, `Self::Name` or `<Self as Trait>::Name`,
    /// returns the name and the tokens after it.
    fn split_stream_path<'a>(&self, tokens: &'a [TokenTree]) -> Option<(&'a Ident, &'a [TokenTree])> {
        let after_self = match tokens {
            // A fragment of `macro_rules!`, such as `$ty:ty`, is a group without delimiters.
            [TokenTree::Group(group), rest @ ..] if group.delimiter() == Delimiter::None && is_self(group.stream()) => {
                rest
            }
            [TokenTree::Ident(ident), rest @ ..] if ident == "Self" => rest,
            [
                TokenTree::Punct(open),
                TokenTree::Ident(ident),
                TokenTree::Ident(r#as),
                rest @ ..,
            ] if open.as_char() == '<' && ident == "Self" && r#as == "as" => after_closing_angle(rest)?,
            _ => return None,
        };
        let [
            TokenTree::Punct(first),
            TokenTree::Punct(second),
            TokenTree::Ident(name),
            rest @ ..,
        ] = after_self
        else {
            return None;
        };
        let is_stream = is_path_separator(first, second) && self.names.contains(name);
        is_stream.then_some((name, rest))
    }
}

fn is_self(stream: TokenStream) -> bool {
    let mut tokens = stream.into_iter();
    matches!((tokens.next(), tokens.next()), (Some(TokenTree::Ident(ident)), None) if ident == "Self")
}

fn starts_with_path_separator(tokens: &[TokenTree]) -> bool {
    matches!(tokens, [TokenTree::Punct(first), TokenTree::Punct(second), ..] if is_path_separator(first, second))
}

/// Returns the tokens after the `>` that closes a `<` before `tokens`.
fn after_closing_angle(tokens: &[TokenTree]) -> Option<&[TokenTree]> {
    let mut depth = 1;
    // True after the `-` of `->`, whose `>` closes no `<`.
    let mut in_arrow = false;
    for (index, token) in tokens.iter().enumerate() {
        if let TokenTree::Punct(punct) = token {
            match punct.as_char() {
                '<' => depth += 1,
                '>' if !in_arrow => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                return tokens.get(index + 1..);
            }
            in_arrow = punct.as_char() == '-' && punct.spacing() == Spacing::Joint;
        } else {
            in_arrow = false;
        }
    }
    None
}
