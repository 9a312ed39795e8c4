//! The script that every page of the canvas gets: how it talks to the app around it, and that it
//! reloads when its files change.

/// The names are those that pages and apps of the original know.
const SCRIPT: &str = r#"<script>
(() => {
  const handler = "openclawCanvasA2UIAction";
  const postMessage = (value) => {
    const text = typeof value === "string" ? value : JSON.stringify(value);
    for (const app of [globalThis.webkit?.messageHandlers?.[handler], globalThis[handler]]) {
      if (typeof app?.postMessage === "function") {
        app.postMessage(text);
        return true;
      }
    }
    return false;
  };
  const sendUserAction = (action) => {
    const given = typeof action?.id === "string" ? action.id.trim() : "";
    const id = given || (globalThis.crypto?.randomUUID?.() ?? `${Date.now()}-${Math.random()}`);
    return postMessage({ userAction: { ...action, id } });
  };
  globalThis.OpenClaw = { ...globalThis.OpenClaw, postMessage, sendUserAction };
  globalThis.openclawPostMessage = postMessage;
  globalThis.openclawSendUserAction = sendUserAction;
  const follow = () => {
    try {
      const scheme = location.protocol === "https:" ? "wss" : "ws";
      const socket = new WebSocket(`${scheme}://${location.host}/__openclaw__/ws`);
      socket.onmessage = (event) => { if (event.data === "reload") location.reload(); };
      socket.onclose = () => setTimeout(follow, 2000);
    } catch {}
  };
  follow();
})();
</script>
"#;

/// The page with the script before the end of its body, or at its end.
pub fn put_in(html: &str) -> String {
    let lower = html.to_ascii_lowercase();
    let at = lower.rfind("</body>").unwrap_or(html.len());
    format!("{}{SCRIPT}{}", &html[..at], &html[at..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_script_stands_before_the_last_end_of_a_body() {
        let page = put_in("<body>é</body><!-- </BODY> -->");
        assert!(page.starts_with("<body>é</body><!-- <script>"));
        assert!(page.ends_with("</script>\n</BODY> -->"));
        assert!(put_in("plain").starts_with("plain<script>"));
    }
}
