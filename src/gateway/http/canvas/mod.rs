//! The canvas: pages the agent writes into a folder, shown in browsers and on nodes' screens, and
//! the A2UI page beside it. `/__openclaw__/canvas/…`, `/__openclaw__/a2ui/…`.
//!
//! Nobody proves anything here, as in the original: nodes' web views ask without a secret. So it
//! only ever reads, and only below its two folders: no `..`, no symlink on the way, no special file.
//! Everything is there for everybody who reaches the port.

pub mod reload;
mod snippet;

use super::Exchange;
use crate::base::sys::beneath::{self, How};
use crate::config::Paths;
use crate::config::canvas::{is_live, is_on, root};
use crate::gateway::core::Core;
use crate::gateway::handshake::Facts;
use crate::gateway::http::control_ui::{content_type, percent_decoded};
use crate::gateway::origin::host_name;
use crate::gateway::ui;
use std::fs::File;
use std::io::{self, Read};
use std::net::IpAddr;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

const CANVAS: &str = "/__openclaw__/canvas";
const A2UI: &str = "/__openclaw__/a2ui";
pub const SOCKET: &str = "/__openclaw__/ws";

/// Pages are read whole to put the snippet in; a larger one comes without.
const MAX_PAGE: u64 = 8 * 1024 * 1024;

const INDEX: &str = "index.html";
const READS: [&str; 2] = ["GET", "HEAD"];
const NO_STORE: (&str, &str) = ("Cache-Control", "no-store");

/// Written when there is nothing yet.
const FIRST_PAGE: &str = "<!doctype html>
<html lang=\"en\">
<head>
<meta charset=\"utf-8\">
<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">
<title>Canvas</title>
<style>
body { font: 1rem/1.5 system-ui, sans-serif; margin: 3rem auto; max-width: 34rem; padding: 0 1rem; }
button { font: inherit; padding: .4rem 1rem; }
@media (prefers-color-scheme: dark) { body { background: #111; color: #eee; } }
</style>
</head>
<body>
<h1>Canvas</h1>
<p>The assistant can show pages here. Replace this file to see your own; the page reloads when it
changes.</p>
<p><button id=\"hello\">Say hello</button> <output id=\"said\"></output></p>
<script>
document.getElementById(\"hello\").addEventListener(\"click\", () => {
  const sent = globalThis.openclawSendUserAction?.({ name: \"hello\", sourceComponentId: \"hello\" });
  document.getElementById(\"said\").textContent = sent ? \"sent\" : \"no app is listening here\";
});
</script>
</body>
</html>
";

/// Where another A2UI page than our own lies, when somebody has put one there: beside the canvas.
fn a2ui_root(of: &Paths) -> PathBuf {
    of.shared().join("a2ui")
}

/// Where a client that connected so finds the canvas; `None` when there is none.
pub fn url(core: &Core, facts: &Facts) -> Option<String> {
    let config = core.config.current();
    if !is_on(&config) {
        return None;
    }
    let host = facts.forwarding.host.as_deref().map(host_name);
    let host = match host.filter(|host| !host.is_empty()) {
        Some(host) => host,
        None => facts.local.map_or("127.0.0.1".into(), |ip| ip.to_string()),
    };
    let host = match host.parse::<IpAddr>() {
        Ok(IpAddr::V6(ip)) => format!("[{ip}]"),
        _ => host,
    };
    let forwarded = facts.forwarding.forwarded_proto.as_deref().map(str::trim);
    let secure =
        forwarded.is_some_and(|p| p.eq_ignore_ascii_case("https")) || core.listen.tls.is_some();
    let scheme = if secure { "https" } else { "http" };
    Some(format!("{scheme}://{host}:{}", core.listen.port))
}

pub fn serve(core: &Arc<Core>, exchange: Exchange) -> Option<Exchange> {
    let config = core.config.current();
    if !is_on(&config) {
        return Some(exchange);
    }
    let path = exchange.path().to_string();
    if path == SOCKET {
        // A socket's upgrade never comes here; see `reload`.
        match is_live(&config) {
            true => exchange.text(426, "upgrade required"),
            false => exchange.text(404, "not found"),
        }
        return None;
    }
    let paths = core.config.paths();
    if let Some(rest) = below(&path, A2UI) {
        match a2ui_root(paths).is_dir() {
            true => page(exchange, &a2ui_root(paths), rest, &Kind::A2ui),
            false => own_a2ui(exchange, rest),
        }
    } else if let Some(rest) = below(&path, CANVAS) {
        let root = root(&config, paths);
        if let Err(err) = prepare(&root) {
            log::warn!("canvas: {}: {err}", root.display());
        }
        let live = is_live(&config);
        page(exchange, &root, rest, &Kind::Canvas { live });
    } else {
        return Some(exchange);
    }
    None
}

enum Kind {
    Canvas { live: bool },
    A2ui,
}

fn below<'a>(path: &'a str, base: &str) -> Option<&'a str> {
    let rest = path.strip_prefix(base)?;
    (rest.is_empty() || rest.starts_with('/')).then_some(rest)
}

/// Makes the folder and its first page, where there is none.
fn prepare(root: &Path) -> io::Result<()> {
    if root.exists() {
        return Ok(());
    }
    std::fs::create_dir_all(root)?;
    std::fs::write(root.join(INDEX), FIRST_PAGE)
}

/// The A2UI page that is part of the program.
fn own_a2ui(exchange: Exchange, rest: &str) {
    if !READS.contains(&exchange.method()) {
        return exchange.text(405, "Method Not Allowed");
    }
    let Some(asset) = ui::find_a2ui(rest.trim_start_matches('/')) else {
        return not_found(exchange);
    };
    let headers = [("Content-Type", asset.content_type), NO_STORE];
    match std::str::from_utf8(asset.bytes) {
        Ok(html) if asset.path.ends_with(INDEX) => {
            exchange.respond(200, &headers, snippet::put_in(html).as_bytes());
        }
        _ => exchange.respond(200, &headers, asset.bytes),
    }
}

fn page(exchange: Exchange, root: &Path, rest: &str, kind: &Kind) {
    if !READS.contains(&exchange.method()) {
        return exchange.text(405, "Method Not Allowed");
    }
    let Ok(folder) = root.canonicalize().and_then(File::open) else {
        return match kind {
            Kind::A2ui => exchange.text(503, "A2UI assets not found"),
            Kind::Canvas { .. } => not_found(exchange),
        };
    };
    let Some(inside) = inside(rest) else {
        return not_found(exchange);
    };
    match open(&folder, &inside) {
        Ok(Some((file, path))) => match send(exchange, file, &path, kind) {
            Ok(()) => {}
            Err(err) => log::debug!("canvas: {}: {err}", path.display()),
        },
        Ok(None) | Err(_) if !rest.is_empty() && !rest.ends_with('/') => not_found(exchange),
        Ok(None) | Err(_) => match kind {
            Kind::A2ui => not_found(exchange),
            Kind::Canvas { .. } => missing_index(exchange, &root.join(inside)),
        },
    }
}

fn not_found(exchange: Exchange) {
    exchange.respond(
        404,
        &[("Content-Type", "text/plain; charset=utf-8"), NO_STORE],
        b"not found",
    );
}

fn missing_index(exchange: Exchange, folder: &Path) {
    let path = folder.join(INDEX).display().to_string();
    let path = path.replace('&', "&amp;").replace('<', "&lt;");
    let page = format!(
        "<!doctype html><meta charset=\"utf-8\"><title>Canvas</title>\
         <p>Missing file.</p><p>Create <code>{path}</code>.</p>"
    );
    exchange.respond(
        404,
        &[("Content-Type", "text/html; charset=utf-8"), NO_STORE],
        page.as_bytes(),
    );
}

/// The path below the root, decoded; `None` when it points out of it or is no path.
fn inside(rest: &str) -> Option<PathBuf> {
    let decoded = percent_decoded(rest.trim_start_matches('/'))?;
    if decoded.contains(['\0', '\\']) {
        return None;
    }
    let path = PathBuf::from(decoded);
    let plain = |c: Component| matches!(c, Component::Normal(_) | Component::CurDir);
    path.components().all(plain).then_some(path)
}

/// The file, or the index of the folder, and its path; `None` when it is something else.
fn open(root: &File, path: &Path) -> io::Result<Option<(File, PathBuf)>> {
    let file = beneath::open(root, path, How::Read)?;
    let meta = file.metadata()?;
    if meta.is_file() {
        return Ok(Some((file, path.into())));
    }
    if !meta.is_dir() {
        return Ok(None);
    }
    let path = path.join(INDEX);
    let file = beneath::open(root, &path, How::Read)?;
    Ok(file.metadata()?.is_file().then_some((file, path)))
}

fn send(exchange: Exchange, mut file: File, path: &Path, kind: &Kind) -> io::Result<()> {
    let size = file.metadata()?.len();
    let extension = path
        .extension()
        .and_then(|e| e.to_str())
        .unwrap_or_default();
    let is_page = ["html", "htm"].contains(&extension.to_ascii_lowercase().as_str());
    if is_page && size <= MAX_PAGE {
        let mut html = String::new();
        let text = (&mut file).take(MAX_PAGE).read_to_string(&mut html);
        let headers = [("Content-Type", "text/html; charset=utf-8"), NO_STORE];
        let html = match (text, kind) {
            // Not UTF-8: as it is, under the type it claims itself.
            (Err(err), _) => {
                exchange.text(500, "error");
                return Err(err);
            }
            (Ok(_), Kind::Canvas { live: false }) => html,
            (Ok(_), _) => snippet::put_in(&html),
        };
        exchange.respond(200, &headers, html.as_bytes());
        return Ok(());
    }
    let headers = [("Content-Type", content_type(path)), NO_STORE];
    exchange.respond_file(200, &headers, file, size)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_out_of_the_canvas_are_none() {
        assert_eq!(inside("/a/b.html"), Some("a/b.html".into()));
        assert_eq!(inside(""), Some("".into()));
        assert_eq!(inside("/a%20b"), Some("a b".into()));
        for bad in [
            "/../x",
            "/a/../../x",
            "/%2e%2e/x",
            "/a%00",
            "/a%5cb",
            "/%2Fetc",
        ] {
            assert_eq!(inside(bad), None, "{bad}");
        }
        assert_eq!(below("/__openclaw__/canvasx", CANVAS), None);
        assert_eq!(below("/__openclaw__/canvas", CANVAS), Some(""));
    }

    #[test]
    fn the_first_page_is_made_once_and_links_lead_nowhere() {
        let dir = crate::base::id::temp_dir("canvas");
        let root = dir.join("canvas");
        prepare(&root).unwrap();
        std::fs::write(root.join(INDEX), "mine").unwrap();
        prepare(&root).unwrap();
        assert_eq!(std::fs::read(root.join(INDEX)).unwrap(), b"mine");
        std::fs::write(dir.join("secret"), "s").unwrap();
        std::os::unix::fs::symlink("../secret", root.join("link")).unwrap();
        std::fs::create_dir(root.join("sub")).unwrap();
        let folder = File::open(&root).unwrap();
        assert!(open(&folder, Path::new("")).unwrap().is_some());
        assert!(open(&folder, Path::new("link")).is_err());
        assert!(open(&folder, Path::new("sub")).is_err());
        std::fs::remove_dir_all(dir).unwrap();
    }
}
