//! Which files a sandboxed command reaches: an allowlist, everything else does not open.

use crate::wire::exec::Sandbox;
use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, PathBeneath, PathFd, Ruleset, RulesetAttr,
    RulesetCreated, RulesetCreatedAttr, Scope,
};
use std::fmt::Display;
use std::os::fd::OwnedFd;
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
            rules = allow(rules, path, access)?;
        }
    }
    for path in &sandbox.read {
        rules = allow(rules, path, read)?;
    }
    for path in sandbox.write.iter().map(AsRef::as_ref).chain([temp]) {
        rules = allow(rules, path, write)?;
    }
    Option::<OwnedFd>::from(rules).ok_or_else(|| said(&"not offered by this kernel"))
}

fn allow(
    rules: RulesetCreated,
    path: &Path,
    access: BitFlags<AccessFs>,
) -> Result<RulesetCreated, String> {
    let said = |err: &dyn Display| format!("sandbox: {}: {err}", path.display());
    let access = if path.is_dir() {
        access
    } else {
        access & AccessFs::from_file(KNOWN)
    };
    let fd = PathFd::new(path).map_err(|err| said(&err))?;
    rules
        .add_rule(PathBeneath::new(fd, access))
        .map_err(|err| said(&err))
}
