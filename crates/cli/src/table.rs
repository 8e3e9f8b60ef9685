//! Tables whose cells are broken into lines to fit the width.

use anstyle::Style;

use crate::page::{Page, visible};
use crate::screen::HEADING;

/// The space between columns.
const GAP: usize = 2;
/// Columns are not made narrower than this.
const NARROWEST: usize = 10;

/// A row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    /// The sign in front.
    pub(crate) sign: &'static str,
    /// The style.
    pub(crate) style: Style,
    /// The lines of each cell.
    pub(crate) cells: Vec<Vec<String>>,
}

/// Adds a table to `page`. Columns without content are left out.
pub(crate) fn table(page: &mut Page, indent: usize, columns: &[&str], rows: &[Row]) {
    let is_used = |index: &usize| rows.iter().any(|row| row.cells.get(*index).is_some_and(|cell| !cell.is_empty()));
    let used: Vec<_> = (0..columns.len()).filter(is_used).collect();
    let natural = |index: usize| {
        let cells = rows.iter().flat_map(|row| row.cells[index].iter().map(|line| visible(line)));
        cells.chain([visible(columns[index])]).max().unwrap_or_default()
    };
    let natural: Vec<_> = used.iter().map(|index| natural(*index)).collect();
    let room = page.width().saturating_sub(indent + 2 + GAP * used.len().saturating_sub(1));
    let widths = if page.is_broken() { fitting(natural, room) } else { natural };
    let line = |page: &mut Page, sign: &str, style: Style, parts: &[&str]| {
        let padded = parts.iter().zip(&widths).map(|(part, width)| format!("{part:width$}")).collect::<Vec<_>>();
        let line = padded.join(&" ".repeat(GAP));
        page.whole(&format!("{}{style}{sign:1} {}{style:#}", " ".repeat(indent), line.trim_end()));
    };
    line(page, "", HEADING, &used.iter().map(|index| columns[*index]).collect::<Vec<_>>());
    for Row { sign, style, cells } in rows {
        let broken = |(index, width): (&usize, &usize)| -> Vec<_> {
            cells[*index].iter().flat_map(|line| broken(line, *width)).collect()
        };
        let cells: Vec<Vec<String>> = used.iter().zip(&widths).map(broken).collect();
        for index in 0..cells.iter().map(Vec::len).max().unwrap_or_default() {
            let parts: Vec<_> = cells.iter().map(|cell| cell.get(index).map_or("", String::as_str)).collect();
            line(page, if index == 0 { sign } else { "" }, *style, &parts);
        }
    }
}

/// `widths` with the widest columns narrowed until all fit in `room`.
fn fitting(mut widths: Vec<usize>, room: usize) -> Vec<usize> {
    while widths.iter().sum::<usize>() > room {
        match widths.iter_mut().max() {
            Some(widest) if *widest > NARROWEST => *widest -= 1,
            _ => break,
        }
    }
    widths
}

/// `text` in parts of at most `width` characters, broken after separators where possible.
fn broken(text: &str, width: usize) -> Vec<String> {
    let mut rest: Vec<char> = text.chars().collect();
    let mut parts = Vec::new();
    while rest.len() > width {
        let is_separator = |letter: &char| matches!(letter, ' ' | ':' | '/' | ',' | '-' | '#' | '›');
        let at = rest[..width].iter().rposition(is_separator).map_or(width, |index| index + 1);
        parts.push(rest.drain(..at).collect());
    }
    parts.push(rest.into_iter().collect());
    parts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::screen::CREATE;

    #[test]
    fn cells_are_broken_and_complete() {
        let cell = |text: &str| text.split_whitespace().map(str::to_owned).collect();
        let cells = vec![
            cell("Allow"),
            cell("s3:GetObject s3:PutObject"),
            Vec::new(),
            cell("arn:aws:s3:::transactions-of-payments/*"),
        ];
        let rows = [Row { sign: "+", style: CREATE, cells }];
        let render = |width| {
            let mut page = Page::new(width);
            table(&mut page, 2, &["Effect", "Actions", "Principal", "Resources"], &rows);
            anstream::adapter::strip_str(&page.text()).to_string()
        };
        assert_eq!(
            render(Some(50)),
            "    Effect  Actions       Resources\n  + Allow   s3:GetObject  arn:aws:s3:::\n            s3:PutObject  transactions-of-\n                          payments/*\n"
        );
        assert!(render(None).contains("arn:aws:s3:::transactions-of-payments/*"));
    }
}
