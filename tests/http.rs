//! What browsers get: the page, its settings, avatars.

use crate::front::{body, connect, exchange, get};
use crate::harness::{Gateway, Setup};
use serde_json::json;

#[test]
fn the_page_comes_for_every_route_with_its_safety_headers() {
    let gateway = Gateway::start();
    for path in ["/", "/chat", "/index.html", "/logs", "/assets/missing.js"] {
        let answer = get(&gateway, path);
        assert!(answer.starts_with("HTTP/1.1 200"), "{path}: {answer}");
        assert!(answer.contains("Content-Type: text/html; charset=utf-8"));
        assert!(answer.contains("Cache-Control: no-cache"));
        assert!(answer.contains("Content-Security-Policy: frame-ancestors 'none'"));
        assert!(answer.contains("X-Content-Type-Options: nosniff"));
        assert!(answer.contains("\"__OPENCLAW_ASSISTANT_NAME__\":\"Assistant\""));
        assert!(answer.contains("\"__OPENCLAW_ASSISTANT_AVATAR__\":\"A\""));
        assert!(!answer.contains(gateway.token()));
    }
    assert!(get(&gateway, "/deep/route/assets/app.js").contains("application/javascript"));
    assert!(get(&gateway, "/%2e%2e/%2e%2e/etc/passwd").starts_with("HTTP/1.1 404"));
    assert!(get(&gateway, "/ui/x").starts_with("HTTP/1.1 404"));
    let put = "PUT /chat HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n";
    let put = exchange(connect(&gateway), put);
    assert!(put.starts_with("HTTP/1.1 405"));
    assert!(!put.contains("Allow:") && !put.contains("X-Frame-Options"));
}

#[test]
fn the_built_in_page_permits_no_script_in_its_markup_and_any_other_keeps_the_originals() {
    let mut setup = Setup::new();
    setup.config["gateway"]["controlUi"] = json!({"basePath": "oc"});
    setup.config["agents"]["list"] =
        json!([{"id": "main", "default": true, "identity": {"name": "</script><b>"}}]);
    let gateway = setup.start();
    let answer = get(&gateway, "/oc/chat");
    assert!(answer.contains("script-src 'self';") && answer.contains("default-src 'none'"));
    assert!(!answer.contains("unsafe-inline") && !answer.contains("<script>"));
    assert!(answer.contains("\"__OPENCLAW_CONTROL_UI_BASE_PATH__\":\"/oc\""));
    assert!(answer.contains("\"__OPENCLAW_ASSISTANT_NAME__\":\"\\u003c/script>\\u003cb>\""));
    assert!(get(&gateway, "/oc/assets/app.js").contains("script-src 'self';"));
}

#[test]
fn a_browser_that_has_a_file_is_not_sent_it_again() {
    let gateway = Gateway::start();
    let answer = get(&gateway, "/assets/app.js");
    let tag = answer.split("ETag: ").nth(1).expect("a tag");
    let tag = tag.lines().next().unwrap().trim();
    let request = format!(
        "GET /assets/app.js HTTP/1.1\r\nHost: localhost\r\nIf-None-Match: \"old\", {tag}\r\nConnection: close\r\n\r\n"
    );
    let again = exchange(connect(&gateway), &request);
    assert!(again.starts_with("HTTP/1.1 304"), "{again}");
    assert_eq!(body(&again), "");
    // The page itself carries settings and always comes whole.
    assert!(!get(&gateway, "/chat").contains("ETag"));
}

#[test]
fn the_page_and_all_its_files_are_small() {
    use std::io::Write;
    use std::process::{Command, Stdio};
    let mut total = 0;
    for asset in openclaw::gateway::ui::ASSETS {
        let mut gzip = Command::new("gzip")
            .arg("-c")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("gzip");
        let mut input = gzip.stdin.take().expect("piped");
        input.write_all(asset.bytes).expect("gzip reads");
        drop(input);
        total += gzip.wait_with_output().expect("gzip").stdout.len();
    }
    assert!(total < 100 * 1024, "{total} bytes compressed");
}

#[test]
fn head_says_the_same_without_a_body() {
    let gateway = Gateway::start();
    let answer = exchange(
        connect(&gateway),
        "HEAD /assets/app.js HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
    );
    assert!(answer.contains("application/javascript"));
    assert_eq!(body(&answer), "");
}

#[test]
fn another_page_can_be_served_under_a_base_path() {
    let mut setup = Setup::new();
    let root = setup.dir.path().join("page");
    std::fs::create_dir(&root).unwrap();
    std::fs::write(root.join("index.html"), "<head></head>mine").unwrap();
    std::fs::write(root.join("a.txt"), "text").unwrap();
    std::fs::write(setup.dir.path().join("secret.txt"), "secret").unwrap();
    std::os::unix::fs::symlink(setup.dir.path().join("secret.txt"), root.join("link.txt")).unwrap();
    setup.config["gateway"]["controlUi"] = json!({"root": root, "basePath": "/oc/"});
    let gateway = setup.start();
    let answer = get(&gateway, "/oc?session=main");
    assert!(answer.starts_with("HTTP/1.1 302"));
    assert!(answer.contains("Location: /oc/?session=main"));
    let answer = get(&gateway, "/oc/");
    assert!(answer.contains("BASE_PATH__=\"/oc\"") && answer.ends_with("</head>mine"));
    assert_eq!(body(&get(&gateway, "/oc/a.txt")), "text");
    assert!(!get(&gateway, "/oc/link.txt").contains("secret"));
    assert!(get(&gateway, "/other").starts_with("HTTP/1.1 404"));
    // Probes are not part of the page.
    assert!(get(&gateway, "/health").starts_with("HTTP/1.1 200"));
}

#[test]
fn a_gateway_without_a_page_answers_404() {
    let mut setup = Setup::new();
    setup.config["gateway"]["controlUi"] = json!({"enabled": false});
    let gateway = setup.start();
    let answer = get(&gateway, "/");
    assert!(answer.starts_with("HTTP/1.1 404"));
    assert!(answer.contains("text/plain; charset=utf-8"));
    assert_eq!(body(&answer), "Not Found");
}

#[test]
fn an_agent_shows_the_picture_of_its_workspace() {
    let mut setup = Setup::new();
    let workspace = setup.dir.path().join("workspace");
    std::fs::write(workspace.join("face.png"), "png bytes").unwrap();
    // The configuration refuses one outside; the agent's own file is the agent's word.
    let out = setup.dir.path().join("out");
    std::fs::create_dir(&out).unwrap();
    std::fs::write(setup.dir.path().join("secret.png"), "secret").unwrap();
    std::fs::write(out.join("IDENTITY.md"), "- Avatar: ../secret.png\n").unwrap();
    setup.config["agents"]["list"] = json!([
        {"id": "main", "default": true, "identity": {"avatar": "face.png"}},
        {"id": "far", "identity": {"avatar": "https://example.org/a.png"}},
        {"id": "out", "workspace": out},
    ]);
    let gateway = setup.start();
    let answer = get(&gateway, "/avatar/main");
    assert!(answer.contains("Content-Type: image/png"));
    assert_eq!(body(&answer), "png bytes");
    let meta = |agent: &str| body(&get(&gateway, &format!("/avatar/{agent}?meta=1"))).to_string();
    assert_eq!(meta("main"), r#"{"avatarUrl":"/avatar/main"}"#);
    assert_eq!(meta("far"), r#"{"avatarUrl":"https://example.org/a.png"}"#);
    assert_eq!(meta("out"), r#"{"avatarUrl":null}"#);
    assert!(get(&gateway, "/avatar/out").starts_with("HTTP/1.1 404"));
    assert!(get(&gateway, "/avatar/a%2fb").starts_with("HTTP/1.1 404"));
    assert!(get(&gateway, "/avatar/far").starts_with("HTTP/1.1 404"));
}

#[test]
fn numbers_are_for_those_with_the_secret() {
    let gateway = Gateway::start();
    assert!(get(&gateway, "/metrics").starts_with("HTTP/1.1 401"));
    let ask = format!(
        "GET /metrics HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {}\r\n\r\n",
        gateway.token()
    );
    let _client = gateway.connect();
    let page = exchange(connect(&gateway), &ask);
    assert!(page.contains("Content-Type: text/plain; version=0.0.4"));
    assert!(page.contains("\nopenclaw_clients 1\n"), "{page}");
    assert!(page.contains("\nopenclaw_http_answers_total{code=\"401\"} 1\n"));
    assert!(page.contains("\nprocess_resident_memory_bytes "));
}

#[test]
fn a_tool_of_the_workspace_cannot_be_invoked_from_outside() {
    let gateway = Gateway::start();
    let invoke = |token: &str, body: &str| {
        let text = format!(
            "POST /tools/invoke HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        exchange(connect(&gateway), &text)
    };
    let answer = invoke(
        gateway.token(),
        r#"{"tool":"exec","args":{"command":"id"}}"#,
    );
    assert!(answer.starts_with("HTTP/1.1 404"));
    assert_eq!(
        body(&answer),
        r#"{"ok":false,"error":{"type":"not_found","message":"Tool not available: exec"}}"#
    );
    assert!(invoke(gateway.token(), "{}").starts_with("HTTP/1.1 400"));
    assert!(invoke("wrong", "{}").starts_with("HTTP/1.1 401"));
    assert!(invoke(gateway.token(), &"x".repeat(2_100_000)).starts_with("HTTP/1.1 400"));
    let get = get(&gateway, "/tools/invoke");
    assert!(get.starts_with("HTTP/1.1 405") && get.contains("Allow: POST"));
}
