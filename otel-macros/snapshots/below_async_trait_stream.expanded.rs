impl Chat for MyChat {
    type TalkStream = ::otel_runtime::TracedStream<
        Pin<Box<dyn Stream<Item = Result<Line, Status>> + Send>>,
    >;
    #[allow(
        elided_named_lifetimes,
        clippy::async_yields_async,
        clippy::diverging_sub_expression,
        clippy::let_unit_value,
        clippy::needless_arbitrary_self_type,
        clippy::no_effect_underscore_binding,
        clippy::shadow_same,
        clippy::type_complexity,
        clippy::type_repetition_in_bounds,
        clippy::used_underscore_binding
    )]
    fn talk<'life0, 'async_trait>(
        &'life0 self,
        request: Request<Streaming<Line>>,
    ) -> ::core::pin::Pin<
        Box<
            dyn ::core::future::Future<
                Output = Result<Response<Self::TalkStream>, Status>,
            > + ::core::marker::Send + 'async_trait,
        >,
    >
    where
        'life0: 'async_trait,
        Self: 'async_trait,
    {
        static __RPC: ::otel_runtime::__private::MethodDescriptor = ::otel_runtime::__private::MethodDescriptor::for_trait(
            "Chat",
            "Talk",
        );
        (&__RPC)
            .returning::<
                Result<
                    Response<::otel_runtime::__private::Untraced<Self::TalkStream>>,
                    Status,
                >,
            >()
            .respond_stream(move |__call| {
                *__call = (&__RPC).start(&request);
                async move {
                    if let ::core::option::Option::Some(__ret) = ::core::option::Option::None::<
                        Result<
                            Response<
                                ::otel_runtime::__private::Untraced<Self::TalkStream>,
                            >,
                            Status,
                        >,
                    > {
                        #[allow(unreachable_code)] return __ret;
                    }
                    let __self = self;
                    let mut request = request;
                    let __ret: Result<
                        Response<::otel_runtime::__private::Untraced<Self::TalkStream>>,
                        Status,
                    > = {
                        let lines = request.get_mut();
                        Ok(
                            Response::new(
                                Box::pin(__self.answer(lines))
                                    as ::otel_runtime::__private::Untraced<Self::TalkStream>,
                            ),
                        )
                    };
                    #[allow(unreachable_code)] __ret
                }
            })
    }
}
