//! Follows the links that the program prints to traces in Jaeger's interface.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

/// A child process that is killed on drop, even if the test fails.
struct Program(Child);

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.0.kill();
    }
}

/// Returns the head and the body of a response to a GET.
fn get(url: &str) -> (String, String) {
    let (address, path) = url.strip_prefix("http://").unwrap().split_once('/').unwrap();
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET /{path} HTTP/1.0\r\nhost: {address}\r\n\r\n").unwrap();
    let mut response = Vec::new();
    stream.read_to_end(&mut response).unwrap();
    let response = String::from_utf8_lossy(&response).into_owned();
    let (head, body) = response.split_once("\r\n\r\n").unwrap();
    (head.to_owned(), body.to_owned())
}

#[test]
fn printed_links_show_traces_across_three_services() {
    let mut program = Program(
        Command::new(env!("CARGO_BIN_EXE_jaeger"))
            .env("PORT", "0")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap(),
    );
    let mut lines = BufReader::new(program.0.stdout.take().unwrap())
        .lines()
        .map(Result::unwrap);
    let orders: Vec<String> = lines.by_ref().take_while(|line| !line.is_empty()).collect();
    assert_eq!(orders.len(), 4, "{orders:?}");
    let link = orders[0].strip_prefix("6 apple: 3").unwrap().trim();

    let (page, trace_id) = link.split_once("/trace/").unwrap();
    let (head, body) = get(link);
    // Checks only the body, which a browser shows with any HTTP status.
    assert!(body.contains("<title>Jaeger UI</title>"), "{head}");
    let (_, trace) = get(&format!("{page}/api/traces/{trace_id}"));
    let trace: Value = serde_json::from_str(&trace).unwrap();
    let trace = &trace["data"][0];
    let service = |process: &Value| trace["processes"][process.as_str().unwrap()]["serviceName"].clone();
    let spans = trace["spans"].as_array().unwrap();
    assert_eq!(spans.len(), 8, "{trace:#}");
    let span = |name: &str, of: &str| {
        let found = spans
            .iter()
            .find(|span| span["operationName"] == name && service(&span["processID"]) == of);
        found.unwrap_or_else(|| panic!("no {name} of the {of}: {trace:#}"))
    };
    let parent = |span: &Value| span["references"][0]["spanID"].clone();
    let call = span("shop.Shop/PlaceOrder", "customer");
    let order = span("shop.Shop/PlaceOrder", "shop");
    let charge = span("shop.Payment/Charge", "shop");
    let charged = span("shop.Payment/Charge", "cashier");
    assert_eq!(parent(call), span("buy apple", "customer")["spanID"]);
    assert_eq!(parent(order), call["spanID"]);
    assert_eq!(parent(charge), order["spanID"]);
    assert_eq!(parent(charged), charge["spanID"]);

    let (_, services) = get(&format!("{page}/api/services"));
    assert!(services.contains("customer"), "{services}");

    let id = program.0.id().to_string();
    assert!(Command::new("kill").args(["-INT", &id]).status().unwrap().success());
    assert!(program.0.wait().unwrap().success());
}
