//! Output as a tree of lists, and how it looks as text and as HTML.

/// One entry of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item {
    /// A line by itself.
    Line(String),
    /// A line as it is: no bullet, no indentation.
    Raw(String),
    /// A list within; without a title only the indentation grows.
    List(Option<String>, Vec<Item>),
    /// An empty line.
    Space,
}

impl Item {
    pub fn line(text: impl Into<String>) -> Item {
        Item::Line(text.into())
    }

    pub fn list(title: impl Into<String>, items: Vec<Item>) -> Item {
        Item::List(Some(title.into()), items)
    }
}

/// As the tools print it on a terminal: two columns and a bullet for each level.
pub fn text(items: &[Item]) -> String {
    let mut out = String::new();
    write_text(items, 0, &mut out);
    out
}

fn write_text(items: &[Item], level: usize, out: &mut String) {
    let start = match level {
        0 => String::new(),
        level => format!("{}* ", "  ".repeat(level)),
    };
    for item in items {
        match item {
            Item::Line(line) => *out += &format!("{start}{line}\n"),
            Item::Raw(line) => *out += &format!("{line}\n"),
            Item::Space => out.push('\n'),
            Item::List(title, items) => {
                if let Some(title) = title {
                    *out += &format!("{start}{title}:\n");
                }
                write_text(items, level + 1, out);
            }
        }
    }
}

/// The page's look: the classes that the reference uses, without its JavaScript.
const STYLE: &str = "body{font-family:sans-serif}.bold{font-weight:bold}\
.online{color:green}.offline{color:red}.maint{color:blue}.standby{color:orange}";

/// As one web page.
pub fn html(title: &str, items: &[Item]) -> String {
    let title = escape(title);
    let mut out = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<title>{title}</title>\n<meta charset=\"utf-8\">\n\
         <style>{STYLE}</style>\n</head>\n<body>\n"
    );
    write_html(items, 0, &mut out);
    out + "</body>\n</html>\n"
}

fn write_html(items: &[Item], level: usize, out: &mut String) {
    for item in items {
        match item {
            Item::Line(line) if level > 0 => *out += &format!("<li><span>{}</span></li>\n", escape(line)),
            Item::Line(line) | Item::Raw(line) => *out += &format!("<p>{}</p>\n", escape(line)),
            Item::Space => {}
            Item::List(title, items) => {
                let (before, after) = if level == 0 { ("<h2>", "</h2>") } else { ("<li>", "</li>") };
                if let Some(title) = title {
                    *out += &format!("{before}{}{after}\n", escape(title));
                }
                *out += "<ul>\n";
                write_html(items, level + 1, out);
                *out += "</ul>\n";
            }
        }
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_indented() {
        let tree = [Item::list("A", vec![Item::line("b"), Item::list("c", vec![Item::line("d")])])];
        assert_eq!(text(&tree), "A:\n  * b\n  * c:\n    * d\n");
    }

    #[test]
    fn html_escapes() {
        assert!(html("t", &[Item::line("<x>")]).contains("&lt;x&gt;"));
    }
}
