//! Tables on stdout: columns apart by two blanks, no lines, numbers to the right.
use comfy_table::{CellAlignment, Table, presets};

/// A column: its heading, and whether it holds numbers.
pub type Column = (&'static str, bool);

/// The lines of a table, each ended by a line feed and without blanks before it.
pub fn render(columns: &[Column], rows: Vec<Vec<String>>) -> String {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING);
    table.set_header(columns.iter().map(|(name, _)| *name));
    for row in rows {
        table.add_row(row);
    }
    for (i, (_, number)) in columns.iter().enumerate() {
        if let Some(column) = table.column_mut(i) {
            column.set_padding((0, 2));
            column.set_cell_alignment(if *number { CellAlignment::Right } else { CellAlignment::Left });
        }
    }
    let mut text: String = table.lines().map(|line| format!("{}\n", line.trim_end())).collect();
    if text.is_empty() {
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stand_to_the_right_and_no_line_ends_in_blanks() {
        let rows = vec![vec!["a".into(), "1".into(), "x".into()], vec!["bcd".into(), "200".into(), String::new()]];
        let text = render(&[("NAME", false), ("N", true), ("LAST", false)], rows);
        assert_eq!(text, "NAME    N  LAST\na       1  x\nbcd   200\n");
    }
}
