//! `session`: how conversations are kept apart.

use super::kind::Kind::{List, Literals, Map, Object};
use super::kind::{POSITIVE, TEXT, int_between, keys};

keys! {
    RESET {
        "mode": Literals(&["daily", "idle"]), "daily", "daily or idle";
        "atHour": int_between(0, 23), "4", "local hour of the daily reset";
        "idleMinutes": POSITIVE, "60 in idle mode, else off", "idle limit (also combined with daily)";
    }
    RESET_BY_TYPE_DM {
        "mode": Literals(&["daily", "idle"]), "", "daily, or after idle time";
        "atHour": int_between(0, 23), "", "local hour of the daily reset";
        "idleMinutes": POSITIVE, "", "idle limit";
    }
    RESET_BY_TYPE_GROUP {
        "mode": Literals(&["daily", "idle"]), "", "daily, or after idle time";
        "atHour": int_between(0, 23), "", "local hour of the daily reset";
        "idleMinutes": POSITIVE, "", "idle limit";
    }
    RESET_BY_TYPE_THREAD {
        "mode": Literals(&["daily", "idle"]), "", "daily, or after idle time";
        "atHour": int_between(0, 23), "", "local hour of the daily reset";
        "idleMinutes": POSITIVE, "", "idle limit";
    }
    RESET_BY_TYPE {
        "dm": Object(RESET_BY_TYPE_DM), "", "override per type: dm, group, thread";
        "group": Object(RESET_BY_TYPE_GROUP), "", "";
        "thread": Object(RESET_BY_TYPE_THREAD), "", "";
    }
    RESET_BY_CHANNEL {
        "mode": Literals(&["daily", "idle"]), "", "daily, or after idle time";
        "atHour": int_between(0, 23), "", "local hour of the daily reset";
        "idleMinutes": POSITIVE, "", "idle limit";
    }
    SEND_POLICY {
        "default": Literals(&["allow", "deny"]), "allow", "when no rule matches";
        "rules": List(&Object(super::tools::MEDIA_IMAGE_SCOPE_RULES)), "", "";
    }
    AGENT_TO_AGENT {
        "maxPingPongTurns": int_between(0, 5), "5", "reply-back turns between agents";
    }
    SESSION {
        "scope": Literals(&["per-sender", "global"]), "per-sender", "global = one session for everything";
        "dmScope": Literals(&["main", "per-peer", "per-channel-peer", "per-account-channel-peer"]), "main", "how direct chats are split";
        "identityLinks": Map(&List(&TEXT)), "", "canonical name to channel-prefixed peer ids";
        "resetTriggers": List(&TEXT), "[\"/new\",\"/reset\"]", "messages that start a new session";
        "idleMinutes": POSITIVE, "", "legacy idle reset; only used when no reset block exists";
        "reset": Object(RESET), "", "";
        "resetByType": Object(RESET_BY_TYPE), "", "";
        "resetByChannel": Map(&Object(RESET_BY_CHANNEL)), "", "";
        "store": TEXT, "$STATE/agents/<agentId>/sessions/sessions.json", "store path, {agentId} and ~ allowed";
        "typingIntervalSeconds": POSITIVE, "6", "see agents.defaults";
        "typingMode": Literals(&["never", "instant", "thinking", "message"]), "see agents.defaults", "see agents.defaults";
        "mainKey": TEXT, "main (any other value is overwritten with a warning)", "ignored";
        "sendPolicy": Object(SEND_POLICY), "", "";
        "agentToAgent": Object(AGENT_TO_AGENT), "", "";
    }
}
