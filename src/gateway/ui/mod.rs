//! The Control UI: static files built into the program, so that a gateway is never without them.
//!
//! Plain modules, no build step. `assets/app.js` is the frame and shows one view at a time; a view is
//! a class with `element`, `show()` (seen, or connected again) and, where it needs them, `hide()`,
//! `onEvent()` and `onState()`. What the gateway says enters the page through `assets/dom.js` alone,
//! as text. Facts shared with the official page (storage keys, connect frame) are in
//! `assets/settings.js`, `assets/identity.js` and `assets/gateway.js`.

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
    asset!("assets/agents.js", JS),
    asset!("assets/app.js", JS),
    asset!("assets/approvals.js", JS),
    asset!("assets/base.css", CSS),
    asset!("assets/chat.css", CSS),
    asset!("assets/chat.js", JS),
    asset!("assets/composer.js", JS),
    asset!("assets/config.js", JS),
    asset!("assets/cron.js", JS),
    asset!("assets/cronform.js", JS),
    asset!("assets/debug.js", JS),
    asset!("assets/devices.js", JS),
    asset!("assets/dialogs.js", JS),
    asset!("assets/dom.js", JS),
    asset!("assets/execpolicy.js", JS),
    asset!("assets/fields.js", JS),
    asset!("assets/gateway.js", JS),
    asset!("assets/identity.js", JS),
    asset!("assets/images.js", JS),
    asset!("assets/json5.js", JS),
    asset!("assets/logs.js", JS),
    asset!("assets/markdown.js", JS),
    asset!("assets/messages.js", JS),
    asset!("assets/overview.js", JS),
    asset!("assets/refused.js", JS),
    asset!("assets/schema.js", JS),
    asset!("assets/sessions.js", JS),
    asset!("assets/settings.js", JS),
    asset!("assets/theme.js", JS),
    asset!("assets/views.css", CSS),
    asset!("assets/words.js", JS),
    asset!("favicon.svg", SVG),
    asset!("index.html", HTML),
];

/// The page beside it that shows an agent's surfaces, `/__openclaw__/a2ui/`. `a2ui/model.js` holds
/// what was sent, `a2ui/components.js` draws it, `a2ui/page.js` is what an app talks to.
pub const A2UI: &[Asset] = &[
    asset!("a2ui/a2ui.css", CSS),
    asset!("a2ui/components.js", JS),
    asset!("a2ui/index.html", HTML),
    asset!("a2ui/model.js", JS),
    asset!("a2ui/page.js", JS),
];

/// The Control UI's file at `path`, without a leading slash.
pub fn find(path: &str) -> Option<&'static Asset> {
    ASSETS.iter().find(|asset| asset.path == path)
}

/// The A2UI page's file at `path` below its folder; the folder itself is its index.
pub fn find_a2ui(path: &str) -> Option<&'static Asset> {
    let path = match path {
        "" => "index.html",
        path => path,
    };
    let name = |asset: &&Asset| asset.path.strip_prefix("a2ui/") == Some(path);
    A2UI.iter().find(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_and_the_index_names_only_files_in_it() {
        assert!(ASSETS.is_sorted_by_key(|asset| asset.path));
        for part in text("index.html").split("\"./").skip(1) {
            let path = part.split('"').next().unwrap();
            assert!(find(path).is_some(), "{path} is not in the table");
        }
    }

    #[test]
    fn the_modules_import_only_files_in_the_table_and_each_is_used() {
        let mut used = vec!["assets/app.js".to_string(), "index.html".to_string()];
        for asset in ASSETS.iter().filter(|asset| asset.content_type == JS) {
            for part in text(asset.path).split(" from \"./").skip(1) {
                let path = format!("assets/{}", part.split('"').next().unwrap());
                assert!(find(&path).is_some(), "{}: {path}", asset.path);
                used.push(path);
            }
        }
        let index = text("index.html");
        for asset in ASSETS {
            assert!(
                used.iter().any(|path| path == asset.path) || index.contains(asset.path),
                "nothing uses {}",
                asset.path
            );
        }
    }

    /// The policy the page is served with forbids these; a browser that does not know all of it
    /// must find none either.
    #[test]
    fn no_markup_is_made_from_text() {
        let scripts = |asset: &&Asset| asset.content_type == JS;
        for asset in ASSETS.iter().chain(A2UI).filter(scripts) {
            let script = std::str::from_utf8(asset.bytes).unwrap();
            for bad in [
                ".innerHTML",
                ".outerHTML",
                "insertAdjacentHTML",
                "document.write",
                "DOMParser",
                "eval(",
                "new Function",
                "srcdoc",
                "createContextualFragment",
            ] {
                assert!(!script.contains(bad), "{}: {bad}", asset.path);
            }
        }
        let index = text("index.html");
        assert!(!index.contains("<style") && !index.contains(" style=") && !index.contains(" on"));
        assert!(index.split("<script").skip(1).all(|script| {
            let open = script.split('>').next().unwrap();
            open.contains(" src=\"./assets/") && script.contains("></script>")
        }));
    }

    fn text(path: &str) -> &'static str {
        std::str::from_utf8(find(path).unwrap().bytes).unwrap()
    }
}
