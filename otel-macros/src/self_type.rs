//! Reads `Self::ChatStream` in a method as the type its author gave it, before it was wrapped.

use proc_macro2::{Delimiter, Group, Ident, Punct, Spacing, TokenStream, TokenTree};
use quote::quote;

/// The response stream types of an impl: name, and the type the user wrote.
#[derive(Clone, Default)]
pub(crate) struct StreamTypes(pub(crate) Vec<(Ident, TokenStream)>);

impl StreamTypes {
    pub(crate) fn get(&self, name: &Ident) -> Option<&TokenStream> {
        self.0.iter().find(|(stream, _)| stream == name).map(|(_, ty)| ty)
    }

    // Input:
    //     Ok(Response::new(Box::pin(stream) as Self::ChatStream))
    //
    // Output:
    //     Ok(Response::new(Box::pin(stream) as Pin<Box<dyn Stream<Item = …> + Send>>))
    //
    // Tokens, not syntax: macros' arguments are read too.
    pub(crate) fn unwrap(&self, tokens: TokenStream) -> TokenStream {
        if self.0.is_empty() {
            return tokens;
        }
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        let mut output = TokenStream::new();
        let mut rest = tokens.as_slice();
        while let Some((token, after)) = rest.split_first() {
            if let Some((ty, after)) = self.named(rest) {
                output.extend(if at_path_separator(after) {
                    quote!(<#ty>)
                } else {
                    ty.clone()
                });
                rest = after;
                continue;
            }
            output.extend([match token {
                TokenTree::Group(group) => TokenTree::Group(self.unwrap_group(group)),
                other => other.clone(),
            }]);
            rest = after;
        }
        output
    }

    fn unwrap_group(&self, group: &Group) -> Group {
        let mut unwrapped = Group::new(group.delimiter(), self.unwrap(group.stream()));
        unwrapped.set_span(group.span());
        unwrapped
    }

    /// The type that `Self::Name` or `<Self as Trait>::Name` at the head of `tokens` stands for, and what comes after it.
    fn named<'a>(&self, tokens: &'a [TokenTree]) -> Option<(&TokenStream, &'a [TokenTree])> {
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
        if !is_path_separator(first, second) {
            return None;
        }
        Some((self.get(name)?, rest))
    }
}

fn is_self(stream: TokenStream) -> bool {
    let mut tokens = stream.into_iter();
    matches!((tokens.next(), tokens.next()), (Some(TokenTree::Ident(ident)), None) if ident == "Self")
}

fn is_path_separator(first: &Punct, second: &Punct) -> bool {
    first.as_char() == ':' && first.spacing() == Spacing::Joint && second.as_char() == ':'
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
