//! The terminal a person types at: not showing what is typed.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd};

/// While it lives, the terminal does not show what is typed.
pub struct Silence<'fd> {
    terminal: BorrowedFd<'fd>,
    before: libc::termios,
}

impl<'fd> Silence<'fd> {
    pub fn on(terminal: BorrowedFd<'fd>) -> io::Result<Silence<'fd>> {
        let mut before = MaybeUninit::<libc::termios>::uninit();
        // SAFETY: an open descriptor and room for the answer; it is filled when the call succeeds.
        let before = unsafe {
            if libc::tcgetattr(terminal.as_raw_fd(), before.as_mut_ptr()) < 0 {
                return Err(io::Error::last_os_error());
            }
            before.assume_init()
        };
        let mut silent = before;
        silent.c_lflag &= !libc::ECHO;
        // The Enter that ends the line is shown, so that what follows starts on a line of its own.
        silent.c_lflag |= libc::ECHONL;
        set(terminal, &silent)?;
        Ok(Silence { terminal, before })
    }
}

impl Drop for Silence<'_> {
    fn drop(&mut self) {
        // A terminal that has gone needs nothing back.
        let _ = set(self.terminal, &self.before);
    }
}

fn set(terminal: BorrowedFd, to: &libc::termios) -> io::Result<()> {
    // SAFETY: an open descriptor and a whole struct.
    match unsafe { libc::tcsetattr(terminal.as_raw_fd(), libc::TCSAFLUSH, to) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
