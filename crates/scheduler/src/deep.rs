//! Room for recursion: orderings are followed as deep as the configuration chains them.

use std::thread;

/// Stack of the thread that decides, in bytes. It is only reserved: memory is used as far as the
/// recursion goes.
const STACK_BYTES: usize = 1 << 30;

/// Runs a function on a thread with a large stack, or here if there can be none.
pub fn with_deep_stack<T: Send>(function: impl FnOnce() -> T + Send) -> T {
    let (mut function, mut result) = (Some(function), None);
    thread::scope(|scope| {
        let run = || result = function.take().map(|f| f());
        let worker = thread::Builder::new().name("scheduler".to_string()).stack_size(STACK_BYTES);
        if let Ok(worker) = worker.spawn_scoped(scope, run)
            && let Err(panic) = worker.join()
        {
            std::panic::resume_unwind(panic);
        }
    });
    match (result, function) {
        (Some(result), _) => result,
        (None, Some(function)) => function(),
        (None, None) => unreachable!("the function ran and returned"),
    }
}
