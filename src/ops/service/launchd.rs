//! launchd: an agent of the user who is logged in.

use super::definition::Definition;
use super::{Error, Manager, Runtime, Words, Written, program, put, take_away};
use crate::base::sys::peer::own_uid;
use crate::config::Snapshot;
use std::path::{Path, PathBuf};

const PROGRAM: &str = "launchctl";
const MODE: u32 = 0o644;
const HEAD: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
    <!DOCTYPE plist PUBLIC \"-//Apple//DTD PLIST 1.0//EN\" \
    \"http://www.apple.com/DTDs/PropertyList-1.0.dtd\">\n<plist version=\"1.0\">\n<dict>\n";

pub struct Launchd {
    words: Words,
    file: PathBuf,
    logs: PathBuf,
}

impl Launchd {
    pub fn new(snapshot: &Snapshot) -> Launchd {
        let paths = &snapshot.paths;
        let own = || match &paths.profile {
            Some(profile) => format!("ai.openclaw.{profile}"),
            None => "ai.openclaw.gateway".to_string(),
        };
        let named = snapshot.env.get("OPENCLAW_LAUNCHD_LABEL");
        let label = named.map_or_else(own, str::to_string);
        Launchd {
            file: paths
                .home
                .join(format!("Library/LaunchAgents/{label}.plist")),
            logs: paths.state.join("logs"),
            words: Words {
                label: "LaunchAgent",
                noun: "LaunchAgent",
                loaded: "loaded",
                not_loaded: "not loaded",
                name: label,
            },
        }
    }

    fn domain() -> String {
        format!("gui/{}", own_uid())
    }

    fn target(&self) -> String {
        format!("{}/{}", Launchd::domain(), self.words.name)
    }

    fn text(&self, definition: &Definition) -> String {
        let mut out = HEAD.to_string();
        let mut string = |key: &str, value: &str| {
            out.push_str(&format!(
                "  <key>{key}</key>\n  <string>{}</string>\n",
                escaped(value)
            ));
        };
        string("Label", &self.words.name);
        string("Comment", &definition.description);
        out.push_str("  <key>RunAtLoad</key>\n  <true/>\n  <key>KeepAlive</key>\n  <true/>\n");
        out.push_str("  <key>ProgramArguments</key>\n  <array>\n");
        for word in &definition.argv {
            out.push_str(&format!("    <string>{}</string>\n", escaped(word)));
        }
        out.push_str("  </array>\n");
        for (key, name) in [
            ("StandardOutPath", "gateway.log"),
            ("StandardErrorPath", "gateway.err.log"),
        ] {
            let path = definition.logs.join(name).display().to_string();
            out.push_str(&format!(
                "  <key>{key}</key>\n  <string>{}</string>\n",
                escaped(&path)
            ));
        }
        out.push_str("  <key>EnvironmentVariables</key>\n  <dict>\n");
        let label = (
            "OPENCLAW_LAUNCHD_LABEL".to_string(),
            self.words.name.clone(),
        );
        for (name, value) in definition.env.iter().chain([&label]) {
            out.push_str(&format!(
                "    <key>{}</key>\n    <string>{}</string>\n",
                escaped(name),
                escaped(value)
            ));
        }
        out.push_str("  </dict>\n</dict>\n</plist>\n");
        out
    }
}

impl Manager for Launchd {
    fn words(&self) -> &Words {
        &self.words
    }

    fn file(&self) -> &Path {
        &self.file
    }

    fn available(&self) -> Result<(), Error> {
        let asked = program::run(PROGRAM, &["print", &Launchd::domain()]);
        asked.map(drop).map_err(|detail| Error::Unavailable {
            what: "launchctl",
            detail,
        })
    }

    fn loaded(&self) -> Result<bool, Error> {
        self.available()?;
        Ok(program::run(PROGRAM, &["print", &self.target()]).is_ok())
    }

    fn install(&self, definition: &Definition) -> Result<(), Error> {
        put(&self.file, &self.text(definition), MODE)?;
        let file = self.file.display().to_string();
        // What was there before, in whichever way it was loaded; most often nothing.
        let _ = program::run(PROGRAM, &["bootout", &Launchd::domain(), &file]);
        let _ = program::run(PROGRAM, &["unload", &file]);
        program::must(PROGRAM, &["enable", &self.target()])?;
        program::must(PROGRAM, &["bootstrap", &Launchd::domain(), &file])?;
        self.restart()
    }

    fn restart(&self) -> Result<(), Error> {
        program::must(PROGRAM, &["kickstart", "-k", &self.target()]).map(drop)
    }

    fn stop(&self) -> Result<(), Error> {
        match self.loaded()? {
            true => program::must(PROGRAM, &["bootout", &self.target()]).map(drop),
            false => Ok(()),
        }
    }

    fn uninstall(&self) -> Result<bool, Error> {
        let file = self.file.display().to_string();
        // Fail where it is not loaded.
        let _ = program::run(PROGRAM, &["bootout", &Launchd::domain(), &file]);
        let _ = program::run(PROGRAM, &["unload", &file]);
        take_away(&self.file)
    }

    fn written(&self) -> Option<Written> {
        std::fs::read_to_string(&self.file)
            .ok()
            .map(|text| read(&text))
    }

    fn runtime(&self) -> Runtime {
        match program::run(PROGRAM, &["print", &self.target()]) {
            Ok(said) => printed(&said),
            Err(detail) if self.file.exists() => Runtime {
                detail: Some(detail),
                ..Runtime::of(false, None, "")
            },
            Err(_) => Runtime::missing(),
        }
    }

    fn start_hint(&self) -> String {
        format!("launchctl bootstrap gui/$UID {}", self.file.display())
    }

    fn log_hint(&self) -> String {
        format!(
            "tail -n 200 {}",
            self.logs.join("gateway.err.log").display()
        )
    }
}

fn printed(said: &str) -> Runtime {
    let of = |name: &str| {
        said.lines().find_map(|line| {
            let (key, value) = line.trim().split_once(" = ")?;
            (key == name).then(|| value.to_string())
        })
    };
    let state = of("state").unwrap_or_default();
    let pid = of("pid").and_then(|pid| pid.parse().ok());
    Runtime {
        last_exit_status: of("last exit code").and_then(|code| code.parse().ok()),
        last_exit_reason: of("last exit reason"),
        ..Runtime::of(state == "running" || pid.is_some(), pid, &state)
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

fn plain(text: &str) -> String {
    text.replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&quot;", "\"")
        .replace("&apos;", "'")
        .replace("&amp;", "&")
}

/// The few keys of a property list that concern us, as the original writes it, or we.
fn read(text: &str) -> Written {
    let after = |key: &str| {
        text.split_once(&format!("<key>{key}</key>"))
            .map(|(_, rest)| rest)
    };
    let strings = |part: &str| -> Vec<String> {
        part.split("<string>")
            .skip(1)
            .filter_map(|piece| Some(plain(piece.split_once("</string>")?.0)))
            .collect()
    };
    let inside = |key: &str, close: &str| {
        let part = after(key).and_then(|rest| rest.split_once(close));
        part.map_or(String::new(), |(part, _)| part.to_string())
    };
    let variables = inside("EnvironmentVariables", "</dict>");
    let names = variables.split("<key>").skip(1);
    let names = names.filter_map(|piece| Some(plain(piece.split_once("</key>")?.0)));
    Written {
        argv: strings(&inside("ProgramArguments", "</array>")),
        env: names.zip(strings(&variables)).collect(),
        folder: after("WorkingDirectory").and_then(|rest| strings(rest).into_iter().next()),
        text: text.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::service::definition::tests::snapshot;

    #[test]
    fn a_property_list_is_read_back_as_it_was_written() {
        let snapshot = snapshot(&[("HOME", "/Users/a&b"), ("OPENCLAW_PROFILE", "x")]);
        let manager = Launchd::new(&snapshot);
        assert_eq!(
            manager.file(),
            Path::new("/Users/a&b/Library/LaunchAgents/ai.openclaw.x.plist")
        );
        let made = Definition::of(&snapshot, Path::new("/opt/<x>/openclaw"), Some(7));
        let text = manager.text(&made);
        assert!(text.contains("<string>/opt/&lt;x&gt;/openclaw</string>"));
        let read = read(&text);
        assert_eq!(read.argv, made.argv);
        assert_eq!(read.env[..made.env.len()], made.env);
        assert_eq!(read.folder, None);
    }

    #[test]
    fn what_it_says_of_a_service_is_told() {
        let said = "gui/501/ai.openclaw.gateway = {\n\tstate = running\n\tpid = 12\n\tlast exit code = 0\n}";
        let up = printed(said);
        assert_eq!(
            (up.status, up.pid, up.last_exit_status),
            ("running", Some(12), Some(0))
        );
        assert_eq!(printed("\tstate = waiting\n").status, "stopped");
    }
}
