//! From the C library's start of a program to its first function, without what Rust does in between.
//!
//! Rust's own start looks up where the stack ends, through `/proc/self/maps`, and installs handlers on a
//! stack of their own, so as to name an overflow of the stack before it ends the program. That is a tenth
//! of the time of a short command. Without it an overflow ends the program all the same, by SIGSEGV. What
//! else that start does is done here.

use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Exit status after a panic, as Rust's own start has it.
const PANICKED: i32 = 101;

/// Makes a function from nothing to an exit status the program's start. For a crate with `no_main`.
#[macro_export]
macro_rules! start_with {
    ($run:path) => {
        /// What the C library calls.
        // SAFETY: `main` has this signature in C, and nothing else is called so in a program.
        #[unsafe(no_mangle)]
        pub extern "C" fn main(_words: i32, _first: *const *const u8) -> i32 {
            $crate::entry::start($run)
        }
    };
}

/// Runs a program to its exit status.
pub fn start(run: fn() -> u8) -> i32 {
    open_standard_streams();
    crate::signal::ignore_sigpipe();
    let status = catch_unwind(AssertUnwindSafe(run)).map_or(PANICKED, i32::from);
    // Nobody is left to tell that it failed.
    let _ = std::io::stdout().flush();
    status
}

/// Opens `/dev/null` in place of each standard stream that is closed: else the next file that is opened
/// would be taken for it.
fn open_standard_streams() {
    let mut streams = [0, 1, 2].map(|fd| libc::pollfd { fd, events: 0, revents: 0 });
    // SAFETY: three entries, owned here.
    let count = unsafe { libc::poll(streams.as_mut_ptr(), streams.len() as libc::nfds_t, 0) };
    let closed = streams.iter().filter(|stream| stream.revents & libc::POLLNVAL != 0);
    for _ in closed.take_while(|_| count > 0) {
        // SAFETY: a literal that ends with zero. The lowest free descriptor is the stream's.
        if unsafe { libc::open(c"/dev/null".as_ptr(), libc::O_RDWR) } < 0 {
            std::process::abort();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_has_a_status_of_its_own() {
        assert_eq!(start(|| 7), 7);
        assert_eq!(start(|| std::panic::resume_unwind(Box::new("on purpose"))), PANICKED);
    }
}
