//! What a process may say about itself to the kernel and to its allocator.

use std::io;

/// Nobody of our uid may trace this process or read its memory, and it leaves no core file.
/// `/proc/self` then belongs to root: whatever asks it for our uid must have done so.
pub fn forbid_dumps() -> io::Result<()> {
    #[cfg(target_os = "linux")]
    // SAFETY: PR_SET_DUMPABLE takes one integer and changes an attribute of this process.
    if unsafe { libc::prctl(libc::PR_SET_DUMPABLE, 0) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Orphans below this process become its children instead of init's.
pub fn adopt_orphans() -> io::Result<()> {
    #[cfg(target_os = "linux")]
    // SAFETY: PR_SET_CHILD_SUBREAPER takes one integer and changes an attribute of this process.
    if unsafe { libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Sets the mask of new files' modes and returns the former one. Process-wide.
pub fn set_umask(mask: u32) -> u32 {
    // SAFETY: umask takes any value and cannot fail. The widths of mode_t differ by platform.
    unsafe { libc::umask(mask as libc::mode_t) as u32 }
}

/// Tells the allocator that this process would rather be small than quick at allocating: one
/// arena for all threads, big blocks straight from the kernel, and the top of the heap given back
/// early. To be called before the first thread.
pub fn keep_heap_small() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: mallopt takes two integers, and no other thread allocates yet.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, 1);
        libc::mallopt(libc::M_MMAP_THRESHOLD, 64 * 1024);
        libc::mallopt(libc::M_TRIM_THRESHOLD, 32 * 1024);
        libc::mallopt(libc::M_TOP_PAD, 8 * 1024);
    }
}

/// Gives free heap back to the kernel, for use after a burst (start-up, a large answer).
pub fn trim_heap() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: malloc_trim takes the allocator's own lock.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// Lets go of the program's code and constants that starting has brought in, once, when the start
/// is over. They are clean pages of files: nothing is freed but our claim on them. They stay in the
/// page cache while memory is plenty, the kernel may now take them without asking us, and what an
/// idle process does need is mapped again by its next use, a microsecond for sixteen pages.
pub fn unmap_cold_code() {
    #[cfg(target_os = "linux")]
    // SAFETY: the callback has the type the C library wants and takes no data.
    unsafe {
        libc::dl_iterate_phdr(Some(unmap_read_only), std::ptr::null_mut());
    }
}

#[cfg(target_os = "linux")]
unsafe extern "C" fn unmap_read_only(
    object: *mut libc::dl_phdr_info,
    _size: libc::size_t,
    _data: *mut libc::c_void,
) -> libc::c_int {
    const PAGE: usize = 4096;
    // SAFETY: the C library passes a live description of a loaded object.
    let object = unsafe { &*object };
    for at in 0..usize::from(object.dlpi_phnum) {
        // SAFETY: `dlpi_phdr` points to `dlpi_phnum` headers.
        let header = unsafe { &*object.dlpi_phdr.add(at) };
        // Never written, not even by the loader: relocations lie in writable segments.
        if header.p_type != libc::PT_LOAD || header.p_flags & libc::PF_W != 0 {
            continue;
        }
        let start = object.dlpi_addr as usize + header.p_vaddr as usize;
        let first = start & !(PAGE - 1);
        let last = (start + header.p_memsz as usize).div_ceil(PAGE) * PAGE;
        // SAFETY: an unmodified private file mapping: a dropped page is read again when touched.
        // With larger pages than assumed the call fails and changes nothing.
        unsafe { libc::madvise(first as *mut _, last - first, libc::MADV_DONTNEED) };
    }
    0
}

/// Microseconds of the clock that service managers compare `RELOADING=1` with.
pub fn monotonic_usec() -> u64 {
    let mut now = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: the kernel writes one timespec into a live local.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut now) };
    u64::try_from(now.tv_sec).unwrap_or(0) * 1_000_000
        + u64::try_from(now.tv_nsec / 1000).unwrap_or(0)
}

/// When `pid` started, in clock ticks since boot: with the pid it names a process for good.
pub fn start_time(pid: u32) -> Option<u64> {
    stat(pid, 22)
}

/// When `pid` started, in Unix milliseconds, to about a second.
pub fn started_ms(pid: u32) -> Option<u64> {
    let ticks = start_time(pid)?;
    // SAFETY: sysconf takes a number and returns one.
    let per_second = u64::try_from(unsafe { libc::sysconf(libc::_SC_CLK_TCK) }).ok()?;
    let stat = std::fs::read_to_string("/proc/stat").ok()?;
    let boot = stat.lines().find_map(|line| line.strip_prefix("btime "))?;
    let boot: u64 = boot.trim().parse().ok()?;
    Some(boot * 1000 + ticks * 1000 / per_second.max(1))
}

/// The processes whose parent is `parent`.
pub fn children(parent: u32) -> Vec<u32> {
    std::fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|pid| stat(*pid, 4) == Some(u64::from(parent)))
        .collect()
}

/// Field `number` (from 1, as the manual page counts) of /proc/PID/stat. The second is the
/// program's name in parentheses and may hold anything, so counting starts at the last one.
fn stat(pid: u32, number: usize) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, rest) = stat.rsplit_once(')')?;
    rest.split_ascii_whitespace().nth(number - 3)?.parse().ok()
}

/// The name of a process, empty when it is gone.
pub fn name(pid: u32) -> String {
    std::fs::read_to_string(format!("/proc/{pid}/comm"))
        .map(|name| name.trim().to_string())
        .unwrap_or_default()
}

/// Whether a process of that number exists, ours or not.
pub fn exists(pid: u32) -> bool {
    let Ok(pid) = libc::pid_t::try_from(pid) else {
        return false;
    };
    // SAFETY: signal 0 only asks.
    pid > 0
        && (unsafe { libc::kill(pid, 0) } == 0
            || io::Error::last_os_error().raw_os_error() == Some(libc::EPERM))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_that_was_let_go_still_runs() {
        unmap_cold_code();
        assert_eq!("a,b".split(',').count(), 2);
    }

    #[test]
    fn we_exist_and_started_once() {
        let me = std::process::id();
        assert!(exists(me));
        assert!(!exists(u32::MAX));
        assert!(start_time(me).unwrap() > 0);
        assert_eq!(start_time(me), start_time(me));
        assert!(monotonic_usec() > 0);
        let now = crate::base::time::now_ms();
        let age = now.abs_diff(started_ms(me).unwrap());
        assert!(age < 600_000, "this test started {age} ms ago");
    }
}
