//! Connections of the scrape endpoint are bounded in number and in time.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use integration_tests::own_process::in_own_process;

use crate::prometheus::Scrape;

/// Returns the number of connections that the endpoint has closed.
fn closed(connections: &mut [TcpStream]) -> usize {
    connections
        .iter_mut()
        .filter_map(|connection| {
            connection.set_nonblocking(true).unwrap();
            connection.read(&mut [0]).ok()
        })
        .count()
}

#[test]
fn silent_connections_are_closed_and_keep_no_scraper_out() {
    in_own_process(|| {
        let scrape = Scrape::start();
        let begun = Instant::now();
        let mut silent: Vec<TcpStream> = (0..300).map(|_| TcpStream::connect(scrape.address).unwrap()).collect();
        // The scrape is the 301st connection, and is served at once.
        assert!(scrape.text("").contains("target_info"));
        assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
        // At most 32 of the silent ones are still open.
        let open = silent.len() - closed(&mut silent);
        assert!((1..32).contains(&open), "{open}");
        // A connection has ten seconds for the head of a request.
        let mut late = TcpStream::connect(scrape.address).unwrap();
        late.write_all(b"GET /metrics HTTP/1.1\r\nHost: a\r\n").unwrap();
        late.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        let mut answer = Vec::new();
        let begun = Instant::now();
        late.read_to_end(&mut answer).unwrap();
        assert!((5..20).contains(&begun.elapsed().as_secs()), "{:?}", begun.elapsed());
        assert_eq!(closed(&mut silent), 300);
    });
}
