//! The Control UI's files: built in, or from the folder `gateway.controlUi.root` names.
//!
//! Every path that is no file is the page itself, so that its own routes can be opened and
//! reloaded. No secret is in the page: it authenticates over the WebSocket.

use super::Exchange;
use crate::config::Snapshot;
use crate::gateway::core::Core;
use crate::gateway::{identity, ui};
use std::borrow::Cow;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

/// Largest file that is served from an override folder: it is read whole.
const MAX_FILE: u64 = 32 * 1024 * 1024;

/// On every answer but the 405.
pub(super) const SAFETY: [(&str, &str); 3] = safety("frame-ancestors 'none'");

/// For the built-in page: nothing but its own files, no script or style in the markup, no way to
/// make markup from text. Pictures come along in messages; the address of the gateway can be
/// changed, so the WebSocket may go anywhere.
const OURS: [(&str, &str); 3] = safety(
    "frame-ancestors 'none'; default-src 'none'; script-src 'self'; style-src 'self'; \
     img-src 'self' data:; connect-src 'self' ws: wss:; base-uri 'none'; form-action 'none'; \
     require-trusted-types-for 'script'; trusted-types 'none'",
);

const fn safety(policy: &'static str) -> [(&'static str, &'static str); 3] {
    [
        ("X-Frame-Options", "DENY"),
        ("Content-Security-Policy", policy),
        ("X-Content-Type-Options", "nosniff"),
    ]
}

/// A page that is already configured is left as it is.
const CONFIGURED: &str = "__OPENCLAW_ASSISTANT_NAME__";

pub fn serve(core: &Arc<Core>, exchange: Exchange) -> Option<Exchange> {
    let config = core.config.current();
    if config.config.gateway.control_ui.enabled == Some(false) {
        return Some(exchange);
    }
    if !["GET", "HEAD"].contains(&exchange.method()) {
        exchange.text(405, "Method Not Allowed");
        return None;
    }
    let base = base_path(&config);
    let path = exchange.path().to_string();
    let Some(inside) = path.strip_prefix(base.as_str()) else {
        return Some(exchange);
    };
    if base.is_empty() && (path == "/ui" || path.starts_with("/ui/")) {
        not_found(exchange);
        return None;
    }
    if !base.is_empty() && inside.is_empty() {
        let location = format!("{base}/{}", exchange.query());
        let mut headers = SAFETY.to_vec();
        headers.push(("Location", &location));
        exchange.respond(302, &headers, b"");
        return None;
    }
    if !inside.starts_with('/') {
        return Some(exchange);
    }
    file(core, &config, exchange, &base, inside);
    None
}

fn file(core: &Core, config: &Snapshot, exchange: Exchange, base: &str, inside: &str) {
    // Relative links of a page on a deep route arrive below that route.
    let wanted = match inside.find("/assets/") {
        Some(at) => &inside[at + 1..],
        None => inside.trim_start_matches('/'),
    };
    let Some(wanted) = safe(wanted) else {
        return not_found(exchange);
    };
    let index = wanted.is_empty() || wanted.ends_with('/') || wanted == "index.html";
    let root = config.config.gateway.control_ui.root.as_deref();
    let found = if index {
        None
    } else {
        read(core, root, &wanted)
    };
    if let Some((bytes, kind)) = found {
        let mut headers = match bytes {
            Cow::Borrowed(_) => OURS.to_vec(),
            Cow::Owned(_) => SAFETY.to_vec(),
        };
        let tag = tag(&bytes);
        headers.extend([("Cache-Control", "no-cache"), ("ETag", &tag)]);
        let known = exchange.header("if-none-match").unwrap_or_default();
        if known.split(',').any(|one| one.trim() == tag) {
            return exchange.respond(304, &headers, b"");
        }
        headers.push(("Content-Type", kind));
        return exchange.respond(200, &headers, &bytes);
    }
    let page = read(core, root, "index.html");
    let ours = matches!(page, Some((Cow::Borrowed(_), _)));
    let Some(page) = page.and_then(|(bytes, _)| String::from_utf8(bytes.into_owned()).ok()) else {
        let mut headers = SAFETY.to_vec();
        headers.push(("Content-Type", "text/plain; charset=utf-8"));
        return exchange.respond(
            503,
            &headers,
            b"Control UI assets not found: gateway.controlUi.root has no index.html",
        );
    };
    let page = configured(core, config, base, page, ours);
    let mut headers = if ours { OURS } else { SAFETY }.to_vec();
    headers.extend([
        ("Content-Type", "text/html; charset=utf-8"),
        ("Cache-Control", "no-cache"),
    ]);
    exchange.respond(200, &headers, page.as_bytes());
}

pub(super) fn not_found(exchange: Exchange) {
    let mut headers = SAFETY.to_vec();
    headers.push(("Content-Type", "text/plain; charset=utf-8"));
    exchange.respond(404, &headers, b"Not Found");
}

/// `/openclaw` from whatever was configured; empty when the page lies at the root.
pub(super) fn base_path(config: &Snapshot) -> String {
    let text = config.config.gateway.control_ui.base_path.as_deref();
    let text = text.unwrap_or_default().trim();
    let text = text.strip_suffix('/').unwrap_or(text);
    match text {
        "" => String::new(),
        _ if text.starts_with('/') => text.to_string(),
        _ => format!("/{text}"),
    }
}

/// The path below the root, decoded; `None` when it points outside or is no path.
fn safe(path: &str) -> Option<String> {
    let decoded = percent_decoded(path)?;
    if decoded.contains('\0') || decoded.contains('\\') {
        return None;
    }
    let inside = Path::new(&decoded)
        .components()
        .all(|c| matches!(c, Component::Normal(_) | Component::CurDir));
    (inside || decoded.is_empty()).then_some(decoded)
}

pub(in crate::gateway::http) fn percent_decoded(text: &str) -> Option<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let mut digit = || char::from(bytes.next()?).to_digit(16);
            out.push((digit()? * 16 + digit()?) as u8);
        } else {
            out.push(byte);
        }
    }
    String::from_utf8(out).ok()
}

fn read(core: &Core, root: Option<&str>, path: &str) -> Option<(Cow<'static, [u8]>, &'static str)> {
    let Some(root) = root.map(str::trim).filter(|r| !r.is_empty()) else {
        return ui::find(path).map(|a| (Cow::Borrowed(a.bytes), a.content_type));
    };
    let root = match root.strip_prefix("~/") {
        Some(rest) => core.config.paths().home.join(rest),
        None => PathBuf::from(root),
    };
    let root = root.canonicalize().ok()?;
    // Links out of the folder lead nowhere.
    let file = root.join(path).canonicalize().ok()?;
    if !file.starts_with(&root) {
        return None;
    }
    let bytes = read_file(&file, MAX_FILE)?;
    Some((Cow::Owned(bytes), content_type(&file)))
}

/// Names a file's content, so that a browser which has it is not sent it again. FNV-1a: two versions
/// of one file need different names, nobody gains by making them equal.
fn tag(bytes: &[u8]) -> String {
    let hash = bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("\"{hash:016x}\"")
}

/// A regular file of at most `max` bytes.
pub(super) fn read_file(path: &Path, max: u64) -> Option<Vec<u8>> {
    let meta = std::fs::metadata(path).ok()?;
    if !meta.is_file() || meta.len() > max {
        return None;
    }
    std::fs::read(path).ok()
}

pub(super) fn content_type(path: &Path) -> &'static str {
    let extension = path
        .extension()
        .and_then(|e| e.to_str())
        .unwrap_or_default();
    match extension.to_ascii_lowercase().as_str() {
        "html" => "text/html; charset=utf-8",
        "js" => "application/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "json" | "map" => "application/json; charset=utf-8",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "gif" => "image/gif",
        "webp" => "image/webp",
        "ico" => "image/x-icon",
        "txt" => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

/// The page with the three values it starts from, right before the end of its head: a block of
/// data in ours, whose policy permits no script there; the original's script in any other.
fn configured(core: &Core, config: &Snapshot, base: &str, page: String, ours: bool) -> String {
    if page.contains(CONFIGURED) {
        return page;
    }
    let agent = config.config.default_agent_id();
    let who = identity::resolve(config, core.config.paths(), &agent);
    let [base, name, avatar] = [base, &who.name, &who.avatar].map(literal);
    let script = if ours {
        format!(
            "<script type=\"application/json\" id=\"openclaw-page\">\
             {{\"__OPENCLAW_CONTROL_UI_BASE_PATH__\":{base},\
             \"__OPENCLAW_ASSISTANT_NAME__\":{name},\
             \"__OPENCLAW_ASSISTANT_AVATAR__\":{avatar}}}</script>"
        )
    } else {
        format!(
            "<script>window.__OPENCLAW_CONTROL_UI_BASE_PATH__={base};\
             window.__OPENCLAW_ASSISTANT_NAME__={name};\
             window.__OPENCLAW_ASSISTANT_AVATAR__={avatar};</script>"
        )
    };
    match page.find("</head>") {
        Some(at) => format!("{}{script}{}", &page[..at], &page[at..]),
        None => script + &page,
    }
}

/// A JSON string that cannot end the script it stands in.
fn literal(text: &str) -> String {
    serde_json::to_string(text)
        .expect("a string is JSON")
        .replace('<', "\\u003c")
        .replace('\u{2028}', "\\u2028")
        .replace('\u{2029}', "\\u2029")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_out_of_the_root_are_none() {
        assert_eq!(safe("assets/app.js").as_deref(), Some("assets/app.js"));
        assert_eq!(safe("").as_deref(), Some(""));
        for bad in [
            "../x",
            "a/../../x",
            "%2e%2e/x",
            "a%00",
            "a%5c..%5cb",
            "/etc",
            "%zz",
        ] {
            assert_eq!(safe(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_name_cannot_break_out_of_the_script() {
        assert_eq!(literal("</script>"), r#""\u003c/script>""#);
    }
}
