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
    let (head, body) = send_with(address, request, "");
    (head, String::from_utf8(body).unwrap())
}

/// Sends a request with further headers, each with its line end, and returns the head and the body
/// of the response.
#[must_use]
pub fn send_with(address: SocketAddr, request: &str, headers: &str) -> (String, Vec<u8>) {
    // HTTP/1.0 has no chunked bodies, so the response needs no decoding.
    exchange(
        address,
        &format!("{request} HTTP/1.0\r\nHost: {address}\r\n{headers}\r\n"),
    )
}

/// Sends the bytes of a request, and returns the head and the body of the response.
#[must_use]
pub fn exchange(address: SocketAddr, request: &str) -> (String, Vec<u8>) {
    let mut connection = TcpStream::connect(address).unwrap();
    connection.set_read_timeout(Some(TIMEOUT)).unwrap();
    connection.write_all(request.as_bytes()).unwrap();
    let mut response = Vec::new();
    connection.read_to_end(&mut response).unwrap();
    let end = response.windows(4).position(|bytes| bytes == b"\r\n\r\n").unwrap();
    let body = response.split_off(end + 4);
    (String::from_utf8(response[..end].to_vec()).unwrap(), body)
}
