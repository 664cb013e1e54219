//! Characters to tokens (XPath 1.0, section 3.7), with its rule for names that are also operators.

use super::XPathError;

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token {
    Name(String),
    Literal(String),
    Number(f64),
    Variable(String),
    Star,
    Multiply,
    /// `and`, `or`, `div`, `mod` in operator position.
    Word(&'static str),
    /// Any of `( ) [ ] . .. @ , :: / // | + - = != < <= > >=`.
    Punct(&'static str),
}

const PUNCTUATION: &[&str] = &[
    "..", "::", "//", "!=", "<=", ">=", "(", ")", "[", "]", ".", "@", ",", "/", "|", "+", "-", "=", "<", ">",
];

pub(super) fn syntax(text: &str, position: usize, message: &str) -> XPathError {
    XPathError::Syntax { expression: text.to_string(), position: position + 1, message: message.to_string() }
}

pub(super) fn tokens(text: &str) -> Result<Vec<(usize, Token)>, XPathError> {
    let chars: Vec<char> = text.chars().collect();
    let mut found: Vec<(usize, Token)> = Vec::new();
    let mut at = 0;
    while let Some(&c) = chars.get(at) {
        let start = at;
        if c.is_whitespace() {
            at += 1;
            continue;
        }
        let token = if c == '"' || c == '\'' {
            literal(text, &chars, &mut at)?
        } else if c.is_ascii_digit() || (c == '.' && chars.get(at + 1).is_some_and(char::is_ascii_digit)) {
            number(&chars, &mut at)
        } else if c == '$' {
            at += 1;
            match name(&chars, &mut at) {
                Some(variable) => Token::Variable(variable),
                None => return Err(syntax(text, start, "a name is expected after $")),
            }
        } else if c == '*' {
            at += 1;
            if operator_expected(&found) { Token::Multiply } else { Token::Star }
        } else if let Some(word) = name(&chars, &mut at) {
            operator_word(&word, &found).unwrap_or(Token::Name(word))
        } else {
            punctuation(&chars, &mut at).ok_or_else(|| syntax(text, start, "unexpected character"))?
        };
        found.push((start, token));
    }
    Ok(found)
}

fn operator_expected(found: &[(usize, Token)]) -> bool {
    match found.last() {
        None => false,
        Some((_, Token::Word(_) | Token::Multiply)) => false,
        Some((_, Token::Punct(p))) => matches!(*p, ")" | "]" | "." | ".."),
        Some(_) => true,
    }
}

fn operator_word(word: &str, found: &[(usize, Token)]) -> Option<Token> {
    let known = ["and", "or", "div", "mod"].into_iter().find(|w| *w == word)?;
    operator_expected(found).then_some(Token::Word(known))
}

fn literal(text: &str, chars: &[char], at: &mut usize) -> Result<Token, XPathError> {
    let (start, quote) = (*at, chars[*at]);
    let length = chars[start + 1..].iter().position(|c| *c == quote);
    let length = length.ok_or_else(|| syntax(text, start, "this quote is not closed"))?;
    *at = start + length + 2;
    Ok(Token::Literal(chars[start + 1..start + 1 + length].iter().collect()))
}

fn number(chars: &[char], at: &mut usize) -> Token {
    let start = *at;
    let mut dots = 0;
    while let Some(c) = chars.get(*at) {
        match c {
            '.' if dots == 0 => dots = 1,
            c if c.is_ascii_digit() => {}
            _ => break,
        }
        *at += 1;
    }
    let digits: String = chars[start..*at].iter().collect();
    Token::Number(digits.parse().unwrap_or(f64::NAN))
}

/// A qualified name, or `prefix:*` (without swallowing the `::` of an axis).
fn name(chars: &[char], at: &mut usize) -> Option<String> {
    let starts = |c: char| c.is_alphabetic() || c == '_';
    let inside = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '\u{b7}');
    if !starts(*chars.get(*at)?) {
        return None;
    }
    let mut word = String::new();
    while let Some(&c) = chars.get(*at).filter(|c| inside(**c)) {
        word.push(c);
        *at += 1;
    }
    if chars.get(*at) == Some(&':') {
        match chars.get(*at + 1) {
            Some('*') => {
                *at += 2;
                word.push_str(":*");
            }
            Some(&c) if starts(c) => {
                word.push(':');
                *at += 1;
                while let Some(&c) = chars.get(*at).filter(|c| inside(**c)) {
                    word.push(c);
                    *at += 1;
                }
            }
            _ => {}
        }
    }
    Some(word)
}

fn punctuation(chars: &[char], at: &mut usize) -> Option<Token> {
    let found = PUNCTUATION
        .iter()
        .find(|p| p.chars().enumerate().all(|(offset, c)| chars.get(*at + offset) == Some(&c)))?;
    *at += found.len();
    Some(Token::Punct(found))
}
