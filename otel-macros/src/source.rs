//! Parses an impl, but leaves the bodies of its methods as tokens. They need not be valid Rust:
//! while the user types, they often are not.
//!
//! rust-analyzer (1.95) repairs most incomplete bodies before it calls a macro. Completion, types
//! and "go to definition" then work in all methods of the impl, as they do without the attribute.
//! If it cannot repair a body, `#[async_trait]` rejects the whole impl, with or without this
//! attribute. An error in an argument affects none of that, because the impl is then returned
//! unchanged.

use proc_macro2::{Delimiter, TokenStream, TokenTree};
use quote::{ToTokens, quote};
use syn::parse::discouraged::Speculative;
use syn::parse::{ParseStream, Parser};
use syn::token::Brace;
use syn::{
    Attribute, Block, Expr, FnModifiers, ImplItem, ImplItemFn, ItemImpl, Result, Signature, Stmt, Visibility, braced,
};

/// Parses an impl. The body of each method becomes one [`Expr::Verbatim`], including its braces.
///
/// [`to_tokens`] is the inverse.
pub(crate) fn parse_impl(item: TokenStream) -> Result<ItemImpl> {
    let mut head: Vec<TokenTree> = item.into_iter().collect();
    let Some(TokenTree::Group(body)) = head.pop_if(|last| is_braced(last)) else {
        // Without a body, syn's error names the missing token.
        return syn::parse2(head.into_iter().collect());
    };
    let mut service: ItemImpl = syn::parse2(quote!(#(#head)* {}))?;
    service.brace_token = Brace {
        span: body.delim_span(),
    };
    let items = |input: ParseStream<'_>| {
        service.attrs.extend(input.call(Attribute::parse_inner)?);
        while !input.is_empty() {
            service.items.push(input.call(impl_item)?);
        }
        Ok(())
    };
    items.parse2(body.stream())?;
    Ok(service)
}

/// Returns the tokens of an impl from [`parse_impl`].
///
/// Method bodies keep their original braces. Braces printed by syn have one span instead of two.
/// With them, the compiler parses an incomplete body again and repeats its errors at another place.
pub(crate) fn to_tokens(mut service: ItemImpl) -> TokenStream {
    for item in &mut service.items {
        if let ImplItem::Fn(method) = item {
            *item = ImplItem::Verbatim(with_original_braces(method));
        }
    }
    service.into_token_stream()
}

fn with_original_braces(method: &mut ImplItemFn) -> TokenStream {
    let body = statements(&method.block);
    method.block.stmts.clear();
    let mut tokens: Vec<TokenTree> = method.to_token_stream().into_iter().collect();
    tokens.pop_if(|last| is_braced(last));
    tokens.into_iter().chain(body).collect()
}

/// Parses a method. Its statements become one [`Expr::Verbatim`], without the braces.
pub(crate) fn parse_method(input: ParseStream<'_>) -> Result<ImplItemFn> {
    let mut method = input.call(method_head)?;
    let body;
    let brace_token = braced!(body in input);
    method.attrs.extend(body.call(Attribute::parse_inner)?);
    method.block = verbatim_block(brace_token, body.parse()?);
    Ok(method)
}

/// Parses a method up to its body.
fn method_head(input: ParseStream<'_>) -> Result<ImplItemFn> {
    let attrs = input.call(Attribute::parse_outer)?;
    let vis: Visibility = input.parse()?;
    let mut modifiers = FnModifiers::default();
    modifiers.defaultness = input.parse()?;
    let sig: Signature = input.parse()?;
    Ok(ImplItemFn {
        attrs,
        vis,
        modifiers,
        sig,
        block: verbatim_block(Brace::default(), TokenStream::new()),
    })
}

/// Returns a block whose statements are one [`Expr::Verbatim`].
pub(crate) fn verbatim_block(brace_token: Brace, statements: TokenStream) -> Block {
    Block {
        brace_token,
        stmts: vec![Stmt::Expr(Expr::Verbatim(statements), None)],
    }
}

/// Returns the statements of a method's block.
pub(crate) fn statements(block: &Block) -> TokenStream {
    block.stmts.iter().map(ToTokens::to_token_stream).collect()
}

fn impl_item(input: ParseStream<'_>) -> Result<ImplItem> {
    let ahead = input.fork();
    if let Ok(mut method) = method_head(&ahead)
        && ahead.peek(Brace)
    {
        // A body that `macro_rules!` passes as `$body:block` is an invisible group of braces.
        method.block = verbatim_block(Brace::default(), ahead.parse::<TokenTree>()?.into_token_stream());
        input.advance_to(&ahead);
        return Ok(ImplItem::Fn(method));
    }
    input.parse()
}

fn is_braced(token: &TokenTree) -> bool {
    matches!(token, TokenTree::Group(group) if group.delimiter() == Delimiter::Brace)
}

#[cfg(test)]
mod tests {
    use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};
    use quote::quote;
    use syn::{ImplItem, parse_quote};

    use crate::{expand, method, source};

    const INCOMPLETE_BODY: &str = "
        #[tonic::async_trait]
        impl Greeter for MyGreeter {
            async fn say_hello(&self, request: Request<HelloRequest>) -> Result<Response<HelloReply>, Status> {
                let name = request.
            }

            async fn say_goodbye(&self, request: Request<HelloRequest>) -> Result<Response<HelloReply>, Status> {
                self.farewell(request)
            }
        }";

    #[test]
    fn expands_methods_with_incomplete_bodies() {
        let item: TokenStream = INCOMPLETE_BODY.parse().unwrap();
        assert!(syn::parse2::<syn::ItemImpl>(item.clone()).is_err());

        let expanded = expand::expand(TokenStream::new(), item);
        let text = expanded.to_string();
        assert_eq!(text.matches("__private :: rpc").count(), 2, "{text}");
        assert!(!text.contains("compile_error"), "{text}");

        let service = source::parse_impl(expanded).unwrap();
        let [ImplItem::Fn(say_hello), ImplItem::Fn(_)] = &service.items[..] else {
            panic!("expected two methods")
        };
        let mut say_hello = say_hello.clone();
        let handoff = say_hello.attrs.remove(0).meta.require_list().unwrap().tokens.clone();
        let text = method::expand(handoff, source::with_original_braces(&mut say_hello)).to_string();
        assert!(text.ends_with("let name = request . } } }) . await }"), "{text}");
        assert!(!text.contains("compile_error"), "{text}");
    }

    #[test]
    fn reports_a_syntax_error_outside_of_bodies() {
        let error = |tokens: TokenStream| source::parse_impl(tokens).err().unwrap().to_string();
        assert_eq!(
            error(parse_quote!(impl Greeter for MyGreeter)),
            "unexpected end of input, expected curly braces"
        );
        assert_eq!(
            error(parse_quote!(impl Greeter for MyGreeter { async fn say_hello(&self, request) {} })),
            "expected `:`"
        );
    }

    #[test]
    fn accepts_a_body_from_a_macro() {
        let body = Group::new(Delimiter::None, quote!({ Err(gone()) }));
        let service =
            source::parse_impl(quote!(impl Greeter for MyGreeter { async fn say_hello(&self, _: A) -> B #body }));
        let tokens: Vec<TokenTree> = source::to_tokens(service.unwrap()).into_iter().collect();
        let Some(TokenTree::Group(items)) = tokens.last() else {
            panic!("expected an impl")
        };
        let last = items.stream().into_iter().last().unwrap();
        assert!(matches!(last, TokenTree::Group(group) if group.delimiter() == Delimiter::None));
    }

    #[test]
    fn keeps_every_token() {
        let tokens: TokenStream = parse_quote! {
            #[outer]
            default unsafe impl<'a, T: 'a> Greeter<T> for &'a MyGreeter<{ 1 + 1 }> where T: Send {
                #![inner]
                const A: u8 = { 1 };
                type B = C;
                #[above]
                pub(crate) default async fn say_hello<U>(&self, _: U) -> V where U: W { #![within] not rust at all }
                made!();
                made! { here }
            }
        };
        let service = source::parse_impl(tokens.clone()).unwrap();
        assert_eq!(source::to_tokens(service).to_string(), tokens.to_string());
        assert!(matches!(tokens.into_iter().last(), Some(TokenTree::Group(_))));
    }
}
