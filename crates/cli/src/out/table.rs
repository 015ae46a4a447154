//! Columns of text under headings, made to fit the line: one column gives way when it gets too long.

use super::{columns, style};

const GAP: &str = "  ";

pub(crate) struct Table {
    headings: Vec<&'static str>,
    /// Which column is cut when the line is too long.
    gives_way: usize,
    right: Vec<usize>,
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(crate) fn new(headings: &[&'static str]) -> Self {
        Self {
            headings: headings.to_vec(),
            gives_way: headings.len().saturating_sub(1),
            right: Vec::new(),
            rows: Vec::new(),
        }
    }

    pub(crate) fn gives_way(mut self, column: usize) -> Self {
        self.gives_way = column;
        self
    }

    /// What stands in it is copied from: nothing is cut.
    pub(crate) fn whole(self) -> Self {
        self.gives_way(usize::MAX)
    }

    /// These columns hold numbers.
    pub(crate) fn right(mut self, columns: &[usize]) -> Self {
        self.right = columns.to_vec();
        self
    }

    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        let one_line = |cell: String| style::plain(&cell).replace(['\n', '\t'], " ");
        self.rows.push(cells.into_iter().map(one_line).collect());
    }

    pub(crate) fn render(&self) -> String {
        self.render_within(columns())
    }

    fn render_within(&self, columns: usize) -> String {
        let mut widths: Vec<usize> = self.headings.iter().map(|heading| heading.len()).collect();
        for row in &self.rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.chars().count());
            }
        }
        let whole = widths.iter().sum::<usize>() + GAP.len() * widths.len().saturating_sub(1);
        if let Some(width) = widths.get_mut(self.gives_way) {
            let least = self.headings[self.gives_way].len().max(8);
            *width = width
                .saturating_sub(whole.saturating_sub(columns))
                .max(least.min(*width));
        }
        let headings: Vec<String> = self
            .headings
            .iter()
            .map(|heading| (*heading).to_owned())
            .collect();
        let lines = std::iter::once(&headings).chain(&self.rows);
        lines
            .map(|row| self.line(row, &widths))
            .collect::<Vec<_>>()
            .join("\n")
    }

    fn line(&self, row: &[String], widths: &[usize]) -> String {
        let cells = row
            .iter()
            .zip(widths)
            .enumerate()
            .map(|(column, (cell, &width))| {
                let cell = cut(cell, width);
                if self.right.contains(&column) {
                    format!("{cell:>width$}")
                } else {
                    format!("{cell:<width$}")
                }
            });
        cells.collect::<Vec<_>>().join(GAP).trim_end().to_owned()
    }
}

/// At most so many characters, with a sign when some are missing.
pub(crate) fn cut(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let kept: String = text.chars().take(most.saturating_sub(1)).collect();
    format!("{}…", kept.trim_end())
}

/// Breaks text at spaces so that each line, with its indent, fits. A longer word stands alone.
pub(crate) fn wrap(text: &str, columns: usize, indent: &str) -> String {
    let mut out = String::new();
    let mut width = 0;
    for word in text.split_whitespace() {
        let length = word.chars().count();
        if width > 0 && indent.len() + width + 1 + length > columns {
            out.push('\n');
            width = 0;
        }
        out.push_str(if width == 0 { indent } else { " " });
        out.push_str(word);
        width += length + usize::from(width > 0);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_cut_that_is_copied_from() {
        let mut table = Table::new(&["TYPE", "VALUE"]).whole();
        table.row(["TXT".to_owned(), "x".repeat(90)]);
        assert!(table.render_within(40).contains(&"x".repeat(90)));
    }

    #[test]
    fn the_long_column_gives_way_and_numbers_stand_right() {
        let mut table = Table::new(&["NAME", "STATE", "AGE"]).gives_way(1).right(&[2]);
        table.row([
            "scout".to_owned(),
            "starting: preparing image openclaw 43 %".to_owned(),
            "5s".to_owned(),
        ]);
        table.row(["a".to_owned(), "running".to_owned(), "12m".to_owned()]);
        insta::assert_snapshot!(table.render_within(40), @r"
        NAME   STATE                         AGE
        scout  starting: preparing image o…   5s
        a      running                       12m
        ");
    }

    #[test]
    fn long_text_is_broken_at_spaces() {
        assert_eq!(wrap("one two three", 9, "  "), "  one two\n  three");
        assert_eq!(wrap("a overlong-word b", 6, ""), "a\noverlong-word\nb");
    }
}
