//! Proxies between our client and our server, and what both sides record of each call.

mod case;
mod page;
mod program;
mod run;
mod table;

pub use case::Case;
pub use page::check as check_page;
pub use program::{ALL, CADDY, DIRECT, ENVOY, GO, HAPROXY, NGINX, Proxy};
pub use run::run;
