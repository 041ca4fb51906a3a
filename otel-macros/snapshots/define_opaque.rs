type Lines = impl Stream<Item = Result<Line, Status>> + Send + 'static;

#[traced_service]
#[tonic::async_trait]
impl Chat for MyChat {
    type ListenStream = Lines;

    #[define_opaque(Lines)]
    #[instrument(skip_all)]
    async fn listen(&self, request: Request<Line>) -> Result<Response<Self::ListenStream>, Status> {
        Ok(Response::new(tokio_stream::once(Ok(request.into_inner()))))
    }
}
