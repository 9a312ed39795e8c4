//! Parts of addresses we write or are given.

use std::fmt::Write;

/// `text` as one segment of a path or one value of a query.
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                out.push(byte.into());
            }
            _ => {
                let _ = write!(out, "%{byte:02X}");
            }
        }
    }
    out
}

/// `name=value&…`, for a query or a form.
pub fn query(pairs: &[(&str, &str)]) -> String {
    let pair = |(name, value): &(&str, &str)| format!("{}={}", escape(name), escape(value));
    pairs.iter().map(pair).collect::<Vec<_>>().join("&")
}

/// Scheme, host and port of `url`: what a credential may be sent to again.
pub fn origin(url: &str) -> &str {
    let host = url.find("://").map_or(0, |at| at + 3);
    let end = url[host..].find(['/', '?', '#']);
    &url[..end.map_or(url.len(), |at| host + at)]
}

/// Where a redirect from `url` leads.
pub fn join(url: &str, location: &str) -> String {
    if location.contains("://") {
        return location.to_string();
    }
    if let Some(rest) = location.strip_prefix("//") {
        let scheme = url.split("//").next().unwrap_or("https:");
        return format!("{scheme}//{rest}");
    }
    if location.starts_with('/') {
        return format!("{}{location}", origin(url));
    }
    let path = url.split(['?', '#']).next().unwrap_or(url);
    let folder = match path.rfind('/') {
        Some(at) if at >= origin(url).len() => &path[..at],
        _ => path,
    };
    format!("{folder}/{location}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_plain_letter_is_escaped() {
        assert_eq!(escape("!a b/ä~"), "%21a%20b%2F%C3%A4~");
        assert_eq!(query(&[("q", "a&b"), ("n", "1")]), "q=a%26b&n=1");
    }

    #[test]
    fn an_address_is_followed_from_where_it_was_read() {
        let from = "https://a.example:8/x/y?z=/q";
        assert_eq!(origin(from), "https://a.example:8");
        for (location, leads) in [
            ("https://b/1", "https://b/1"),
            ("//b/1", "https://b/1"),
            ("/1", "https://a.example:8/1"),
            ("1", "https://a.example:8/x/1"),
        ] {
            assert_eq!(join(from, location), leads);
        }
        assert_eq!(join("https://a", "1"), "https://a/1");
    }
}
