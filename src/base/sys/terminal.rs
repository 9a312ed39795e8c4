//! The terminal a person types at: not showing what is typed, handing on every key, and its size.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd};

/// While it lives, the terminal is in another mode.
pub struct Held<'fd> {
    terminal: BorrowedFd<'fd>,
    before: libc::termios,
}

impl<'fd> Held<'fd> {
    /// Does not show what is typed.
    pub fn silent(terminal: BorrowedFd<'fd>) -> io::Result<Held<'fd>> {
        Held::with(terminal, |mode| {
            mode.c_lflag &= !libc::ECHO;
            // The Enter that ends the line is shown, so that what follows starts on a line of its own.
            mode.c_lflag |= libc::ECHONL;
        })
    }

    /// Hands on every key as it is pressed, also those that would be signals.
    pub fn raw(terminal: BorrowedFd<'fd>) -> io::Result<Held<'fd>> {
        Held::with(terminal, |mode| {
            mode.c_iflag &= !(libc::BRKINT | libc::ICRNL | libc::INLCR | libc::ISTRIP | libc::IXON);
            mode.c_lflag &= !(libc::ECHO | libc::ECHONL | libc::ICANON | libc::ISIG | libc::IEXTEN);
            mode.c_cc[libc::VMIN] = 1;
            mode.c_cc[libc::VTIME] = 0;
        })
    }

    fn with(
        terminal: BorrowedFd<'fd>,
        change: impl FnOnce(&mut libc::termios),
    ) -> io::Result<Held<'fd>> {
        let mut before = MaybeUninit::<libc::termios>::uninit();
        // SAFETY: an open descriptor and room for the answer; it is filled when the call succeeds.
        let before = unsafe {
            if libc::tcgetattr(terminal.as_raw_fd(), before.as_mut_ptr()) < 0 {
                return Err(io::Error::last_os_error());
            }
            before.assume_init()
        };
        let mut changed = before;
        change(&mut changed);
        set(terminal, &changed)?;
        Ok(Held { terminal, before })
    }
}

impl Drop for Held<'_> {
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

/// Columns and rows; `None` where it is no terminal, or one that does not know.
pub fn size(terminal: BorrowedFd) -> Option<(u16, u16)> {
    // SAFETY: four numbers, for which zero is a value.
    let mut size: libc::winsize = unsafe { std::mem::zeroed() };
    // SAFETY: an open descriptor and room for the answer.
    let done = unsafe { libc::ioctl(terminal.as_raw_fd(), libc::TIOCGWINSZ, &mut size) };
    (done == 0 && size.ws_col > 0 && size.ws_row > 0).then_some((size.ws_col, size.ws_row))
}
