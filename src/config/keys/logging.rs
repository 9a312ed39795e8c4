//! `logging` and `diagnostics`.

use super::kind::Kind::{List, Literals, Map, Object};
use super::kind::{BOOL, NATURAL, TEXT, keys, num_between};

keys! {
    DIAGNOSTICS_OTEL {
        "enabled": BOOL, "false", "export OpenTelemetry (needs plugin diagnostics-otel)";
        "endpoint": TEXT, "", "collector URL";
        "protocol": Literals(&["http/protobuf", "grpc"]), "http/protobuf", "export protocol";
        "headers": Map(&TEXT), "", "OpenTelemetry Headers";
        "serviceName": TEXT, "openclaw", "service name attribute";
        "traces": BOOL, "true", "export traces";
        "metrics": BOOL, "true", "export metrics";
        "logs": BOOL, "false", "export logs";
        "sampleRate": num_between(0.0, 1.0), "1", "trace sampling ratio";
        "flushIntervalMs": NATURAL, "SDK default", "export interval";
    }
    DIAGNOSTICS_CACHE_TRACE {
        "enabled": BOOL, "false", "write a prompt trace per model call (JSONL)";
        "filePath": TEXT, "$STATE/logs/cache-trace.jsonl", "trace file";
        "includeMessages": BOOL, "true", "include full messages";
        "includePrompt": BOOL, "true", "include prompt text";
        "includeSystem": BOOL, "true", "include system prompt";
    }
    DIAGNOSTICS {
        "enabled": BOOL, "false", "emit diagnostic events";
        "flags": List(&TEXT), "[]", "named debug log switches (wildcards allowed); also env OPENCLAW_DIAGNOSTICS";
        "otel": Object(DIAGNOSTICS_OTEL), "", "";
        "cacheTrace": Object(DIAGNOSTICS_CACHE_TRACE), "", "";
    }
    LOGGING {
        "level": Literals(&["silent", "fatal", "error", "warn", "info", "debug", "trace"]), "info", "file log level";
        "file": TEXT, "/tmp/openclaw/openclaw-YYYY-MM-DD.log (local date)", "log file; used verbatim (no ~ or {date} expansion in the original)";
        "consoleLevel": Literals(&["silent", "fatal", "error", "warn", "info", "debug", "trace"]), "info (debug when verbose)", "console level";
        "consoleStyle": Literals(&["pretty", "compact", "json"]), "pretty on a TTY, else compact", "console format";
        "redactSensitive": Literals(&["off", "tools"]), "tools", "mask secrets in tool summaries; off disables";
        "redactPatterns": List(&TEXT), "16 built-in patterns", "replacement list of regexes (/x/flags or bare)";
    }
}
