#[traced_service]
#[tonic::async_trait]
impl Cache for MyCache {
    #[traced(name = "PutKV")]
    async fn put_kv(&self, request: Request<Pair>) -> Result<Response<()>, Status> {
        self.put(request).await
    }
}
