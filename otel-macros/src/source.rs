//! Reads an impl without reading its methods' statements. They stay the tokens they were, also where they are not Rust: half-typed, for one.
//!
//! rust-analyzer (1.95) mends most half-typed bodies before a macro sees them, and then it completes `self.`, knows types and goes to definitions in all methods of
//! the impl, as it does without the attribute. What it cannot mend makes `#[async_trait]` give up on the whole impl, also without us. A mistake in an
//! argument costs nothing of that, as the impl is handed on as it was.

use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};
use quote::{ToTokens, quote};
use syn::parse::discouraged::Speculative;
use syn::parse::{ParseStream, Parser};
use syn::token::Brace;
use syn::{
    Attribute, Block, Expr, FnModifiers, ImplItem, ImplItemFn, ItemImpl, Result, Signature, Stmt, Visibility, braced,
};

/// An impl whose methods have their bodies, braces and all, in one [`Expr::Verbatim`]. [`tokens`] are what it was read from.
pub(crate) fn service(item: TokenStream) -> Result<ItemImpl> {
    let mut head: Vec<TokenTree> = item.into_iter().collect();
    let Some(TokenTree::Group(body)) = head.pop_if(|last| is_braced(last)) else {
        // syn tells what is missing.
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

/// What [`service`] has read, with what has changed in it.
///
/// Braces that syn makes anew stand at one place, and not at two. The compiler has then a second look at a half-typed body, and says everything again, elsewhere.
pub(crate) fn tokens(mut service: ItemImpl) -> TokenStream {
    for item in &mut service.items {
        if let ImplItem::Fn(method) = item {
            *item = ImplItem::Verbatim(with_its_own_braces(method));
        }
    }
    service.into_token_stream()
}

fn with_its_own_braces(method: &mut ImplItemFn) -> TokenStream {
    let body = statements(&method.block);
    method.block.stmts.clear();
    let mut tokens: Vec<TokenTree> = method.to_token_stream().into_iter().collect();
    tokens.pop_if(|last| is_braced(last));
    tokens.into_iter().chain(body).collect()
}

/// A method that has its statements in one [`Expr::Verbatim`].
pub(crate) fn method(input: ParseStream<'_>) -> Result<ImplItemFn> {
    let mut method = input.call(head)?;
    let body;
    let brace_token = braced!(body in input);
    method.attrs.extend(body.call(Attribute::parse_inner)?);
    method.block = verbatim(brace_token, body.parse()?);
    Ok(method)
}

/// A method up to its body.
fn head(input: ParseStream<'_>) -> Result<ImplItemFn> {
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
        block: verbatim(Brace::default(), TokenStream::new()),
    })
}

pub(crate) fn verbatim(brace_token: Brace, statements: TokenStream) -> Block {
    Block {
        brace_token,
        stmts: vec![Stmt::Expr(Expr::Verbatim(statements), None)],
    }
}

/// The statements of a [`method`].
pub(crate) fn statements(block: &Block) -> TokenStream {
    block.stmts.iter().map(ToTokens::to_token_stream).collect()
}

fn impl_item(input: ParseStream<'_>) -> Result<ImplItem> {
    let ahead = input.fork();
    if let Ok(mut method) = head(&ahead)
        && ahead.peek(Brace)
    {
        method.block = verbatim(Brace::default(), ahead.parse::<Group>()?.into_token_stream());
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
    use proc_macro2::{TokenStream, TokenTree};
    use syn::{ImplItem, parse_quote};

    use crate::{expand, method, source};

    const HALF_TYPED: &str = "
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
    fn a_half_typed_method_is_handed_on_like_the_others() {
        let item: TokenStream = HALF_TYPED.parse().unwrap();
        assert!(syn::parse2::<syn::ItemImpl>(item.clone()).is_err());

        let expanded = expand::expand(TokenStream::new(), item);
        let text = expanded.to_string();
        assert_eq!(text.matches("__private :: rpc").count(), 2, "{text}");
        assert!(!text.contains("compile_error"), "{text}");

        let service = source::service(expanded).unwrap();
        let [ImplItem::Fn(say_hello), ImplItem::Fn(_)] = &service.items[..] else {
            panic!("two methods")
        };
        let mut say_hello = say_hello.clone();
        let handoff = say_hello.attrs.remove(0).meta.require_list().unwrap().tokens.clone();
        let text = method::expand(handoff, source::with_its_own_braces(&mut say_hello)).to_string();
        assert!(text.ends_with("let name = request . }) . await }"), "{text}");
        assert!(!text.contains("compile_error"), "{text}");
    }

    #[test]
    fn what_is_no_method_and_no_impl_is_told_by_its_name() {
        let error = |tokens: TokenStream| source::service(tokens).err().unwrap().to_string();
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
    fn every_token_stays() {
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
        let service = source::service(tokens.clone()).unwrap();
        assert_eq!(source::tokens(service).to_string(), tokens.to_string());
        assert!(matches!(tokens.into_iter().last(), Some(TokenTree::Group(_))));
    }
}
