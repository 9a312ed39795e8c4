//! `browser`: the controlled browser and its profiles.

use super::kind::Kind::{Literals, Named, Object};
use super::kind::{BOOL, COLOR, NATURAL, TEXT, int_between, keys};

keys! {
    SNAPSHOT_DEFAULTS {
        "mode": Literals(&["efficient"]), "", "efficient = small page snapshots";
    }
    PROFILES {
        "cdpPort": int_between(1, 65535), "built-in openclaw profile: gateway port + 11", "local CDP port (new profiles take the next free one of 100)";
        "cdpUrl": TEXT, "", "remote CDP URL (one of the two is mandatory)";
        "driver": Literals(&["clawd", "extension"]), "clawd", "clawd = managed browser, extension = relay";
        "color" required: COLOR, "", "tint";
    }
    BROWSER {
        "enabled": BOOL, "true", "browser tool and control service";
        "evaluateEnabled": BOOL, "true", "allow running page scripts";
        "cdpUrl": TEXT, "http://127.0.0.1:(gateway port+3)", "legacy single CDP endpoint";
        "remoteCdpTimeoutMs": NATURAL, "1500", "reachability check";
        "remoteCdpHandshakeTimeoutMs": NATURAL, "max(2000, 2×above)", "CDP websocket handshake";
        "color": TEXT, "#FF4500", "window tint";
        "executablePath": TEXT, "auto-detect", "browser binary";
        "headless": BOOL, "false", "no window";
        "noSandbox": BOOL, "false", "pass --no-sandbox";
        "attachOnly": BOOL, "false", "never launch, only attach";
        "defaultProfile": TEXT, "chrome", "profile used when none is named";
        "snapshotDefaults": Object(SNAPSHOT_DEFAULTS), "", "Browser Snapshot Defaults";
        "profiles": Named(&Object(PROFILES)), "", "";
    }
}
