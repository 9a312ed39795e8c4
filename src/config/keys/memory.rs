//! `memory`: the memory index.

use super::kind::Kind::{List, Literals, Object};
use super::kind::{BOOL, NATURAL, POSITIVE, TEXT, keys};

keys! {
    QMD_PATHS {
        "path" required: TEXT, "", "extra path";
        "name": TEXT, "", "collection name";
        "pattern": TEXT, "**/*.md", "glob";
    }
    QMD_SESSIONS {
        "enabled": BOOL, "false", "export transcripts as markdown";
        "exportDir": TEXT, "$STATE/agents/<id>/qmd/sessions", "export directory";
        "retentionDays": NATURAL, "unlimited", "export age";
    }
    QMD_UPDATE {
        "interval": TEXT, "5m", "refresh";
        "debounceMs": NATURAL, "15000", "minimum gap";
        "onBoot": BOOL, "true", "refresh at start";
        "embedInterval": TEXT, "60m", "embedding refresh";
    }
    QMD_LIMITS {
        "maxResults": POSITIVE, "6", "hits";
        "maxSnippetChars": POSITIVE, "700", "snippet cap";
        "maxInjectedChars": POSITIVE, "4000", "total cap";
        "timeoutMs": NATURAL, "4000", "query limit";
    }
    QMD {
        "command": TEXT, "qmd", "binary";
        "includeDefaultMemory": BOOL, "true", "index MEMORY.md and memory/";
        "paths": List(&Object(QMD_PATHS)), "", "more collections to index";
        "sessions": Object(QMD_SESSIONS), "", "";
        "update": Object(QMD_UPDATE), "", "";
        "limits": Object(QMD_LIMITS), "", "";
        "scope": Object(super::tools::MEDIA_IMAGE_SCOPE), "", "where qmd results may be used";
    }
    MEMORY {
        "backend": Literals(&["builtin", "qmd"]), "builtin", "builtin SQLite or external qmd";
        "citations": Literals(&["auto", "on", "off"]), "auto", "add source notes: auto = direct chats";
        "qmd": Object(QMD), "", "";
    }
}
