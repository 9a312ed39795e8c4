//! The Control UI: static files built into the program, so that a gateway is never without them.
//!
//! Plain modules, no build step. Facts they share with the official page (storage keys, connect
//! frame) are in `assets/identity.js` and `assets/gateway.js`.

/// One file of the page.
pub struct Asset {
    /// Below the page's root, `/`-separated.
    pub path: &'static str,
    pub content_type: &'static str,
    pub bytes: &'static [u8],
}

const HTML: &str = "text/html; charset=utf-8";
const JS: &str = "application/javascript; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SVG: &str = "image/svg+xml";

macro_rules! asset {
    ($path:literal, $type:expr) => {
        Asset {
            path: $path,
            content_type: $type,
            bytes: include_bytes!($path),
        }
    };
}

/// Sorted by path.
pub const ASSETS: &[Asset] = &[
    asset!("assets/app.js", JS),
    asset!("assets/chat.js", JS),
    asset!("assets/dom.js", JS),
    asset!("assets/gateway.js", JS),
    asset!("assets/identity.js", JS),
    asset!("assets/markdown.js", JS),
    asset!("assets/overview.js", JS),
    asset!("assets/settings.js", JS),
    asset!("assets/style.css", CSS),
    asset!("favicon.svg", SVG),
    asset!("index.html", HTML),
];

/// The file at `path`, without a leading slash.
pub fn find(path: &str) -> Option<&'static Asset> {
    ASSETS.iter().find(|asset| asset.path == path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_and_the_index_names_only_files_in_it() {
        assert!(ASSETS.is_sorted_by_key(|asset| asset.path));
        let index = std::str::from_utf8(find("index.html").unwrap().bytes).unwrap();
        for part in index.split("\"./").skip(1) {
            let path = part.split('"').next().unwrap();
            assert!(find(path).is_some(), "{path} is not in the table");
        }
    }
}
