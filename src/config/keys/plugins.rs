//! `skills` and `plugins`.

use super::kind::Kind::{List, Literals, Map, Object};
use super::kind::{ANY, BOOL, NATURAL, TEXT, keys};

keys! {
    SKILLS_LOAD {
        "extraDirs": List(&TEXT), "[]", "lowest precedence skill directories";
        "watch": BOOL, "true", "watch skill folders";
        "watchDebounceMs": NATURAL, "250", "watch quiet time";
    }
    SKILLS_INSTALL {
        "preferBrew": BOOL, "true", "installer preference";
        "nodeManager": Literals(&["npm", "pnpm", "yarn", "bun"]), "npm", "package manager for node skills";
    }
    SKILLS_ENTRIES {
        "enabled": BOOL, "true", "switch";
        "apiKey": TEXT, "", "fills the skill's primary env var";
        "env": Map(&TEXT), "", "env for the skill, only if unset";
        "config": Map(&ANY), "", "free-form";
    }
    SKILLS {
        "allowBundled": List(&TEXT), "all", "bundled skill allowlist; a list without matches disables all";
        "load": Object(SKILLS_LOAD), "", "";
        "install": Object(SKILLS_INSTALL), "", "";
        "entries": Map(&Object(SKILLS_ENTRIES)), "", "";
    }
    LOAD {
        "paths": List(&TEXT), "[]", "extra plugin files/directories";
    }
    SLOTS {
        "memory": TEXT, "memory-core", "exclusive memory plugin, none disables";
    }
    ENTRY {
        "enabled": BOOL, "bundled: false except the memory slot; non-bundled: true", "switch";
        "config": Map(&ANY), "", "validated by the plugin's own schema";
    }
    INSTALLS {
        "source" required: Literals(&["npm", "archive", "path"]), "", "install record";
        "spec": TEXT, "", "npm spec";
        "sourcePath": TEXT, "", "origin path";
        "installPath": TEXT, "$STATE/extensions/<id>", "target directory";
        "version": TEXT, "", "version";
        "installedAt": TEXT, "", "ISO time";
    }
    PLUGINS {
        "enabled": BOOL, "true", "plugin system";
        "allow": List(&TEXT), "all", "plugin allowlist";
        "deny": List(&TEXT), "[]", "plugin denylist";
        "load": Object(LOAD), "", "";
        "slots": Object(SLOTS), "", "which plugin fills an exclusive role";
        "entries": Map(&Object(ENTRY)), "", "per plugin: its switch and its own settings";
        "installs": Map(&Object(INSTALLS)), "", "install records kept by the CLI";
    }
}
