//! Evaluation: node sets stay in document order; every look at a node counts against a budget.

use std::collections::HashMap;

use super::ast::{Axis, Expr, Operator, Step, Test};
use super::functions;
use super::value::{Match, Value, text_to_number};
use super::{MAX_STEPS, XPathError};
use crate::{Document, NodeId, NodeKind};

#[derive(Clone, Copy)]
pub(super) struct Context {
    pub node: Match,
    pub position: usize,
    pub size: usize,
}

pub(super) struct Evaluator<'a> {
    doc: &'a Document,
    budget: u64,
    /// Position of each node in document order, made when first needed for sorting.
    order: Option<HashMap<NodeId, u32>>,
}

impl<'a> Evaluator<'a> {
    pub(super) fn new(doc: &'a Document) -> Self {
        Evaluator { doc, budget: MAX_STEPS, order: None }
    }

    pub(super) fn run(&mut self, expression: &Expr) -> Result<Value, XPathError> {
        self.eval(expression, Context { node: Match::Document, position: 1, size: 1 })
    }

    fn spend(&mut self, steps: usize) -> Result<(), XPathError> {
        self.budget = self.budget.checked_sub(steps as u64).ok_or(XPathError::TooMuchWork)?;
        Ok(())
    }

    fn eval(&mut self, expression: &Expr, context: Context) -> Result<Value, XPathError> {
        self.spend(1)?;
        match expression {
            Expr::Binary(op, left, right) => self.binary(*op, left, right, context),
            Expr::Negate(inner) => Ok(Value::Number(-self.eval(inner, context)?.to_number(self.doc))),
            Expr::Literal(text) => Ok(Value::Text(text.clone())),
            Expr::Number(number) => Ok(Value::Number(*number)),
            Expr::Variable(name) => Err(XPathError::Variable(name.clone())),
            Expr::Call(name, arguments) => {
                let mut values = Vec::with_capacity(arguments.len());
                for argument in arguments {
                    values.push(self.eval(argument, context)?);
                }
                functions::call(self.doc, &context, name, &values)
            }
            Expr::Path { absolute, steps } => {
                let start = if *absolute { Match::Document } else { context.node };
                Ok(Value::Nodes(self.steps(vec![start], steps)?))
            }
            Expr::Filter { primary, predicates, steps } => {
                let Value::Nodes(mut nodes) = self.eval(primary, context)? else {
                    return Err(XPathError::NotNodes);
                };
                for predicate in predicates {
                    nodes = self.keep(nodes, predicate)?;
                }
                Ok(Value::Nodes(self.steps(nodes, steps)?))
            }
        }
    }

    fn binary(&mut self, op: Operator, left: &Expr, right: &Expr, at: Context) -> Result<Value, XPathError> {
        let left = self.eval(left, at)?;
        match op {
            Operator::Or if left.to_bool() => return Ok(Value::Bool(true)),
            Operator::And if !left.to_bool() => return Ok(Value::Bool(false)),
            _ => {}
        }
        let right = self.eval(right, at)?;
        let (a, b) = (&left, &right);
        let doc = self.doc;
        let number = |f: fn(f64, f64) -> f64| Value::Number(f(a.to_number(doc), b.to_number(doc)));
        Ok(match op {
            Operator::Or | Operator::And => Value::Bool(b.to_bool()),
            Operator::Add => number(|x, y| x + y),
            Operator::Subtract => number(|x, y| x - y),
            Operator::Multiply => number(|x, y| x * y),
            Operator::Divide => number(|x, y| x / y),
            Operator::Modulo => number(|x, y| x % y),
            Operator::Union => match (left, right) {
                (Value::Nodes(mut nodes), Value::Nodes(more)) => {
                    nodes.extend(more);
                    Value::Nodes(self.in_order(nodes))
                }
                _ => return Err(XPathError::NotNodes),
            },
            _ => {
                let pairs = |v: &Value| if let Value::Nodes(nodes) = v { nodes.len().max(1) } else { 1 };
                self.spend(pairs(a).saturating_mul(pairs(b)))?;
                Value::Bool(compare(doc, op, a, b))
            }
        })
    }

    fn steps(&mut self, mut nodes: Vec<Match>, steps: &[Step]) -> Result<Vec<Match>, XPathError> {
        for step in steps {
            let mut found = Vec::new();
            let several = nodes.len() > 1;
            for node in nodes {
                let mut candidates = self.axis(node, step)?;
                for predicate in &step.predicates {
                    candidates = self.keep(candidates, predicate)?;
                }
                if step.axis.is_reverse() {
                    candidates.reverse();
                }
                found.extend(candidates);
            }
            nodes = if several { self.in_order(found) } else { found };
        }
        Ok(nodes)
    }

    fn keep(&mut self, nodes: Vec<Match>, predicate: &Expr) -> Result<Vec<Match>, XPathError> {
        let size = nodes.len();
        let mut kept = Vec::new();
        for (index, node) in nodes.into_iter().enumerate() {
            let context = Context { node, position: index + 1, size };
            let holds = match self.eval(predicate, context)? {
                Value::Number(number) => number == context.position as f64,
                other => other.to_bool(),
            };
            if holds {
                kept.push(node);
            }
        }
        Ok(kept)
    }

    /// Nodes on an axis that pass the test, nearest first.
    fn axis(&mut self, from: Match, step: &Step) -> Result<Vec<Match>, XPathError> {
        if step.axis == Axis::Attribute {
            return self.attributes(from, &step.test);
        }
        let doc = self.doc;
        let mut found = Vec::new();
        let mut looked = 0usize;
        let mut take = |node: Match| {
            looked += 1;
            if passes(doc, node, &step.test) {
                found.push(node);
            }
        };
        match (step.axis, from) {
            (Axis::Itself, node) => take(node),
            (Axis::Parent, node) => parent(doc, node).into_iter().for_each(&mut take),
            (Axis::Child, Match::Document) => take(Match::Node(doc.root())),
            (Axis::Child, Match::Node(id)) => siblings(doc, doc.first_child(id), true).for_each(&mut take),
            (Axis::Descendant | Axis::DescendantOrSelf, node) => {
                if step.axis == Axis::DescendantOrSelf {
                    take(node);
                }
                subtree(doc, node).for_each(&mut take);
            }
            (Axis::Ancestor | Axis::AncestorOrSelf, node) => {
                let first = if step.axis == Axis::Ancestor { parent(doc, node) } else { Some(node) };
                std::iter::successors(first, |node| parent(doc, *node)).for_each(&mut take);
            }
            (Axis::FollowingSibling, Match::Node(id)) => {
                siblings(doc, doc.next_sibling(id), true).for_each(&mut take);
            }
            (Axis::PrecedingSibling, Match::Node(id)) => {
                siblings(doc, doc.prev_sibling(id), false).for_each(&mut take);
            }
            (Axis::Following | Axis::Preceding, Match::Node(id)) => {
                beside(doc, id, step.axis == Axis::Following).into_iter().for_each(&mut take);
            }
            _ => {}
        }
        self.spend(looked)?;
        Ok(found)
    }

    fn attributes(&mut self, from: Match, test: &Test) -> Result<Vec<Match>, XPathError> {
        let Match::Node(id) = from else { return Ok(Vec::new()) };
        let fits = |name: &str| match test {
            Test::Any | Test::Node => true,
            Test::Name(wanted) => wanted == name,
            Test::Prefix(prefix) => name.split_once(':').is_some_and(|(p, _)| p == prefix),
            _ => false,
        };
        let names = self.doc.attrs(id).enumerate();
        let found: Vec<Match> =
            names.filter(|(_, (name, _))| fits(name)).map(|(i, _)| Match::Attribute(id, i as u32)).collect();
        self.spend(found.len() + 1)?;
        Ok(found)
    }

    fn in_order(&mut self, mut nodes: Vec<Match>) -> Vec<Match> {
        let doc = self.doc;
        let order = self.order.get_or_insert_with(|| {
            let all = std::iter::successors(Some(doc.root()), |id| doc.next_in_order(doc.root(), *id));
            all.zip(1u32..).collect()
        });
        nodes.sort_by_key(|node| match node {
            Match::Document => (0, 0),
            Match::Node(id) => (order.get(id).copied().unwrap_or(0), 0),
            Match::Attribute(id, index) => (order.get(id).copied().unwrap_or(0), index + 1),
        });
        nodes.dedup();
        nodes
    }
}

fn passes(doc: &Document, node: Match, test: &Test) -> bool {
    let kind = match node {
        Match::Node(id) => Some(doc.kind(id)),
        _ => None,
    };
    match (test, node) {
        (Test::Node, _) => true,
        (Test::Any, _) => kind == Some(NodeKind::Element),
        (Test::Name(name), Match::Node(id)) => kind == Some(NodeKind::Element) && doc.name(id) == name,
        (Test::Prefix(prefix), Match::Node(id)) => {
            doc.name(id).split_once(':').is_some_and(|(p, _)| p == prefix)
        }
        (Test::Text, _) => kind == Some(NodeKind::Text),
        (Test::Comment, _) => kind == Some(NodeKind::Comment),
        _ => false,
    }
}

fn parent(doc: &Document, node: Match) -> Option<Match> {
    match node {
        Match::Document => None,
        Match::Attribute(id, _) => Some(Match::Node(id)),
        Match::Node(id) => Some(doc.parent(id).map_or(Match::Document, Match::Node)),
    }
}

fn siblings(doc: &Document, first: Option<NodeId>, forward: bool) -> impl Iterator<Item = Match> {
    let next = move |id: &NodeId| if forward { doc.next_sibling(*id) } else { doc.prev_sibling(*id) };
    std::iter::successors(first, next).map(Match::Node)
}

/// Everything below a node, in document order.
fn subtree(doc: &Document, node: Match) -> Box<dyn Iterator<Item = Match> + '_> {
    let (top, first) = match node {
        Match::Document => (doc.root(), Some(doc.root())),
        Match::Node(id) => (id, doc.first_child(id)),
        Match::Attribute(..) => return Box::new(std::iter::empty()),
    };
    Box::new(std::iter::successors(first, move |id| doc.next_in_order(top, *id)).map(Match::Node))
}

/// The following axis, or the preceding one from the nearest back.
fn beside(doc: &Document, id: NodeId, forward: bool) -> Vec<Match> {
    let mut found = Vec::new();
    for ancestor in std::iter::successors(Some(id), |id| doc.parent(*id)) {
        let first = if forward { doc.next_sibling(ancestor) } else { doc.prev_sibling(ancestor) };
        for sibling in siblings(doc, first, forward) {
            let mut part = vec![sibling];
            part.extend(subtree(doc, sibling));
            if !forward {
                part.reverse();
            }
            found.extend(part);
        }
    }
    found
}

fn compare(doc: &Document, op: Operator, left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Nodes(a), Value::Nodes(b)) => {
            let texts: Vec<String> = b.iter().map(|node| node.text(doc)).collect();
            a.iter().any(|node| {
                let text = node.text(doc);
                texts.iter().any(|other| match op {
                    Operator::Equal => text == *other,
                    Operator::NotEqual => text != *other,
                    _ => ordered(op, text_to_number(&text), text_to_number(other)),
                })
            })
        }
        (Value::Nodes(nodes), Value::Bool(_)) => pair(doc, op, &Value::Bool(!nodes.is_empty()), right),
        (Value::Bool(_), Value::Nodes(nodes)) => pair(doc, op, left, &Value::Bool(!nodes.is_empty())),
        (Value::Nodes(nodes), _) => nodes.iter().any(|n| pair(doc, op, &Value::Text(n.text(doc)), right)),
        (_, Value::Nodes(nodes)) => nodes.iter().any(|n| pair(doc, op, left, &Value::Text(n.text(doc)))),
        _ => pair(doc, op, left, right),
    }
}

fn pair(doc: &Document, op: Operator, left: &Value, right: &Value) -> bool {
    let negate = match op {
        Operator::Equal => false,
        Operator::NotEqual => true,
        _ => return ordered(op, left.to_number(doc), right.to_number(doc)),
    };
    let equal = match (left, right) {
        (Value::Bool(_), _) | (_, Value::Bool(_)) => left.to_bool() == right.to_bool(),
        (Value::Number(_), _) | (_, Value::Number(_)) => left.to_number(doc) == right.to_number(doc),
        _ => left.to_text(doc) == right.to_text(doc),
    };
    equal != negate
}

fn ordered(op: Operator, left: f64, right: f64) -> bool {
    match op {
        Operator::Less => left < right,
        Operator::LessEqual => left <= right,
        Operator::Greater => left > right,
        Operator::GreaterEqual => left >= right,
        _ => false,
    }
}
