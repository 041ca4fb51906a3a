//! Service and method names in the path of a request: `/pkg.Service/Method`.

/// Returns the full method name `pkg.Service/Method` of a path, without its leading `/`.
pub(crate) fn full_method_name(path: &str) -> &str {
    path.strip_prefix('/').unwrap_or(path)
}

/// Returns the fully qualified method `pkg.Service/Method` of a path, whatever prefix it has.
///
/// Returns the whole path without its leading `/` if that does not name a service and a method.
pub(crate) fn qualified_method(path: &str) -> &str {
    match service_and_method(path) {
        Some((service, method)) => &path[path.len() - service.len() - method.len() - 1..],
        None => full_method_name(path),
    }
}

/// Splits `/pkg.Service/Method` into `pkg.Service` and `Method`.
///
/// If the service is nested below another path, only the last two segments count. Returns `None`
/// if either name is missing or empty.
pub(crate) fn service_and_method(path: &str) -> Option<(&str, &str)> {
    let (rest, method) = path.rsplit_once('/')?;
    let (_, service) = rest.rsplit_once('/')?;
    (!service.is_empty() && !method.is_empty()).then_some((service, method))
}

/// Returns `true` if the last segment of `path` is `method` up to letter case and underscores.
///
/// prost changes nothing else when it derives a function name from a method name.
pub(crate) fn names_match(method: &str, path: &str) -> bool {
    fn letters(name: &str) -> impl Iterator<Item = u8> {
        let letters = name.bytes().filter(|letter| *letter != b'_');
        letters.map(|letter| letter.to_ascii_lowercase())
    }
    path.rsplit('/')
        .next()
        .is_some_and(|last| letters(last).eq(letters(method)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(path: &'static str) -> Option<(String, String)> {
        let uri = http::Uri::from_static(path);
        service_and_method(uri.path()).map(|(service, method)| (service.to_owned(), method.to_owned()))
    }

    #[test]
    fn splits_a_path_into_service_and_method() {
        let pair = |service: &str, method: &str| Some((service.to_owned(), method.to_owned()));
        assert_eq!(
            parts("/helloworld.Greeter/SayHello"),
            pair("helloworld.Greeter", "SayHello")
        );
        assert_eq!(
            parts("http://[::1]:50051/Greeter/getThing"),
            pair("Greeter", "getThing")
        );
        assert_eq!(
            parts("/nested/helloworld.Greeter/SayHello?query"),
            pair("helloworld.Greeter", "SayHello")
        );
    }

    #[test]
    fn a_method_is_qualified_by_its_service_alone() {
        for (path, method) in [
            ("/helloworld.Greeter/SayHello", "helloworld.Greeter/SayHello"),
            ("/api/v1/helloworld.Greeter/SayHello", "helloworld.Greeter/SayHello"),
            ("/helloworld.Greeter", "helloworld.Greeter"),
            ("/helloworld.Greeter/", "helloworld.Greeter/"),
            ("*", "*"),
        ] {
            assert_eq!(qualified_method(path), method, "{path}");
        }
    }

    #[test]
    fn an_incomplete_path_has_no_service_and_method() {
        for path in ["/", "/helloworld.Greeter", "/helloworld.Greeter/", "//SayHello", "*"] {
            assert_eq!(parts(path), None, "{path}");
        }
    }
}
