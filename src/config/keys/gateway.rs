//! `gateway` and `nodeHost`: the listener, its secrets, clients, nodes.

use super::kind::Kind::{List, Literals, Object, Port, Stripped};
use super::kind::{BOOL, NATURAL, POSITIVE, TEXT, keys};

keys! {
    NODE_HOST_BROWSER_PROXY {
        "enabled": BOOL, "true", "a node host offers its browser to the gateway";
        "allowProfiles": List(&TEXT), "[] = all", "browser profiles offered";
    }
    NODE_HOST {
        "browserProxy": Object(NODE_HOST_BROWSER_PROXY), "", "";
    }
    CONTROL_UI {
        "enabled": BOOL, "true", "serve the web UI";
        "basePath": TEXT, "\"\" (root)", "URL prefix of the web UI";
        "root": TEXT, "bundled", "directory with web UI assets";
        "allowedOrigins": List(&TEXT), "[]", "extra Origin values accepted for web clients";
        "allowInsecureAuth": BOOL, "false", "accept token-only web login without device identity over plain HTTP";
        "dangerouslyDisableDeviceAuth": BOOL, "false", "turn off device identity checks for the web UI";
    }
    AUTH {
        "mode": Literals(&["token", "password"]), "password if a password is set, else token", "shared-secret kind";
        "token": TEXT, "", "shared token (config wins over env on the server)";
        "password": TEXT, "", "shared password (mandatory for Tailscale Funnel)";
        "allowTailscale": BOOL, "true when tailscale.mode=serve and mode≠password", "accept verified Tailscale identity headers";
    }
    TAILSCALE {
        "mode": Literals(&["off", "serve", "funnel"]), "off", "serve = tailnet HTTPS, funnel = public";
        "resetOnExit": BOOL, "false", "undo serve/funnel at shutdown";
    }
    REMOTE {
        "url": TEXT, "", "ws:// or wss:// URL of a remote gateway";
        "transport": Literals(&["ssh", "direct"]), "ssh", "how the desktop app reaches it";
        "token": TEXT, "", "token for the remote gateway (client only)";
        "password": TEXT, "", "password for the remote gateway";
        "tlsFingerprint": TEXT, "", "expected SHA-256 certificate pin";
        "sshTarget": TEXT, "", "user@host[:port] for the tunnel";
        "sshIdentity": TEXT, "", "SSH key file";
    }
    RELOAD {
        "mode": Literals(&["off", "restart", "hot", "hybrid"]), "hybrid", "off / restart / hot / hybrid";
        "debounceMs": NATURAL, "300", "quiet time before a changed file is applied";
    }
    TLS {
        "enabled": BOOL, "false", "serve TLS (1.3 only)";
        "autoGenerate": BOOL, "true", "create a self-signed pair when missing";
        "certPath": TEXT, "$STATE/gateway/tls/gateway-cert.pem", "certificate";
        "keyPath": TEXT, "$STATE/gateway/tls/gateway-key.pem", "key";
        "caPath": TEXT, "", "CA bundle";
    }
    HTTP_ENDPOINTS_CHAT_COMPLETIONS {
        "enabled": BOOL, "false", "POST /v1/chat/completions";
    }
    HTTP_ENDPOINTS_RESPONSES_FILES_PDF {
        "maxPages": POSITIVE, "4", "pages rendered";
        "maxPixels": POSITIVE, "4000000", "per page image budget";
        "minTextChars": NATURAL, "200", "below this, render pages instead of text";
    }
    HTTP_ENDPOINTS_RESPONSES_FILES {
        "allowUrl": BOOL, "true", "accept file URLs";
        "allowedMimes": List(&TEXT), "text/plain, text/markdown, text/html, text/csv, application/json, application/pdf", "file types";
        "maxBytes": POSITIVE, "5 MiB", "per file";
        "maxChars": POSITIVE, "200000", "text kept per file";
        "maxRedirects": NATURAL, "3", "URL fetch";
        "timeoutMs": POSITIVE, "10000", "URL fetch";
        "pdf": Object(HTTP_ENDPOINTS_RESPONSES_FILES_PDF), "", "";
    }
    HTTP_ENDPOINTS_RESPONSES_IMAGES {
        "allowUrl": BOOL, "true", "accept image URLs";
        "allowedMimes": List(&TEXT), "jpeg, png, gif, webp", "image types";
        "maxBytes": POSITIVE, "10 MiB", "per image";
        "maxRedirects": NATURAL, "3", "URL fetch";
        "timeoutMs": POSITIVE, "10000", "URL fetch";
    }
    HTTP_ENDPOINTS_RESPONSES {
        "enabled": BOOL, "false", "POST /v1/responses";
        "maxBodyBytes": POSITIVE, "20 MiB", "request size cap";
        "files": Object(HTTP_ENDPOINTS_RESPONSES_FILES), "", "";
        "images": Object(HTTP_ENDPOINTS_RESPONSES_IMAGES), "", "";
    }
    HTTP_ENDPOINTS {
        "chatCompletions": Object(HTTP_ENDPOINTS_CHAT_COMPLETIONS), "", "";
        "responses": Object(HTTP_ENDPOINTS_RESPONSES), "", "";
    }
    HTTP {
        "endpoints": Object(HTTP_ENDPOINTS), "", "";
    }
    NODES_BROWSER {
        "mode": Literals(&["auto", "manual", "off"]), "auto", "route browser tool to a node: auto = only when exactly one offers it";
        "node": TEXT, "", "pin to a node id/name";
    }
    NODES {
        "browser": Object(NODES_BROWSER), "", "";
        "allowCommands": List(&TEXT), "[]", "extra node commands on top of the platform list";
        "denyCommands": List(&TEXT), "[]", "node commands to block";
    }
    GATEWAY {
        "port": Port, "18789", "WS+HTTP port";
        "mode": Literals(&["local", "remote"]), "unset → gateway refuses to start", "local = run here, remote = CLI talks to gateway.remote";
        "bind": Literals(&["auto", "lan", "loopback", "custom", "tailnet"]), "loopback", "loopback 127.0.0.1(+::1), lan 0.0.0.0, tailnet 100.64/10 address, auto loopback→lan, custom";
        "customBindHost" ours: TEXT, "", "IP address to listen on with bind=custom";
        "controlUi": Object(CONTROL_UI), "", "";
        "auth": Object(AUTH), "", "";
        "trustedProxies": List(&TEXT), "[]", "proxy addresses and networks (10.0.0.0/8) whose forwarded-for headers are believed";
        "tailscale": Object(TAILSCALE), "", "";
        "remote": Object(REMOTE), "", "";
        "reload": Object(RELOAD), "", "";
        "tls": Stripped(TLS), "", "";
        "http": Object(HTTP), "", "";
        "nodes": Object(NODES), "", "";
    }
}
