//! Tables for people: columns as wide as their widest cell, numbers to the right.

use super::{Style, cut, safe};

/// In which style the cells of a column are.
type Styled = (usize, fn(&str) -> Style);

/// A table being filled.
#[derive(Debug)]
pub struct Table {
    header: Vec<String>,
    rows: Vec<Vec<String>>,
    styles: Vec<Styled>,
}

impl Table {
    /// With these columns. A name that begins with `>` makes its column flush right.
    pub fn new(header: &[&str]) -> Table {
        Table { header: header.iter().map(|name| (*name).to_owned()).collect(), rows: Vec::new(), styles: Vec::new() }
    }

    /// Adds a row.
    pub fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells.iter().map(|cell| safe(cell)).collect());
    }

    /// Has the cells of a column in a style each.
    pub fn style(&mut self, column: &str, style: fn(&str) -> Style) {
        self.styles.extend(self.column(column).map(|column| (column, style)));
    }

    /// Leaves a column out.
    pub fn without(&mut self, column: &str) {
        let Some(at) = self.column(column) else { return };
        self.header.remove(at);
        self.rows.iter_mut().for_each(|row| drop(row.remove(at)));
        self.styles.retain(|(column, _)| *column != at);
        self.styles.iter_mut().filter(|(column, _)| *column > at).for_each(|(column, _)| *column -= 1);
    }

    /// Cuts the cells of a column where the table is wider than `width`, but not below `least`.
    pub fn cut(&mut self, column: &str, least: usize, width: usize) {
        let Some(at) = self.column(column) else { return };
        let room = self.width_of(at).saturating_sub(self.width().saturating_sub(width)).max(least);
        self.rows.iter_mut().for_each(|row| row[at] = cut(&row[at], room));
    }

    /// How wide its lines are.
    pub fn width(&self) -> usize {
        (0..self.header.len()).map(|column| self.width_of(column) + 2).sum::<usize>().saturating_sub(2)
    }

    fn column(&self, name: &str) -> Option<usize> {
        self.header.iter().position(|known| known.trim_start_matches('>') == name)
    }

    fn width_of(&self, column: usize) -> usize {
        let title = self.header[column].trim_start_matches('>');
        let cells = self.rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
        cells.chain([title.chars().count()]).max().unwrap_or(0)
    }

    /// Whether it has no rows.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The table as text.
    pub fn render(&self, colours: bool) -> String {
        let title = |column: usize| self.header[column].trim_start_matches('>');
        let widths: Vec<usize> = (0..self.header.len()).map(|column| self.width_of(column)).collect();
        let line = |cells: Vec<&str>, styles: &[Styled]| {
            let mut text = String::new();
            for (column, cell) in cells.iter().enumerate() {
                let padding = " ".repeat(widths[column].saturating_sub(cell.chars().count()));
                let style = styles.iter().find(|(styled, _)| *styled == column);
                let cell = style.map_or((*cell).to_owned(), |(_, style)| style(cell).paint(cell, colours));
                match self.header[column].starts_with('>') {
                    true => text.extend([padding.as_str(), cell.as_str()]),
                    false => text.extend([cell.as_str(), padding.as_str()]),
                }
                text.push_str("  ");
            }
            text.trim_end().to_owned() + "\n"
        };
        let columns = 0..self.header.len();
        let header = line(columns.map(title).collect(), &[]);
        let mut text = Style::Dim.paint(header.trim_end(), colours) + "\n";
        for row in &self.rows {
            text.push_str(&line(row.iter().map(String::as_str).collect(), &self.styles));
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

    #[test]
    fn what_has_no_room_is_cut_or_left_out() {
        let mut table = Table::new(&["run", "agents", ">cost"]);
        table.style("cost", |_| Style::Red);
        table.row(vec!["support".into(), "planner, writer".into(), "$1".into()]);
        assert_eq!(table.width(), 30);
        table.cut("agents", 6, 24);
        assert_eq!(table.render(false), "run      agents     cost\nsupport  planner,…    $1\n");
        table.cut("agents", 6, 10);
        assert_eq!(table.width(), 21);
        table.without("agents");
        assert!(table.render(true).ends_with("support    \x1b[31m$1\x1b[0m\n"));
    }
}
