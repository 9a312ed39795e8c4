//! Giving back the part of a thread's stack that deep calls left behind.
//!
//! A page of stack once touched stays until the thread ends. A thread that did deep work once and
//! then waits for days (a connection after its handshake) hands those pages back.

/// Bytes below our frame that are kept: our own spills and the frame of the system call's wrapper,
/// with room to spare.
#[cfg(target_os = "linux")]
const KEEP: usize = 1024;

/// Returns the unused pages below the current frame to the kernel. They read as zero and come
/// back by themselves when the stack grows again.
#[cfg(target_os = "linux")]
#[inline(never)]
pub fn release_unused() {
    let Some(bottom) = lowest_address() else {
        return;
    };
    // SAFETY: sysconf only reads.
    let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) } as usize;
    let here = 0u8;
    let top = (&raw const here as usize).saturating_sub(KEEP) & !(page - 1);
    if top <= bottom + page {
        return;
    }
    // SAFETY: [bottom, top) is this thread's own stack, page-aligned, and ends well below every
    // live frame: stacks grow downwards on all Linux targets Rust supports, and no code keeps data
    // below its stack pointer across a call.
    unsafe {
        libc::madvise(bottom as *mut _, top - bottom, libc::MADV_DONTNEED);
    }
}

#[cfg(not(target_os = "linux"))]
pub fn release_unused() {}

#[cfg(target_os = "linux")]
fn lowest_address() -> Option<usize> {
    let mut attr = std::mem::MaybeUninit::<libc::pthread_attr_t>::uninit();
    // SAFETY: getattr initialises `attr` when it returns 0; it is read and destroyed only then.
    unsafe {
        if libc::pthread_getattr_np(libc::pthread_self(), attr.as_mut_ptr()) != 0 {
            return None;
        }
        let (mut address, mut size) = (std::ptr::null_mut(), 0);
        let found = libc::pthread_attr_getstack(attr.as_ptr(), &mut address, &mut size);
        libc::pthread_attr_destroy(attr.as_mut_ptr());
        (found == 0).then_some(address as usize)
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_thread_goes_on_after_giving_back_its_stack() {
        #[inline(never)]
        fn deep(n: usize) -> usize {
            let here = [n; 64];
            if n == 0 {
                here[0]
            } else {
                deep(n - 1) + here[1]
            }
        }
        std::thread::Builder::new()
            .stack_size(1 << 20)
            .spawn(|| {
                let kept = [7usize; 32];
                let before = deep(200);
                super::release_unused();
                assert_eq!(deep(200), before);
                assert_eq!(kept, [7; 32]);
            })
            .unwrap()
            .join()
            .unwrap();
    }
}
