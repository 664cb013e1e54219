//! XPath 1.0 over [`Document`]: administrators pass expressions to `cibadmin --xpath` and in ACLs.
//!
//! [`XPath::parse`] checks an expression once; [`XPath::select`] gives matching elements in document
//! order. Work and nesting are bounded, as expressions come from clients.

mod ast;
mod eval;
mod functions;
mod lexer;
mod parser;
mod value;

pub use value::{Match, Value};

use crate::{Document, NodeId};

/// Longest expression accepted, in bytes.
pub const MAX_EXPRESSION_BYTES: usize = 64 << 10;
/// Deepest nesting of parentheses, predicates and calls accepted.
pub const MAX_NESTING: usize = 100;
/// Most operators accepted (a chain of them nests as deep as it is long).
pub const MAX_OPERATORS: usize = 500;
/// Most nodes looked at in one evaluation.
pub const MAX_STEPS: u64 = 50_000_000;

/// Why an expression was refused or could not be evaluated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum XPathError {
    #[error("'{expression}' is not an XPath expression: {message} at character {position}")]
    Syntax { expression: String, position: usize, message: String },
    #[error("the expression is longer or deeper nested than accepted")]
    TooComplex,
    #[error("the expression needs too many steps on this document")]
    TooMuchWork,
    #[error("the expression calls the unknown function {0}()")]
    UnknownFunction(String),
    #[error("{0}() was called with the wrong number of arguments")]
    Arguments(String),
    #[error("variables are not available: ${0}")]
    Variable(String),
    #[error("the expression's result is not a set of nodes")]
    NotNodes,
}

/// A checked expression.
#[derive(Debug, Clone)]
pub struct XPath {
    expression: ast::Expr,
}

impl XPath {
    /// # Errors
    /// [`XPathError::Syntax`] with the place, or [`XPathError::TooComplex`].
    pub fn parse(text: &str) -> Result<XPath, XPathError> {
        if text.len() > MAX_EXPRESSION_BYTES {
            return Err(XPathError::TooComplex);
        }
        Ok(XPath { expression: parser::parse(text)? })
    }

    /// Evaluates with the document as context node.
    ///
    /// # Errors
    /// Unknown functions, wrong arguments, or too much work.
    pub fn evaluate(&self, doc: &Document) -> Result<Value, XPathError> {
        eval::Evaluator::new(doc).run(&self.expression)
    }

    /// Matching nodes in document order, attributes and texts included.
    ///
    /// # Errors
    /// As [`XPath::evaluate`], and [`XPathError::NotNodes`].
    pub fn matches(&self, doc: &Document) -> Result<Vec<Match>, XPathError> {
        match self.evaluate(doc)? {
            Value::Nodes(nodes) => Ok(nodes),
            _ => Err(XPathError::NotNodes),
        }
    }

    /// Matching elements in document order; an attribute or a text stands for its element.
    ///
    /// # Errors
    /// As [`XPath::matches`].
    pub fn select(&self, doc: &Document) -> Result<Vec<NodeId>, XPathError> {
        let mut found: Vec<NodeId> = Vec::new();
        for node in self.matches(doc)? {
            let id = match node {
                Match::Document => doc.root(),
                Match::Attribute(id, _) => id,
                Match::Node(id) if doc.name(id).is_empty() => match doc.parent(id) {
                    Some(parent) => parent,
                    None => continue,
                },
                Match::Node(id) => id,
            };
            if found.last() != Some(&id) {
                found.push(id);
            }
        }
        Ok(found)
    }
}

impl Document {
    /// The place of an element as the reference writes it in patches and logs:
    /// names from the root, with `[@id='…']` where there is an id.
    pub fn xpath_of(&self, node: NodeId) -> String {
        let mut parts = Vec::new();
        let mut at = Some(node);
        while let Some(id) = at {
            let step = match self.attr(id, "id") {
                Some(value) => format!("/{}[@id='{value}']", self.name(id)),
                None => format!("/{}", self.name(id)),
            };
            parts.push(step);
            at = self.parent(id);
        }
        parts.reverse();
        parts.concat()
    }
}

#[cfg(test)]
mod tests;
