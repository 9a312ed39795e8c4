//! Which system calls a sandboxed command is refused. Most answer EPERM, so programs go on or say
//! why not; those that programs probe for answer ENOSYS, so they fall back.
//!
//! Path-wise changes of modes, owners and attributes are refused because Landlock does not check
//! them: without this a command could open up our state directory for other users. `chmod` on an
//! open file works.

use crate::base::sys::sandbox::Filter;
use seccompiler::{
    SeccompAction, SeccompCmpArgLen as Len, SeccompCmpOp as Op, SeccompCondition as Condition,
    SeccompFilter, SeccompRule as Rule, TargetArch, sock_filter,
};
use std::collections::BTreeMap;

/// What else is open, and what this kernel's Landlock already closes.
pub struct Gaps {
    pub network: bool,
    pub signals: bool,
    pub truncate: bool,
}

type Rules = BTreeMap<i64, Vec<Rule>>;

/// Always refused.
const REFUSED: &[i64] = &[
    // Other processes.
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_process_madvise,
    libc::SYS_pidfd_getfd,
    libc::SYS_kcmp,
    libc::SYS_perf_event_open,
    // Mounts and namespaces.
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_move_mount,
    libc::SYS_open_tree,
    libc::SYS_fsopen,
    libc::SYS_fsmount,
    libc::SYS_fsconfig,
    libc::SYS_fspick,
    libc::SYS_mount_setattr,
    libc::SYS_unshare,
    libc::SYS_setns,
    libc::SYS_name_to_handle_at,
    libc::SYS_open_by_handle_at,
    // Files by path, where Landlock does not look.
    libc::SYS_fchmodat,
    libc::SYS_fchmodat2,
    libc::SYS_fchownat,
    libc::SYS_setxattr,
    libc::SYS_lsetxattr,
    libc::SYS_removexattr,
    libc::SYS_lremovexattr,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_chmod,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_chown,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_lchown,
    // The kernel itself.
    libc::SYS_bpf,
    libc::SYS_keyctl,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_userfaultfd,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_kexec_load,
    libc::SYS_reboot,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_syslog,
    libc::SYS_acct,
    libc::SYS_quotactl,
    libc::SYS_fanotify_init,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_clock_adjtime,
    libc::SYS_adjtimex,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_iopl,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_ioperm,
];

/// Probed for by programs that manage without. io_uring does its work outside the filter, and the
/// flags of clone3 and openat2 lie in memory, where no filter sees them.
const ABSENT: &[i64] = &[
    libc::SYS_clone3,
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
];

const SIGNALS: &[i64] = &[
    libc::SYS_kill,
    libc::SYS_tkill,
    libc::SYS_tgkill,
    libc::SYS_rt_sigqueueinfo,
    libc::SYS_rt_tgsigqueueinfo,
    libc::SYS_pidfd_send_signal,
];

/// Commands of fcntl(2) and requests of ioctl(2) that let the kernel send a signal to any process of
/// our user.
const SIGNALS_BY_FILE: &[i32] = &[libc::F_SETOWN, F_SETSIG, F_SETOWN_EX];
const F_SETSIG: i32 = 10;
const F_SETOWN_EX: i32 = 15;
const FIOSETOWN: i32 = 0x8901;
const SIOCSPGRP: i32 = 0x8902;

/// Calls whose first argument names a process of our user, which may be the gateway's: its limits
/// (one of no CPU time kills it) and its turn on a processor. Zero is the caller.
const ON_OTHERS: &[i64] = &[
    libc::SYS_prlimit64,
    libc::SYS_sched_setaffinity,
    libc::SYS_sched_setattr,
    libc::SYS_sched_setparam,
    libc::SYS_sched_setscheduler,
];

/// The last call that was looked at (mseal, Linux 6.10). Numbers are the same on all processors from
/// 424 on; what comes later answers ENOSYS, as on the kernels before it.
const LAST_KNOWN: u32 = 462;

const NAMESPACES: &[i32] = &[
    libc::CLONE_NEWUSER,
    libc::CLONE_NEWNS,
    libc::CLONE_NEWPID,
    libc::CLONE_NEWNET,
    libc::CLONE_NEWIPC,
    libc::CLONE_NEWUTS,
    libc::CLONE_NEWCGROUP,
];

pub fn filter(gaps: &Gaps) -> Result<Filter, String> {
    let said = |err: &dyn std::fmt::Display| format!("seccomp: {err}");
    let mut rules: Rules = REFUSED.iter().map(|call| (*call, Vec::new())).collect();
    let families: &[i32] = if gaps.network {
        &[libc::AF_INET, libc::AF_INET6, libc::AF_NETLINK]
    } else {
        &[]
    };
    // Every family but these; AF_UNIX never: behind it are our sockets and the desktop's.
    let other = families
        .iter()
        .map(|family| condition(0, Op::Ne, *family))
        .collect::<Result<Vec<_>, _>>()?;
    let other = if other.is_empty() {
        Vec::new()
    } else {
        vec![Rule::new(other).map_err(|err| said(&err))?]
    };
    rules.insert(libc::SYS_socket, other);
    let clone = NAMESPACES
        .iter()
        .map(|flag| one(masked(0, *flag, *flag)?))
        .collect::<Result<Vec<_>, String>>()?;
    rules.insert(libc::SYS_clone, clone);
    // Typing into a terminal on somebody's behalf.
    let typing = one(condition(1, Op::Eq, TIOCSTI)?)?;
    let console = one(condition(1, Op::Eq, TIOCLINUX)?)?;
    let mut ioctl = vec![typing, console];
    for call in ON_OTHERS {
        rules.insert(*call, vec![one(condition(0, Op::Ne, 0)?)?]);
    }
    // (kind, which): which is a process, a group or a user; what is not the caller's own is refused.
    for (call, user) in [
        (libc::SYS_setpriority, PRIO_USER),
        (libc::SYS_ioprio_set, IOPRIO_USER),
    ] {
        let others = one(condition(1, Op::Ne, 0)?)?;
        rules.insert(call, vec![one(condition(0, Op::Eq, user)?)?, others]);
    }
    // A pair of datagram sockets can be pointed elsewhere later, at a socket of the system's.
    let pairs = [libc::SOCK_DGRAM, libc::SOCK_RAW]
        .map(|kind| one(masked(1, SOCK_KIND, kind)?))
        .into_iter()
        .collect::<Result<Vec<_>, String>>()?;
    rules.insert(libc::SYS_socketpair, pairs);
    let mut absent = ABSENT.to_vec();
    if !gaps.signals {
        rules.extend(SIGNALS.iter().map(|call| (*call, Vec::new())));
        let by_file = SIGNALS_BY_FILE
            .iter()
            .map(|command| one(condition(1, Op::Eq, *command)?))
            .collect::<Result<Vec<_>, String>>()?;
        rules.insert(libc::SYS_fcntl, by_file);
        for request in [FIOSETOWN, SIOCSPGRP] {
            ioctl.push(one(condition(1, Op::Eq, request)?)?);
        }
    }
    rules.insert(libc::SYS_ioctl, ioctl);
    if !gaps.truncate {
        old_truncation(&mut rules)?;
        absent.push(libc::SYS_openat2);
    }
    let eperm = SeccompAction::Errno(libc::EPERM.unsigned_abs());
    let arch: TargetArch = std::env::consts::ARCH
        .try_into()
        .map_err(|_| "seccomp: no filter for this processor".to_string())?;
    let filter =
        SeccompFilter::new(rules, SeccompAction::Allow, eperm, arch).map_err(|err| said(&err))?;
    let program: Filter = filter.try_into().map_err(|err| said(&err))?;
    Ok(head(&absent).into_iter().chain(program).collect())
}

/// Before Landlock knew truncation: no truncation by path, none of a file opened for reading.
fn old_truncation(rules: &mut Rules) -> Result<(), String> {
    rules.insert(libc::SYS_truncate, Vec::new());
    let (mask, value) = (
        libc::O_TRUNC | libc::O_ACCMODE,
        libc::O_TRUNC | libc::O_RDONLY,
    );
    rules.insert(libc::SYS_openat, vec![one(masked(2, mask, value)?)?]);
    #[cfg(target_arch = "x86_64")]
    rules.insert(libc::SYS_open, vec![one(masked(1, mask, value)?)?]);
    Ok(())
}

/// Requests of ioctl(2); the kernel reads 32 bits of them.
const TIOCSTI: i32 = 0x5412;
const TIOCLINUX: i32 = 0x541c;
/// First argument of setpriority(2) and of ioprio_set(2): all processes of a user.
const PRIO_USER: i32 = 2;
const IOPRIO_USER: i32 = 3;
/// The kind of a socket, without its flags.
const SOCK_KIND: i32 = 0xf;

fn condition(argument: u8, op: Op, value: i32) -> Result<Condition, String> {
    Condition::new(argument, Len::Dword, op, u64::from(value as u32))
        .map_err(|err| format!("seccomp: {err}"))
}

fn masked(argument: u8, mask: i32, value: i32) -> Result<Condition, String> {
    let mask = u64::from(mask as u32);
    condition(argument, Op::MaskedEq(mask), value)
}

fn one(condition: Condition) -> Result<Rule, String> {
    Rule::new(vec![condition]).map_err(|err| format!("seccomp: {err}"))
}

/// The instructions before seccompiler's own, for a second answer (ENOSYS): each call of `absent`,
/// and all numbers above those we know, which on x86-64 are also the whole x32 table.
fn head(absent: &[i64]) -> Vec<sock_filter> {
    // linux/bpf_common.h: load a word at an absolute offset; jumps; return a constant.
    const LOAD: u16 = 0x20;
    const JUMP_EQUAL: u16 = 0x15;
    const JUMP_AT_LEAST: u16 = 0x35;
    const RETURN: u16 = 0x06;
    let instruction = |code, jt, jf, k| sock_filter { code, jt, jf, k };
    // struct seccomp_data begins with the call's number.
    let mut head = vec![instruction(LOAD, 0, 0, 0)];
    let refuse = instruction(
        RETURN,
        0,
        0,
        libc::SECCOMP_RET_ERRNO | libc::ENOSYS.unsigned_abs(),
    );
    for call in absent {
        let number = u32::try_from(*call).unwrap_or(u32::MAX);
        head.push(instruction(JUMP_EQUAL, 0, 1, number));
        head.push(refuse.clone());
    }
    head.push(instruction(JUMP_AT_LEAST, 0, 1, LAST_KNOWN + 1));
    head.push(refuse);
    head
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_is_made_for_every_kernel_and_purpose() {
        for bits in 0..8 {
            let gaps = Gaps {
                network: bits & 1 != 0,
                signals: bits & 2 != 0,
                truncate: bits & 4 != 0,
            };
            let program = filter(&gaps).unwrap();
            assert!(program.len() < 4096, "the kernel takes 4096 instructions");
        }
    }
}
