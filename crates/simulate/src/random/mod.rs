//! Random clusters and what befalls them, decided by the reference and by us.
//!
//! A seed gives a configuration with every feature now and then, and a history: the reference's own
//! pretended executions, with failures and changes of the configuration in between. Each step is a
//! question to both.

mod compare;
mod config;
mod constraints;
mod dice;
mod evolve;
mod minimise;
mod mutate;
mod past;
mod resources;
mod rules;
mod status;
mod themes;
mod words;

pub use compare::{Answer, REFUSED, Reference, Verdict, compare, installed};
pub use config::cib;
pub use evolve::Events;
pub use minimise::minimise;
pub use mutate::{Pool, inputs};

use dice::Dice;
use xml::Document;

/// One question of a history.
#[derive(Debug)]
pub struct Step {
    pub seed: u64,
    pub number: usize,
    pub cib: Document,
    pub events: Events,
    pub verdict: Verdict,
}

/// Goes through the history of a seed, of so many steps; hands over each. It starts with a random
/// configuration, or with the one given.
///
/// # Errors
/// When the seed's configuration is no XML.
pub fn history(
    reference: &Reference,
    seed: u64,
    start: Option<Document>,
    steps: usize,
    mut each: impl FnMut(Step),
) -> Result<(), xml::XmlError> {
    let mut cib = match start {
        Some(start) => start,
        None => config::cib(seed)?,
    };
    let mut dice = Dice::new(!seed);
    for number in 0..steps {
        let events = match number {
            0 => Events::default(),
            _ => evolve::events(&cib, &mut dice),
        };
        let verdict = compare(reference, &cib, &events);
        let next = match &verdict {
            Verdict::Same(next) | Verdict::Different(_, next) => next.clone(),
            Verdict::Refused(_) | Verdict::Broken(_) => None,
        };
        each(Step { seed, number, cib, events, verdict });
        let Some(next) = next else { break };
        cib = next;
        evolve::evolve(&mut cib, &mut dice);
    }
    Ok(())
}

/// Goes through the history of a seed by our own pretended executions, so that it is the same
/// wherever it is done; hands over each question with our answer, or why we refuse it. It starts with
/// a random configuration, or with the one given.
///
/// # Errors
/// When the seed's configuration is no XML.
pub fn own_history(
    seed: u64,
    start: Option<Document>,
    steps: usize,
    mut each: impl FnMut(usize, &Document, &Events, Result<&Answer, &str>),
) -> Result<(), xml::XmlError> {
    let mut cib = match start {
        Some(start) => start,
        None => config::cib(seed)?,
    };
    let mut dice = Dice::new(!seed);
    for number in 0..steps {
        let events = match number {
            0 => Events::default(),
            _ => evolve::events(&cib, &mut dice),
        };
        let next = match compare::ours(&cib, &events) {
            Ok((answer, next)) => {
                each(number, &cib, &events, Ok(&answer));
                next
            }
            Err(reason) => {
                each(number, &cib, &events, Err(&reason));
                None
            }
        };
        let Some(next) = next else { break };
        cib = next;
        evolve::evolve(&mut cib, &mut dice);
    }
    Ok(())
}
