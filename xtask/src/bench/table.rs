//! Measurements of both stacks, as a table with ratios.

use std::io;
use std::path::Path;

/// One line: what, and the values of each stack.
#[derive(Debug, Clone)]
pub struct Row {
    pub what: String,
    pub ours: Vec<f64>,
    pub theirs: Vec<f64>,
    /// A rate; else a time or a size.
    pub more_is_better: bool,
}

/// A table of one benchmark.
#[derive(Debug, Clone)]
pub struct Table {
    pub title: String,
    pub unit: &'static str,
    pub rows: Vec<Row>,
}

fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied()
}

fn show(values: &[f64]) -> String {
    let Some(middle) = median(values) else { return "–".into() };
    let least = values.iter().copied().fold(f64::INFINITY, f64::min);
    let most = values.iter().copied().fold(0.0, f64::max);
    if values.len() == 1 { format!("{middle:.1}") } else { format!("{middle:.1} ({least:.1}–{most:.1})") }
}

impl Row {
    /// One line of the table: median (least–most) of both, and how many times better ours is.
    pub fn text(&self) -> String {
        let ratio = match (median(&self.ours), median(&self.theirs)) {
            (Some(ours), Some(theirs)) if self.more_is_better && theirs > 0.0 => {
                format!("{:.1}×", ours / theirs)
            }
            (Some(ours), Some(theirs)) if ours > 0.0 => format!("{:.1}×", theirs / ours),
            _ => "–".into(),
        };
        format!("| {} | {} | {} | {ratio} |", self.what, show(&self.ours), show(&self.theirs))
    }
}

impl Table {
    /// As Markdown, a line for each row.
    pub fn text(&self) -> String {
        let mut text = format!("### {}\n\n", self.title);
        text.push_str(&format!("| {} | Relevo | reference | ratio |\n|---|---|---|---|\n", self.unit));
        for row in &self.rows {
            text.push_str(&row.text());
            text.push('\n');
        }
        text
    }

    /// Puts the table into the page, in place of the one of an earlier run.
    ///
    /// # Errors
    /// What the file system says.
    pub fn write_into(&self, page: &Path, name: &str) -> io::Result<()> {
        write_section(page, name, &self.text())
    }
}

/// Puts a text into the page, in place of the one of an earlier run.
///
/// # Errors
/// What the file system says.
pub fn write_section(page: &Path, name: &str, text: &str) -> io::Result<()> {
    let old = std::fs::read_to_string(page).unwrap_or_default();
    let (start, end) = (format!("<!-- {name} -->\n"), format!("<!-- end of {name} -->\n"));
    let section = format!("{start}{text}{end}");
    let new = match (old.find(&start), old.find(&end)) {
        (Some(from), Some(to)) if from < to => {
            format!("{}{section}{}", &old[..from], &old[to + end.len()..])
        }
        _ => format!("{old}\n{section}"),
    };
    std::fs::write(page, new)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_and_ratios() {
        let row =
            Row { what: "x".into(), ours: vec![3.0, 1.0, 2.0], theirs: vec![20.0], more_is_better: false };
        let table = Table { title: "T".into(), unit: "ms", rows: vec![row] };
        assert!(table.text().contains("| x | 2.0 (1.0–3.0) | 20.0 | 10.0× |"));
    }
}
