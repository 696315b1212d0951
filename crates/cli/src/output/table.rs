//! Tables that are as wide as a terminal at most.

use console::{measure_text_width, truncate_str};

use super::style::{self, Paint};

const GAP: &str = "  ";
/// Values shorter than this are not cut.
const CUT_TO_MIN: usize = 12;

/// How wide each column is.
#[derive(Debug, PartialEq, Eq)]
pub struct Layout {
    widths: Vec<usize>,
    /// Columns at the end for which there is no room.
    pub left_out: usize,
}

impl Layout {
    /// A layout for these rows that is at most `room` wide, as far as the first column lets it.
    pub fn new(heads: &[String], rows: &[Vec<String>], room: Option<usize>) -> Self {
        let width = |n: usize| {
            let cells = rows.iter().filter_map(|row| row.get(n)).chain(heads.get(n));
            cells.map(|cell| measure_text_width(cell)).max().unwrap_or(0)
        };
        let mut widths: Vec<usize> = (0..heads.len()).map(width).collect();
        let Some(room) = room else {
            return Self { widths, left_out: 0 };
        };
        let floor = |(head, width): (&String, &usize)| {
            if is_whole(head) { *width } else { CUT_TO_MIN.min(*width) }
        };
        let floors: Vec<usize> = heads.iter().zip(&widths).map(floor).collect();
        let fitting = (1..=heads.len()).rev();
        let fitting = fitting.clone().find(|n| total(floors.get(..*n).unwrap_or_default()) <= room);
        let fitting = fitting.unwrap_or(1);
        widths.truncate(fitting);
        while total(&widths) > room {
            let over = widths.iter_mut().zip(&floors).filter(|(width, floor)| **width > **floor);
            match over.map(|(width, _)| width).max() {
                Some(widest) => *widest -= 1,
                None => break,
            }
        }
        Self { widths, left_out: heads.len() - fitting }
    }

    /// The table's lines, the heading first.
    pub fn lines(&self, heads: &[String], rows: &[Vec<String>]) -> Vec<String> {
        let head = self.line(heads, |text| style::on_stdout(text, Paint::Head));
        let rows = rows.iter().map(|row| self.line(row, style::on_stdout_if_telling));
        std::iter::once(head).chain(rows).collect()
    }

    fn line(&self, cells: &[String], painted: impl Fn(&str) -> String) -> String {
        let mut line = String::new();
        let last = self.widths.len().saturating_sub(1);
        for (n, (cell, width)) in cells.iter().zip(&self.widths).enumerate() {
            let cell = cell.replace(['\n', '\t'], " ");
            let cut = truncate_str(&cell, *width, "…");
            let rest = width.saturating_sub(measure_text_width(&cut));
            line.push_str(&painted(&cut));
            if n < last {
                line.push_str(&" ".repeat(rest));
                line.push_str(GAP);
            }
        }
        line.trim_end().to_owned()
    }
}

/// What is copied from a table, or means nothing when it is cut.
fn is_whole(head: &str) -> bool {
    matches!(head, "ID" | "AT") || head.ends_with("_AT")
}

fn total(widths: &[usize]) -> usize {
    widths.iter().sum::<usize>() + GAP.len() * widths.len().saturating_sub(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "ep_019aa0c4d5e07f3ab1c2d3e4f5a6b7c8";

    fn cells(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|text| (*text).to_owned()).collect()
    }

    #[track_caller]
    fn check(room: Option<usize>, expected: &[&str], left_out: usize) {
        let heads = cells(&["ID", "STATUS", "URL", "NAME"]);
        let long = "https://a.example/a/path/that/is/long/enough/to/be/cut";
        let rows = [cells(&[ID, "success", long, "käse"]), cells(&[ID, "-", "-", "line\nfeed"])];
        let layout = Layout::new(&heads, &rows, room);
        assert_eq!(layout.lines(&heads, &rows), expected);
        assert_eq!(layout.left_out, left_out);
        let widest = expected.iter().map(|line| measure_text_width(line)).max();
        assert!(room.is_none_or(|room| widest <= Some(room.max(ID.len()))));
    }

    #[test]
    fn it_fits() {
        check(
            None,
            &[
                "ID                                   STATUS   URL                                                     NAME",
                "ep_019aa0c4d5e07f3ab1c2d3e4f5a6b7c8  success  https://a.example/a/path/that/is/long/enough/to/be/cut  käse",
                "ep_019aa0c4d5e07f3ab1c2d3e4f5a6b7c8  -        -                                                       line feed",
            ],
            0,
        );
        check(
            Some(80),
            &[
                "ID                                   STATUS   URL                      NAME",
                "ep_019aa0c4d5e07f3ab1c2d3e4f5a6b7c8  success  https://a.example/a/pa…  käse",
                "ep_019aa0c4d5e07f3ab1c2d3e4f5a6b7c8  -        -                        line feed",
            ],
            0,
        );
        check(
            Some(60),
            &[
                "ID                                   STATUS   URL",
                "ep_019aa0c4d5e07f3ab1c2d3e4f5a6b7c8  success  https://a.exa…",
                "ep_019aa0c4d5e07f3ab1c2d3e4f5a6b7c8  -        -",
            ],
            1,
        );
        check(Some(10), &["ID", ID, ID], 3);
    }
}
