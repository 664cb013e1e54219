//! Checking a password with PAM. The library is opened at run time, so that the program starts on a
//! system without it; modules may block and leak, so call this in a short-lived process.

use std::ffi::{CStr, CString, c_char, c_int, c_void};

/// Why a password was not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PamError {
    #[error("PAM is not available on this system: install libpam")]
    Unavailable,
    #[error("a name or password with a NUL byte")]
    Text,
    /// The modules said no (their status code).
    #[error("user name or password is wrong (PAM status {0})")]
    Refused(i32),
}

const PAM_SUCCESS: c_int = 0;
const PAM_BUF_ERR: c_int = 5;
const PAM_PROMPT_ECHO_OFF: c_int = 1;

#[repr(C)]
struct Message {
    style: c_int,
    text: *const c_char,
}

#[repr(C)]
struct Response {
    text: *mut c_char,
    code: c_int,
}

type Converse = extern "C" fn(c_int, *const *const Message, *mut *mut Response, *mut c_void) -> c_int;

#[repr(C)]
struct Conversation {
    converse: Converse,
    data: *mut c_void,
}

type Start =
    unsafe extern "C" fn(*const c_char, *const c_char, *const Conversation, *mut *mut c_void) -> c_int;
type Step = unsafe extern "C" fn(*mut c_void, c_int) -> c_int;

/// Answers every hidden prompt with the password that `data` points to.
extern "C" fn answer(
    count: c_int,
    messages: *const *const Message,
    responses: *mut *mut Response,
    data: *mut c_void,
) -> c_int {
    let Ok(count) = usize::try_from(count) else { return PAM_BUF_ERR };
    // SAFETY: PAM frees the array and its texts with free(3); so they come from calloc and strdup.
    // `messages` holds `count` valid pointers, and `data` is the password given to pam_start.
    unsafe {
        let answers = libc::calloc(count.max(1), size_of::<Response>()).cast::<Response>();
        if answers.is_null() {
            return PAM_BUF_ERR;
        }
        for index in 0..count {
            let message = *messages.add(index);
            if !message.is_null() && (*message).style == PAM_PROMPT_ECHO_OFF {
                (*answers.add(index)).text = libc::strdup(data.cast::<c_char>());
            }
        }
        *responses = answers;
    }
    PAM_SUCCESS
}

/// Whether `password` is the user's, and whether the account may be used, for a PAM service.
///
/// # Errors
/// [`PamError`]: anything but a clear yes.
pub fn check_password(service: &str, user: &str, password: &str) -> Result<(), PamError> {
    let text = |text: &str| CString::new(text).map_err(|_| PamError::Text);
    let (service, user, password) = (text(service)?, text(user)?, text(password)?);
    // SAFETY: the names are NUL-terminated; the handle stays open for the life of the process.
    let library = unsafe { libc::dlopen(c"libpam.so.0".as_ptr(), libc::RTLD_NOW) };
    if library.is_null() {
        return Err(PamError::Unavailable);
    }
    let symbol = |name: &CStr| {
        // SAFETY: `library` is an open handle and the name is NUL-terminated.
        let found = unsafe { libc::dlsym(library, name.as_ptr()) };
        if found.is_null() { Err(PamError::Unavailable) } else { Ok(found) }
    };
    let (start, authenticate) = (symbol(c"pam_start")?, symbol(c"pam_authenticate")?);
    let (account, end) = (symbol(c"pam_acct_mgmt")?, symbol(c"pam_end")?);
    let conversation = Conversation { converse: answer, data: password.as_ptr().cast_mut().cast() };
    let mut handle = std::ptr::null_mut();
    // SAFETY: the four functions have these signatures in every libpam.so.0; the conversation and the
    // texts outlive the session, which ends before this function does.
    unsafe {
        let start: Start = std::mem::transmute(start);
        let authenticate: Step = std::mem::transmute(authenticate);
        let account: Step = std::mem::transmute(account);
        let end: Step = std::mem::transmute(end);
        let mut status = start(service.as_ptr(), user.as_ptr(), &conversation, &mut handle);
        if status == PAM_SUCCESS {
            status = authenticate(handle, 0);
        }
        if status == PAM_SUCCESS {
            status = account(handle, 0);
        }
        if !handle.is_null() {
            end(handle, status);
        }
        if status == PAM_SUCCESS { Ok(()) } else { Err(PamError::Refused(status)) }
    }
}
