//! `cron` and `hooks`: what starts the agent without a person.

use super::kind::Kind::{List, Literals, Map, Object, Stripped};
use super::kind::{BOOL, POSITIVE, TEXT, keys};

keys! {
    CRON {
        "enabled": BOOL, "true", "scheduler";
        "store": TEXT, "$STATE/cron/jobs.json", "job file; runs/ lives beside it";
        "maxConcurrentRuns": POSITIVE, "1", "parallel jobs";
    }
    MAPPINGS_MATCH {
        "path": TEXT, "", "sub-path";
        "source": TEXT, "", "payload source field";
    }
    MAPPINGS_TRANSFORM {
        "module" required: TEXT, "", "module path";
        "export": TEXT, "default, then transform", "export name";
    }
    MAPPINGS {
        "id": TEXT, "mapping-<n>", "name";
        "match": Stripped(MAPPINGS_MATCH), "", "";
        "action": Literals(&["wake", "agent"]), "agent", "wake or agent";
        "wakeMode": Literals(&["now", "next-heartbeat"]), "now", "now or next-heartbeat";
        "name": TEXT, "", "label";
        "sessionKey": TEXT, "hook:<uuid>", "session key template";
        "messageTemplate": TEXT, "", "agent message, {{path}}";
        "textTemplate": TEXT, "", "wake text, {{path}}";
        "deliver": BOOL, "true", "send the answer out";
        "allowUnsafeExternalContent": BOOL, "false", "skip the untrusted-content wrapper";
        "channel": Literals(&["last", "whatsapp", "telegram", "discord", "slack", "signal", "imessage", "msteams"]), "last", "delivery channel";
        "to": TEXT, "", "recipient";
        "model": TEXT, "", "model";
        "thinking": TEXT, "", "thinking level";
        "timeoutSeconds": POSITIVE, "", "limit";
        "transform": Object(MAPPINGS_TRANSFORM), "", "";
    }
    GMAIL_SERVE {
        "bind": TEXT, "127.0.0.1", "push listener";
        "port": POSITIVE, "8788", "push listener";
        "path": TEXT, "/gmail-pubsub (/ behind Tailscale)", "push listener";
    }
    GMAIL_TAILSCALE {
        "mode": Literals(&["off", "serve", "funnel"]), "off", "publish it";
        "path": TEXT, "serve.path", "public path";
        "target": TEXT, "", "proxy target";
    }
    GMAIL {
        "account": TEXT, "", "mail account; enables the watcher";
        "label": TEXT, "INBOX", "label";
        "topic": TEXT, "gog-gmail-watch", "Pub/Sub topic";
        "subscription": TEXT, "gog-gmail-watch-push", "subscription";
        "pushToken": TEXT, "", "push secret";
        "hookUrl": TEXT, "local hooks URL", "target";
        "includeBody": BOOL, "true", "pass bodies";
        "maxBytes": POSITIVE, "20000", "body cap";
        "renewEveryMinutes": POSITIVE, "720", "watch renewal";
        "allowUnsafeExternalContent": BOOL, "false", "skip wrapper";
        "serve": Object(GMAIL_SERVE), "", "";
        "tailscale": Object(GMAIL_TAILSCALE), "", "";
        "model": TEXT, "agent model", "model";
        "thinking": Literals(&["off", "minimal", "low", "medium", "high"]), "", "thinking level";
    }
    INTERNAL_HANDLERS {
        "event" required: TEXT, "", "legacy: event name";
        "module" required: TEXT, "", "legacy: module path";
        "export": TEXT, "default", "legacy: export";
    }
    INTERNAL_ENTRIES {
        "enabled": BOOL, "true once discovered", "hook switch";
        "env": Map(&TEXT), "", "hook env";
    }
    INTERNAL_LOAD {
        "extraDirs": List(&TEXT), "[]", "hook directories";
    }
    INTERNAL_INSTALLS {
        "source" required: Literals(&["npm", "archive", "path"]), "", "install record: npm, archive, path";
        "spec": TEXT, "", "npm spec";
        "sourcePath": TEXT, "", "origin path";
        "installPath": TEXT, "", "target directory";
        "version": TEXT, "", "version";
        "installedAt": TEXT, "", "ISO time";
        "hooks": List(&TEXT), "", "hook names in the pack";
    }
    INTERNAL {
        "enabled": BOOL, "false", "in-process event hooks";
        "handlers": List(&Object(INTERNAL_HANDLERS)), "", "";
        "entries": Map(&Object(INTERNAL_ENTRIES)), "", "";
        "load": Object(INTERNAL_LOAD), "", "";
        "installs": Map(&Object(INTERNAL_INSTALLS)), "", "";
    }
    HOOKS {
        "enabled": BOOL, "false", "HTTP webhooks (token mandatory)";
        "path": TEXT, "/hooks", "base path, not /";
        "token": TEXT, "", "bearer or x-openclaw-token";
        "maxBodyBytes": POSITIVE, "262144", "body cap";
        "presets": List(&TEXT), "[]", "built-in mappings (gmail)";
        "transformsDir": TEXT, "config file's directory", "transform modules";
        "mappings": List(&Object(MAPPINGS)), "", "";
        "gmail": Object(GMAIL), "", "";
        "internal": Object(INTERNAL), "", "";
    }
}
