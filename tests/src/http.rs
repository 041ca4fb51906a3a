//! Plain HTTP/1.0 requests, for servers that are not gRPC.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use crate::server::TIMEOUT;

/// Returns the head and the body of the response to a GET.
#[must_use]
pub fn get(address: SocketAddr, path: &str) -> (String, String) {
    send(address, &format!("GET {path}"))
}

/// Sends a request, given as its method and its path, and returns the head and the body of the
/// response.
#[must_use]
pub fn send(address: SocketAddr, request: &str) -> (String, String) {
    let mut connection = TcpStream::connect(address).unwrap();
    connection.set_read_timeout(Some(TIMEOUT)).unwrap();
    // HTTP/1.0 has no chunked bodies, so the response needs no decoding.
    write!(connection, "{request} HTTP/1.0\r\nHost: {address}\r\n\r\n").unwrap();
    let mut response = String::new();
    connection.read_to_string(&mut response).unwrap();
    let (head, body) = response.split_once("\r\n\r\n").unwrap();
    (head.to_owned(), body.to_owned())
}
