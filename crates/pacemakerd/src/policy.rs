//! The scheduler on a thread of its own: a large decision must not delay messages.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};

use sys::poll::EventFd;
use xml::Document;

/// What the scheduler answered.
#[derive(Debug)]
pub struct Decision {
    pub id: u32,
    pub graph: Result<Document, String>,
    /// When the decision may become stale by itself, in ms from now.
    pub recheck_ms: Option<u64>,
}

struct Question {
    id: u32,
    cib: Document,
    now_s: i64,
}

/// The worker thread and its mail boxes.
pub struct Policy {
    questions: Sender<Question>,
    answers: Receiver<Decision>,
    wake: Arc<EventFd>,
}

impl Policy {
    /// # Errors
    /// When no event descriptor can be had.
    pub fn start() -> Result<Policy, sys::Errno> {
        let (questions, inbox) = channel::<Question>();
        let (outbox, answers) = channel();
        let wake = Arc::new(EventFd::new()?);
        let bell = Arc::clone(&wake);
        std::thread::spawn(move || {
            while let Ok(question) = inbox.recv() {
                let decision = decide(question);
                if outbox.send(decision).is_err() {
                    return;
                }
                bell.notify();
            }
        });
        Ok(Policy { questions, answers, wake })
    }

    /// Asks; `false` when the worker is gone.
    pub fn ask(&self, id: u32, cib: Document, now_s: i64) -> bool {
        self.questions.send(Question { id, cib, now_s }).is_ok()
    }

    pub fn wake(&self) -> &EventFd {
        &self.wake
    }

    pub fn take(&self) -> Option<Decision> {
        self.answers.try_recv().ok()
    }
}

/// A fault of the scheduler must not take the manager with it: it becomes an error.
fn decide(question: Question) -> Decision {
    let id = question.id;
    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        crate::adapter::schedule(question.cib, question.now_s)
    }));
    let (graph, recheck_ms) = match outcome {
        Ok(Ok((graph, recheck_ms))) => (Ok(graph), recheck_ms),
        Ok(Err(reason)) => (Err(reason), None),
        Err(_) => (Err("the scheduler failed on this configuration".into()), None),
    };
    Decision { id, graph, recheck_ms }
}
