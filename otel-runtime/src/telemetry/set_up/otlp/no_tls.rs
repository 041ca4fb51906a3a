//! Without the cargo feature `tls` there is none.

/// None of them ever is.
pub(super) type Tls = std::convert::Infallible;
