//! What the program notes about itself, and variables it sets: `meta`, `wizard`, `update`, `env`.

use super::kind::Kind::{Literals, Map, Object};
use super::kind::{BOOL, NATURAL, TEXT, keys};

keys! {
    META {
        "lastTouchedVersion": TEXT, "", "program version that last wrote the file (stamped on every write)";
        "lastTouchedAt": TEXT, "", "ISO time of the last write (stamped on every write)";
    }
    ENV_SHELL_ENV {
        "enabled": BOOL, "false", "import missing known keys from a login shell";
        "timeoutMs": NATURAL, "15000", "limit for that shell";
    }
    ENV {
        "shellEnv": Object(ENV_SHELL_ENV), "", "";
        "vars": Map(&TEXT), "", "variables to set where they are not set already";
    }
    WIZARD {
        "lastRunAt": TEXT, "", "ISO time of the last onboard/configure/doctor run";
        "lastRunVersion": TEXT, "", "version that ran it";
        "lastRunCommit": TEXT, "", "git commit of that build, if known";
        "lastRunCommand": TEXT, "", "onboard, configure or doctor";
        "lastRunMode": Literals(&["local", "remote"]), "", "mode chosen";
    }
    UPDATE {
        "channel": Literals(&["stable", "beta", "dev"]), "stable (package) / dev (git)", "release train for update and the start-up check";
        "checkOnStart": BOOL, "true", "look for a newer release when the gateway starts (at most every 24 h)";
    }
}
