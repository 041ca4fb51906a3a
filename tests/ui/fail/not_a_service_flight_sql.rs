use otel_runtime::traced_service;
use tonic::{Request, Response, Status};

// arrow-flight's trait. A tonic service calls these methods with the parts of a request.
#[tonic::async_trait]
trait FlightSqlService {
    async fn get_flight_info_statement(&self, query: String, request: Request<()>) -> Result<Response<()>, Status>;
    async fn do_put_statement_update(&self, ticket: String, request: Request<()>) -> Result<i64, Status>;
    async fn register_sql_info(&self, id: i32, result: &String);
}

struct MySql;

#[traced_service]
#[tonic::async_trait]
impl FlightSqlService for MySql {
    async fn get_flight_info_statement(&self, _: String, _: Request<()>) -> Result<Response<()>, Status> {
        Ok(Response::new(()))
    }

    async fn do_put_statement_update(&self, _: String, _: Request<()>) -> Result<i64, Status> {
        Ok(0)
    }

    async fn register_sql_info(&self, _: i32, _: &String) {}
}

fn main() {}
