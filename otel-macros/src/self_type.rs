//! Reads `Self::ChatStream` in a method as the type its author gave it, before it was wrapped.

use proc_macro2::{Delimiter, Ident, Spacing, TokenStream, TokenTree};
use quote::{ToTokens, quote};
use syn::ext::IdentExt;
use syn::{ImplItemFn, Path};

use crate::shape::{is_path_separator, regroup};

/// The response stream types of an impl, by name.
#[derive(Clone)]
pub(crate) struct StreamTypes {
    pub(crate) names: Vec<Ident>,
    /// Where the runtime is, which tells what is in a wrapped type.
    pub(crate) runtime: Path,
}

impl StreamTypes {
    /// Those whose names stand somewhere in the method. Read as text, which the compiler makes in no time, while it takes its time over each token that a macro looks at.
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
    //     Ok(Response::new(Box::pin(stream) as ::otel_runtime::__private::Untraced<Self::ChatStream>))
    //
    // Tokens, not syntax: macros' arguments are read too.
    pub(crate) fn unwrap(&self, tokens: TokenStream) -> TokenStream {
        if self.names.is_empty() {
            return tokens;
        }
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        let mut output = TokenStream::new();
        let mut rest = tokens.as_slice();
        while let Some((token, after)) = rest.split_first() {
            if let Some((name, after)) = self.named(rest) {
                let runtime = &self.runtime;
                let written = quote!(#runtime::__private::Untraced<Self::#name>);
                output.extend(if at_path_separator(after) {
                    quote!(<#written>)
                } else {
                    written
                });
                rest = after;
                continue;
            }
            output.extend([match token {
                TokenTree::Group(group) => TokenTree::Group(regroup(group, self.unwrap(group.stream()))),
                other => other.clone(),
            }]);
            rest = after;
        }
        output
    }

    /// The name in the `Self::Name` or `<Self as Trait>::Name` at the head of `tokens`, if it is a response stream's, and what comes after it.
    fn named<'a>(&self, tokens: &'a [TokenTree]) -> Option<(&'a Ident, &'a [TokenTree])> {
        let after_self = match tokens {
            // A path inside a none-delimited group: a `macro_rules!` fragment.
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

fn at_path_separator(tokens: &[TokenTree]) -> bool {
    matches!(tokens, [TokenTree::Punct(first), TokenTree::Punct(second), ..] if is_path_separator(first, second))
}

/// What comes after the `>` that closes the `<` whose inside `tokens` starts in.
fn after_closing_angle(tokens: &[TokenTree]) -> Option<&[TokenTree]> {
    let mut depth = 1;
    let mut arrow = false;
    for (at, token) in tokens.iter().enumerate() {
        if let TokenTree::Punct(punct) = token {
            match punct.as_char() {
                '<' => depth += 1,
                '>' if !arrow => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                return tokens.get(at + 1..);
            }
            arrow = punct.as_char() == '-' && punct.spacing() == Spacing::Joint;
        } else {
            arrow = false;
        }
    }
    None
}
