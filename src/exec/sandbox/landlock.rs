//! Which files a sandboxed command reaches: an allowlist, everything else does not open.

use crate::base::sys::beneath::{self, How};
use crate::wire::exec::Sandbox;
use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, PathBeneath, Ruleset, RulesetAttr, RulesetCreated,
    RulesetCreatedAttr, Scope,
};
use std::fmt::Display;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// The newest rights we know; an older kernel enforces those it knows, and seccomp closes the gaps
/// that matter.
const KNOWN: ABI = ABI::V7;

/// Programs and libraries.
const PROGRAMS: &[&str] = &[
    "/usr",
    "/bin",
    "/sbin",
    "/lib",
    "/lib32",
    "/lib64",
    "/libx32",
    "/nix/store",
    "/gnu/store",
];

/// What programs read to work at all. Never /etc as a whole: it has secrets, also ours.
const SETTINGS: &[&str] = &[
    "/etc/ld.so.cache",
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d",
    "/etc/ld-musl-x86_64.path",
    "/etc/passwd",
    "/etc/group",
    "/etc/nsswitch.conf",
    "/etc/hosts",
    "/etc/host.conf",
    "/etc/hostname",
    "/etc/resolv.conf",
    "/etc/gai.conf",
    "/etc/services",
    "/etc/protocols",
    "/etc/localtime",
    "/etc/timezone",
    "/etc/os-release",
    "/etc/debian_version",
    "/etc/alpine-release",
    "/etc/alternatives",
    "/etc/terminfo",
    "/etc/inputrc",
    "/etc/profile",
    "/etc/profile.d",
    "/etc/bash.bashrc",
    "/etc/bashrc",
    "/etc/locale.conf",
    "/etc/locale.alias",
    "/etc/default/locale",
    "/etc/mime.types",
    "/etc/magic",
    "/etc/gitconfig",
    "/etc/python3",
    "/etc/perl",
    "/etc/java",
    "/etc/fonts",
    "/etc/vim",
    "/etc/ssl/certs",
    "/etc/ssl/openssl.cnf",
    "/etc/pki/tls/certs",
    "/etc/pki/ca-trust/extracted",
    "/etc/ca-certificates",
    "/etc/ca-certificates.conf",
    "/proc/cpuinfo",
    "/proc/filesystems",
    "/proc/loadavg",
    "/proc/meminfo",
    "/proc/stat",
    "/proc/uptime",
    "/proc/version",
    "/dev/random",
    "/dev/urandom",
];

const DEVICES: &[&str] = &["/dev/null", "/dev/zero", "/dev/full", "/dev/tty"];

/// `network`: connections are somebody else's to fence.
pub fn ruleset(sandbox: &Sandbox, temp: &Path, network: bool) -> Result<OwnedFd, String> {
    let said = |err: &dyn Display| format!("Landlock: {err}");
    let mut rules = Ruleset::default()
        .handle_access(AccessFs::from_all(KNOWN))
        .and_then(|rules| rules.scope(Scope::from_all(KNOWN)))
        .map_err(|err| said(&err))?;
    if !network {
        // Sockets are refused by seccomp already; this holds for one that was handed in.
        rules = rules
            .handle_access(AccessNet::from_all(KNOWN))
            .map_err(|err| said(&err))?;
    }
    let mut rules = rules.create().map_err(|err| said(&err))?;
    let read = AccessFs::from_read(KNOWN);
    let make_device = AccessFs::MakeChar | AccessFs::MakeBlock | AccessFs::IoctlDev;
    let write = AccessFs::from_all(KNOWN) & !make_device;
    let device = AccessFs::ReadFile | AccessFs::WriteFile | AccessFs::IoctlDev;
    for (paths, access) in [
        (PROGRAMS, read),
        (SETTINGS, AccessFs::ReadFile | AccessFs::ReadDir),
        (DEVICES, device),
    ] {
        for path in paths.iter().map(Path::new).filter(|path| path.exists()) {
            rules = allow(rules, named(path), path, access)?;
        }
    }
    for path in &sandbox.read {
        let granted = granted(path);
        // A folder that is gone, or is another one by now, is one less that can be read.
        if granted.is_ok() {
            rules = allow(rules, granted, path, read)?;
        }
    }
    for path in &sandbox.write {
        rules = allow(rules, granted(path), path, write)?;
    }
    rules = allow(rules, named(temp), temp, write)?;
    Option::<OwnedFd>::from(rules).ok_or_else(|| said(&"not offered by this kernel"))
}

/// Opens a place of the system's, links followed.
fn named(path: &Path) -> io::Result<File> {
    let mut options = File::options();
    options
        .read(true)
        .custom_flags(beneath::NAME_ONLY)
        .open(path)
}

/// Opens what the core grants. It looked where the path leads, and whoever can write a folder on the
/// way could put a link there since: links are not followed.
fn granted(path: &Path) -> io::Result<File> {
    let below = path.strip_prefix("/").map_err(io::Error::other)?;
    beneath::open(&File::open("/")?, below, How::Any)
}

fn allow(
    rules: RulesetCreated,
    file: io::Result<File>,
    path: &Path,
    access: BitFlags<AccessFs>,
) -> Result<RulesetCreated, String> {
    let said = |err: &dyn Display| format!("sandbox: {}: {err}", path.display());
    let fd = file.map_err(|err| said(&err))?;
    let is_folder = fd.metadata().map_err(|err| said(&err))?.is_dir();
    let access = if is_folder {
        access
    } else {
        access & AccessFs::from_file(KNOWN)
    };
    rules
        .add_rule(PathBeneath::new(fd, access))
        .map_err(|err| said(&err))
}
