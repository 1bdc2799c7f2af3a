//! Tables for people: columns as wide as their widest cell, numbers to the right.

use super::{Style, safe};

/// A table being filled.
#[derive(Debug)]
pub struct Table {
    header: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// With these columns. A name that begins with `>` makes its column flush right.
    pub fn new(header: &[&str]) -> Table {
        Table { header: header.iter().map(|name| (*name).to_owned()).collect(), rows: Vec::new() }
    }

    /// Adds a row.
    pub fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells.iter().map(|cell| safe(cell)).collect());
    }

    /// Whether it has no rows.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The table as text.
    pub fn render(&self, colours: bool) -> String {
        let title = |column: usize| self.header[column].trim_start_matches('>');
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
            cells.chain([title(column).chars().count()]).max().unwrap_or(0)
        };
        let line = |cells: Vec<&str>| {
            let mut text = String::new();
            for (column, cell) in cells.iter().enumerate() {
                let padding = " ".repeat(width(column).saturating_sub(cell.chars().count()));
                match self.header[column].starts_with('>') {
                    true => text.extend([&padding, *cell]),
                    false => text.extend([*cell, padding.as_str()]),
                }
                text.push_str("  ");
            }
            text.trim_end().to_owned() + "\n"
        };
        let columns = 0..self.header.len();
        let header = line(columns.map(title).collect());
        let mut text = Style::Dim.paint(header.trim_end(), colours) + "\n";
        for row in &self.rows {
            text.push_str(&line(row.iter().map(String::as_str).collect()));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let mut table = Table::new(&["run", ">cost"]);
        table.row(vec!["support".into(), "$1.20".into()]);
        table.row(vec!["x\x1b[2J".into(), "$10.00".into()]);
        assert_eq!(table.render(false), "run        cost\nsupport   $1.20\nx [2J    $10.00\n");
    }
}
