//! Tokens to a syntax tree: precedence climbing over the grammar of XPath 1.0, section 3.

use super::ast::{Axis, Expr, Operator, Step, Test};
use super::lexer::{Token, syntax, tokens};
use super::{MAX_NESTING, MAX_OPERATORS, XPathError};

pub(super) fn parse(text: &str) -> Result<Expr, XPathError> {
    let mut parser = Parser { text, tokens: tokens(text)?, at: 0, depth: 0, operators: 0 };
    let expression = parser.expression(0)?;
    match parser.peek() {
        None => Ok(expression),
        Some(_) => Err(parser.fail("this is not expected here")),
    }
}

struct Parser<'a> {
    text: &'a str,
    tokens: Vec<(usize, Token)>,
    at: usize,
    depth: usize,
    operators: usize,
}

/// Operators by precedence, lowest first.
fn operator(token: &Token) -> Option<(u8, Operator)> {
    Some(match token {
        Token::Word("or") => (1, Operator::Or),
        Token::Word("and") => (2, Operator::And),
        Token::Punct("=") => (3, Operator::Equal),
        Token::Punct("!=") => (3, Operator::NotEqual),
        Token::Punct("<") => (4, Operator::Less),
        Token::Punct("<=") => (4, Operator::LessEqual),
        Token::Punct(">") => (4, Operator::Greater),
        Token::Punct(">=") => (4, Operator::GreaterEqual),
        Token::Punct("+") => (5, Operator::Add),
        Token::Punct("-") => (5, Operator::Subtract),
        Token::Multiply => (6, Operator::Multiply),
        Token::Word("div") => (6, Operator::Divide),
        Token::Word("mod") => (6, Operator::Modulo),
        Token::Punct("|") => (8, Operator::Union),
        _ => return None,
    })
}

const UNARY_MINUS: u8 = 7;

impl Parser<'_> {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at).map(|(_, token)| token)
    }

    fn next(&mut self) -> Option<Token> {
        let token = self.tokens.get(self.at).map(|(_, token)| token.clone());
        self.at += 1;
        token
    }

    fn take(&mut self, punct: &str) -> bool {
        let found = matches!(self.peek(), Some(Token::Punct(p)) if *p == punct);
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, punct: &str) -> Result<(), XPathError> {
        if self.take(punct) { Ok(()) } else { Err(self.fail(&format!("'{punct}' is expected"))) }
    }

    fn fail(&self, message: &str) -> XPathError {
        let end = self.text.chars().count();
        syntax(self.text, self.tokens.get(self.at).map_or(end, |(position, _)| *position), message)
    }

    fn expression(&mut self, floor: u8) -> Result<Expr, XPathError> {
        self.depth += 1;
        if self.depth > MAX_NESTING {
            return Err(XPathError::TooComplex);
        }
        let mut left = self.unary()?;
        while let Some((level, op)) = self.peek().and_then(operator) {
            if level <= floor {
                break;
            }
            self.at += 1;
            self.operators += 1;
            if self.operators > MAX_OPERATORS {
                return Err(XPathError::TooComplex);
            }
            let right = self.expression(level)?;
            left = Expr::Binary(op, Box::new(left), Box::new(right));
        }
        self.depth -= 1;
        Ok(left)
    }

    fn unary(&mut self) -> Result<Expr, XPathError> {
        if self.take("-") {
            return Ok(Expr::Negate(Box::new(self.expression(UNARY_MINUS)?)));
        }
        self.path()
    }

    fn path(&mut self) -> Result<Expr, XPathError> {
        if self.starts_primary() {
            return self.filter();
        }
        let mut steps = Vec::new();
        if self.take("//") {
            steps.push(any_descendant());
            steps.push(self.step()?);
        } else if self.take("/") {
            if !self.starts_step() {
                return Ok(Expr::Path { absolute: true, steps });
            }
            steps.push(self.step()?);
        } else {
            steps.push(self.step()?);
            self.more_steps(&mut steps)?;
            return Ok(Expr::Path { absolute: false, steps });
        }
        self.more_steps(&mut steps)?;
        Ok(Expr::Path { absolute: true, steps })
    }

    fn more_steps(&mut self, steps: &mut Vec<Step>) -> Result<(), XPathError> {
        loop {
            if self.take("//") {
                steps.push(any_descendant());
            } else if !self.take("/") {
                return Ok(());
            }
            steps.push(self.step()?);
        }
    }

    fn starts_primary(&self) -> bool {
        match self.peek() {
            Some(Token::Literal(_) | Token::Number(_) | Token::Variable(_) | Token::Punct("(")) => true,
            Some(Token::Name(name)) => {
                let called = matches!(self.tokens.get(self.at + 1), Some((_, Token::Punct("("))));
                called && node_type(name).is_none()
            }
            _ => false,
        }
    }

    fn starts_step(&self) -> bool {
        matches!(self.peek(), Some(Token::Name(_) | Token::Star | Token::Punct("." | ".." | "@")))
    }

    fn filter(&mut self) -> Result<Expr, XPathError> {
        let primary = match self.next() {
            Some(Token::Literal(text)) => Expr::Literal(text),
            Some(Token::Number(number)) => Expr::Number(number),
            Some(Token::Variable(name)) => Expr::Variable(name),
            Some(Token::Name(name)) => self.call(name)?,
            _ => {
                let inner = self.expression(0)?;
                self.expect(")")?;
                inner
            }
        };
        let predicates = self.predicates()?;
        let mut steps = Vec::new();
        self.more_steps(&mut steps)?;
        if predicates.is_empty() && steps.is_empty() {
            return Ok(primary);
        }
        Ok(Expr::Filter { primary: Box::new(primary), predicates, steps })
    }

    fn call(&mut self, name: String) -> Result<Expr, XPathError> {
        self.expect("(")?;
        let mut arguments = Vec::new();
        if !self.take(")") {
            loop {
                arguments.push(self.expression(0)?);
                if self.take(")") {
                    break;
                }
                self.expect(",")?;
            }
        }
        Ok(Expr::Call(name, arguments))
    }

    fn step(&mut self) -> Result<Step, XPathError> {
        if self.take(".") {
            return Ok(Step { axis: Axis::Itself, test: Test::Node, predicates: Vec::new() });
        }
        if self.take("..") {
            return Ok(Step { axis: Axis::Parent, test: Test::Node, predicates: Vec::new() });
        }
        let axis = if self.take("@") {
            Axis::Attribute
        } else if let (Some(Token::Name(name)), Some((_, Token::Punct("::")))) =
            (self.peek(), self.tokens.get(self.at + 1))
        {
            let axis = Axis::from_name(name).ok_or_else(|| self.fail("there is no such axis"))?;
            self.at += 2;
            axis
        } else {
            Axis::Child
        };
        let test = self.node_test()?;
        Ok(Step { axis, test, predicates: self.predicates()? })
    }

    fn node_test(&mut self) -> Result<Test, XPathError> {
        match self.peek().cloned() {
            Some(Token::Star) => {
                self.at += 1;
                Ok(Test::Any)
            }
            Some(Token::Name(name)) => {
                self.at += 1;
                if let Some(test) = node_type(&name).filter(|_| self.take("(")) {
                    if test == Test::Instruction && matches!(self.peek(), Some(Token::Literal(_))) {
                        self.at += 1;
                    }
                    self.expect(")")?;
                    return Ok(test);
                }
                Ok(match name.strip_suffix(":*") {
                    Some(prefix) => Test::Prefix(prefix.to_string()),
                    None => Test::Name(name),
                })
            }
            _ => Err(self.fail("a name, '*' or '@' is expected")),
        }
    }

    fn predicates(&mut self) -> Result<Vec<Expr>, XPathError> {
        let mut found = Vec::new();
        while self.take("[") {
            found.push(self.expression(0)?);
            self.expect("]")?;
        }
        Ok(found)
    }
}

fn node_type(name: &str) -> Option<Test> {
    Some(match name {
        "node" => Test::Node,
        "text" => Test::Text,
        "comment" => Test::Comment,
        "processing-instruction" => Test::Instruction,
        _ => return None,
    })
}

fn any_descendant() -> Step {
    Step { axis: Axis::DescendantOrSelf, test: Test::Node, predicates: Vec::new() }
}
