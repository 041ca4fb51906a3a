impl Greeter for MyGreeter {
    /// Greets by name.
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
    fn say_hello<'life0, 'async_trait>(
        &'life0 self,
        request: Request<HelloRequest>,
    ) -> ::core::pin::Pin<
        Box<
            dyn ::core::future::Future<
                Output = Result<Response<HelloReply>, Status>,
            > + ::core::marker::Send + 'async_trait,
        >,
    >
    where
        'life0: 'async_trait,
        Self: 'async_trait,
    {
        use ::otel_runtime::__private::RespondUnary as _;
        static __RPC: ::otel_runtime::__private::MethodDescriptor = ::otel_runtime::__private::MethodDescriptor::for_trait(
            "Greeter",
            "SayHello",
        );
        (&__RPC)
            .returning::<Result<Response<HelloReply>, Status>>()
            .__respond(move |__call| {
                *__call = (&__RPC).start(&request);
                async move {
                    if let ::core::option::Option::Some(__ret) = ::core::option::Option::None::<
                        Result<Response<HelloReply>, Status>,
                    > {
                        #[allow(unreachable_code)] return __ret;
                    }
                    let __self = self;
                    let request = request;
                    let __ret: Result<Response<HelloReply>, Status> = {
                        let name = __self.name_of(request).await?;
                        Ok(Response::new(HelloReply { name }))
                    };
                    #[allow(unreachable_code)] __ret
                }
            })
    }
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
    fn forget<'life0, 'async_trait>(
        &'life0 self,
        __arg1: Request<HelloRequest>,
    ) -> ::core::pin::Pin<
        Box<
            dyn ::core::future::Future<
                Output = Result<Response<HelloReply>, Status>,
            > + ::core::marker::Send + 'async_trait,
        >,
    >
    where
        'life0: 'async_trait,
        Self: 'async_trait,
    {
        use ::otel_runtime::__private::RespondUnary as _;
        static __RPC: ::otel_runtime::__private::MethodDescriptor = ::otel_runtime::__private::MethodDescriptor::for_trait(
            "Greeter",
            "Forget",
        );
        (&__RPC)
            .returning::<Result<Response<HelloReply>, Status>>()
            .__respond(move |__call| {
                *__call = (&__RPC).start(&__arg1);
                async move {
                    if let ::core::option::Option::Some(__ret) = ::core::option::Option::None::<
                        Result<Response<HelloReply>, Status>,
                    > {
                        #[allow(unreachable_code)] return __ret;
                    }
                    let __self = self;
                    let __arg1 = __arg1;
                    let __ret: Result<Response<HelloReply>, Status> = {
                        Err(__self.gone())
                    };
                    #[allow(unreachable_code)] __ret
                }
            })
    }
}
