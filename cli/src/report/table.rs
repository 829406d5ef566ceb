//! Plain text tables.

/// Columns of text, aligned when printed.
#[derive(Debug)]
pub(crate) struct Table {
    right: Vec<bool>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with these headings; one that starts with '>' aligns its column to the right.
    pub(crate) fn new(headings: &[&str]) -> Self {
        Self {
            right: headings.iter().map(|h| h.starts_with('>')).collect(),
            rows: vec![headings.iter().map(|h| h.trim_start_matches('>').to_owned()).collect()],
        }
    }

    /// Adds a row.
    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().collect());
    }

    /// As text, each line indented by two spaces.
    pub(crate) fn render(&self) -> String {
        self.render_at(2)
    }

    /// As text, indented by so many spaces.
    pub(crate) fn render_at(&self, indent: usize) -> String {
        let mut widths = vec![0usize; self.right.len()];
        for row in &self.rows {
            for (w, cell) in widths.iter_mut().zip(row) {
                *w = (*w).max(cell.chars().count());
            }
        }
        let mut out = String::new();
        for row in &self.rows {
            let mut line = " ".repeat(indent.saturating_sub(1));
            for ((cell, w), right) in row.iter().zip(&widths).zip(&self.right) {
                let pad = " ".repeat(w - cell.chars().count());
                let (before, after) = if *right { (pad, String::new()) } else { (String::new(), pad) };
                line.push_str(&format!(" {before}{cell}{after} "));
            }
            out.push_str(line.trim_end());
            out.push('\n');
        }
        out
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn columns_align() {
        let mut t = super::Table::new(&["name", ">n"]);
        t.row(["a".into(), "10".into()]);
        t.row(["böse".into(), "5".into()]);
        assert_eq!(t.render(), "  name   n\n  a     10\n  böse   5\n");
    }
}
