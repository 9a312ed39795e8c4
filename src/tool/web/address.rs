//! Addresses of pages: taking them apart, following a link from one to the next, and the names that
//! are never asked for.
//!
//! What is connected to is put together from the parts that were checked here, so a text that two
//! readers understand differently gains nothing; the numeric address itself is checked where the
//! connection is made (`net::policy`).

use super::super::Error;

/// Longest address that is taken.
const MAX: usize = 4096;

#[derive(Clone, Debug, PartialEq)]
pub struct Address {
    https: bool,
    /// Lower case; an IPv6 address in its brackets.
    pub host: String,
    port: Option<u16>,
    /// Path and query, beginning with a slash.
    rest: String,
}

impl Address {
    pub fn parse(text: &str) -> Result<Address, Error> {
        let text = text.trim();
        if text.len() > MAX {
            return Err("Invalid URL: too long".into());
        }
        let (scheme, rest) = text
            .split_once("://")
            .ok_or("Invalid URL: must be http or https")?;
        let https = match scheme.to_ascii_lowercase().as_str() {
            "https" => true,
            "http" => false,
            _ => return Err("Invalid URL: must be http or https".into()),
        };
        let end = rest.find(['/', '?', '#', '\\']).unwrap_or(rest.len());
        let (authority, rest) = rest.split_at(end);
        if authority.contains('@') {
            return Err("Invalid URL: no user name or password in it, please".into());
        }
        let (host, port) = match authority.rfind(':') {
            Some(colon) if !authority[colon..].contains(']') => {
                (&authority[..colon], &authority[colon + 1..])
            }
            _ => (authority, ""),
        };
        let port = match port {
            "" => None,
            port => Some(
                port.parse()
                    .map_err(|_| Error(format!("Invalid URL: {port} is no port")))?,
            ),
        };
        let host = host.to_ascii_lowercase();
        let six = host.starts_with('[') && host.ends_with(']');
        let usable = |c: char| match six {
            true => c.is_ascii_hexdigit() || matches!(c, '[' | ']' | ':' | '.'),
            false => c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_'),
        };
        if !host.is_ascii() {
            return Err("Invalid URL: write the host in its ASCII form (xn--…)".into());
        }
        if host.is_empty() || !host.chars().all(usable) {
            return Err("Invalid URL: no usable host in it".into());
        }
        let rest = rest.split('#').next().unwrap_or_default();
        Ok(Address {
            https,
            host,
            port,
            rest: escaped(rest),
        })
    }

    /// Where `link` on the page of this address leads; `None` when it is nothing for HTTP.
    pub fn join(&self, link: &str) -> Option<Address> {
        // Browsers take line ends and tabs out of links.
        let link: String = link
            .trim()
            .chars()
            .filter(|c| !c.is_control())
            .take(MAX)
            .collect();
        let scheme = if self.https { "https" } else { "http" };
        if let Some(rest) = link.strip_prefix("//") {
            return Address::parse(&format!("{scheme}://{rest}")).ok();
        }
        let letters = link.find(|c: char| !c.is_ascii_alphanumeric() && !"+-.".contains(c));
        if letters.is_some_and(|at| link[at..].starts_with(':')) {
            return Address::parse(&link).ok();
        }
        let path = self.rest.split('?').next().unwrap_or("/");
        let link = link.split('#').next().unwrap_or_default();
        let rest = match link.chars().next() {
            None => self.rest.clone(),
            Some('?') => format!("{path}{link}"),
            Some('/') => flat(link),
            _ => {
                let folder = &path[..path.rfind('/').map_or(0, |at| at + 1)];
                flat(&format!("{folder}{link}"))
            }
        };
        Some(Address {
            rest: escaped(&rest),
            ..self.clone()
        })
    }

    /// Whether the operator's list has this place: `host`, or `host:port`.
    pub fn is_in<'a>(&self, list: impl IntoIterator<Item = &'a str>) -> bool {
        let port = self.port.unwrap_or(if self.https { 443 } else { 80 });
        let full = format!("{}:{port}", self.host);
        list.into_iter().any(|entry| {
            let entry = entry.trim().to_ascii_lowercase();
            entry == self.host || entry == full
        })
    }

    /// Names of machines that are not on the internet, whatever they resolve to.
    pub fn is_private_name(&self) -> bool {
        let host = self.host.trim_end_matches('.');
        let below = |domain: &str| {
            host.strip_suffix(domain)
                .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
        };
        ["localhost", "local", "internal"].iter().any(|d| below(d))
    }
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let scheme = if self.https { "https" } else { "http" };
        write!(f, "{scheme}://{}", self.host)?;
        if let Some(port) = self.port {
            write!(f, ":{port}")?;
        }
        f.write_str(&self.rest)
    }
}

/// Path and query as they may stand in a request line, from a slash on.
fn escaped(rest: &str) -> String {
    let mut out = String::with_capacity(rest.len() + 1);
    let mut query = false;
    if !rest.starts_with(['/', '\\']) {
        out.push('/');
    }
    for c in rest.chars() {
        query |= c == '?';
        match c {
            '\\' if !query => out.push('/'),
            '"'
            | '<'
            | '>'
            | '`'
            | '{'
            | '}'
            | '\\'
            | '^'
            | '|'
            | ' '
            | '\u{0}'..='\u{1f}'
            | '\u{7f}'.. => {
                let mut bytes = [0; 4];
                for byte in c.encode_utf8(&mut bytes).bytes() {
                    out.push_str(&format!("%{byte:02X}"));
                }
            }
            c => out.push(c),
        }
    }
    out
}

/// Without `.` and `..` in the path.
fn flat(rest: &str) -> String {
    let (path, query) = match rest.find('?') {
        Some(at) => rest.split_at(at),
        None => (rest, ""),
    };
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/').skip(1) {
        match part {
            "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    if path.ends_with("/.") || path.ends_with("/..") {
        parts.push("");
    }
    format!("/{}{query}", parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(text: &str) -> String {
        match Address::parse(text) {
            Ok(address) => address.to_string(),
            Err(Error(err)) => err,
        }
    }

    #[test]
    fn an_address_is_taken_apart_and_put_together() {
        for (text, whole) in [
            ("https://Example.com", "https://example.com/"),
            ("http://a.b:8080/x?y=1#z", "http://a.b:8080/x?y=1"),
            (" https://a.b/grün weg ", "https://a.b/gr%C3%BCn%20weg"),
            ("http://[::1]:80/", "http://[::1]:80/"),
            ("http://a.b\\c", "http://a.b/c"),
            ("https://a.b?q={1}", "https://a.b/?q=%7B1%7D"),
        ] {
            assert_eq!(said(text), whole);
        }
        for text in [
            "",
            "example.com",
            "file:///etc/passwd",
            "ftp://a.b/",
            "http://",
            "http://user:pass@a.b/",
            "http://evil.com\\@good.com@x/",
            "http://a b/",
            "http://a:99999/",
            "http://grün.de/",
            "http://[::1/",
            "http://%31/",
        ] {
            assert!(
                Address::parse(text).is_err() || text.contains('\\'),
                "{text}"
            );
        }
        assert_eq!(
            said("http://evil.com\\@good.com"),
            "http://evil.com/@good.com"
        );
    }

    #[test]
    fn links_are_followed_from_their_page() {
        let page = Address::parse("https://a.b/x/y/page.html?q=1").unwrap();
        for (link, leads) in [
            ("z", "https://a.b/x/y/z"),
            ("../z?k#f", "https://a.b/x/z?k"),
            ("/z", "https://a.b/z"),
            ("?r", "https://a.b/x/y/page.html?r"),
            ("#top", "https://a.b/x/y/page.html?q=1"),
            ("//c.d/e", "https://c.d/e"),
            ("http://c.d", "http://c.d/"),
            ("../../../../../../etc", "https://a.b/etc"),
            ("a\n/b", "https://a.b/x/y/a/b"),
        ] {
            let joined = page.join(link).map(|a| a.to_string());
            assert_eq!(joined.as_deref(), Some(leads), "{link}");
        }
        for link in [
            "javascript:alert(1)",
            "mailto:a@b.c",
            "data:text/html,x",
            "java\nscript:x",
        ] {
            assert_eq!(page.join(link), None, "{link}");
        }
    }

    #[test]
    fn private_names_are_known_in_every_spelling() {
        for host in [
            "localhost",
            "LOCALHOST.",
            "x.localhost",
            "printer.local",
            "metadata.google.internal",
        ] {
            let address = Address::parse(&format!("http://{host}/")).unwrap();
            assert!(address.is_private_name(), "{host}");
        }
        for host in ["mylocalhost", "local.example.com", "example.com"] {
            let address = Address::parse(&format!("http://{host}/")).unwrap();
            assert!(!address.is_private_name(), "{host}");
        }
        let address = Address::parse("https://wiki.lan/").unwrap();
        assert!(address.is_in(["other", "Wiki.LAN:443"]) && address.is_in(["wiki.lan"]));
        assert!(!address.is_in(["wiki.lan:80", "lan"]));
    }
}
