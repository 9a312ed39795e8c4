//! Where people meet the assistant outside chats: `discovery`, `canvasHost`, `talk`, `ui`, `web`.

use super::kind::Kind::{Choice, Map, Object};
use super::kind::{ABOVE_ZERO, BOOL, COLOR, NATURAL, POSITIVE, TEXT, keys, num_between, short};

keys! {
    UI_ASSISTANT {
        "name": short(50), "", "assistant name shown in the web UI";
        "avatar": short(200), "", "assistant avatar shown in the web UI";
    }
    UI {
        "seamColor": COLOR, "", "accent colour for clients";
        "assistant": Object(UI_ASSISTANT), "", "";
    }
    WEB_RECONNECT {
        "initialMs": ABOVE_ZERO, "2000 (min 250)", "first backoff";
        "maxMs": ABOVE_ZERO, "30000", "backoff cap";
        "factor": ABOVE_ZERO, "1.8 (1.1–10)", "growth";
        "jitter": num_between(0.0, 1.0), "0.25", "randomness";
        "maxAttempts": NATURAL, "12 (0 = unlimited)", "give-up count";
    }
    WEB {
        "enabled": BOOL, "true", "run the WhatsApp web connection";
        "heartbeatSeconds": POSITIVE, "60", "connection heartbeat";
        "reconnect": Object(WEB_RECONNECT), "", "";
    }
    DISCOVERY_WIDE_AREA {
        "enabled": BOOL, "false", "write a unicast DNS-SD zone";
        "domain" ours: TEXT, "env OPENCLAW_WIDE_AREA_DOMAIN", "domain of that zone";
    }
    DISCOVERY_MDNS {
        "mode": Choice(&["off", "minimal", "full"]), "minimal", "off; minimal omits cliPath/sshPort TXT; full";
    }
    DISCOVERY {
        "wideArea": Object(DISCOVERY_WIDE_AREA), "", "";
        "mdns": Object(DISCOVERY_MDNS), "", "";
    }
    CANVAS_HOST {
        "enabled": BOOL, "true", "serve canvas files";
        "root": TEXT, "~/.openclaw/canvas (HOME-based, not state dir)", "directory served";
        "port": POSITIVE, "none", "a further port that serves the canvas and nothing else";
        "liveReload": BOOL, "true", "inject reload script and watch files";
    }
    TALK {
        "voiceId": TEXT, "", "default speech voice";
        "voiceAliases": Map(&TEXT), "", "friendly voice names";
        "modelId": TEXT, "", "speech model";
        "outputFormat": TEXT, "", "audio format";
        "apiKey": TEXT, "env ELEVENLABS_API_KEY, then shell profile files", "speech key (filled into snapshots)";
        "interruptOnSpeech": BOOL, "true [D]", "stop speaking when the user talks";
    }
}
