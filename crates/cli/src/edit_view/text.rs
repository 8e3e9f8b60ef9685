//! Differences of texts: of several lines by line, all others by word or, for ARNs, by segment.

use std::ops::Range;

use anstyle::Style;
use serde_json::Value;
use similar::{Algorithm, DiffOp, capture_diff_slices};

use super::{INSIDE, View};
use crate::screen::{CREATE, DELETE, DIM};
use crate::value_view;

/// The characters that are shown on each side of what is left out.
const AROUND: usize = 16;

impl View<'_> {
    /// A text that differs.
    pub(super) fn text(&mut self, indent: usize, label: &str, old: &str, new: &str, why: &str) {
        if old.contains('\n') || new.contains('\n') {
            self.head(indent, label, why);
            return self.lines(indent + INSIDE, old, new);
        }
        let quoted = |text: &str| value_view::text(&Value::from(text));
        if self.page.fits(indent, &super::one_line(label, &quoted(old), &quoted(new), why)) {
            return self.sides(indent, label, &quoted(old), &quoted(new), why);
        }
        self.head(indent, label, why);
        self.words(indent + INSIDE, old, new);
    }

    /// Two texts of several lines: the lines that differ, with one line around them.
    fn lines(&mut self, indent: usize, old: &str, new: &str) {
        let (old, new): (Vec<_>, Vec<_>) = (old.split('\n').collect(), new.split('\n').collect());
        let operations = capture_diff_slices(Algorithm::Myers, &old, &new);
        for (index, operation) in operations.iter().enumerate() {
            let (was, is) = (&old[operation.old_range()], &new[operation.new_range()]);
            match operation {
                DiffOp::Equal { .. } => self.around(indent, was, index == 0, index + 1 == operations.len()),
                DiffOp::Replace { .. } if was.len() == is.len() => {
                    was.iter().zip(is).for_each(|(was, is)| self.words(indent, was, is));
                }
                _ => {
                    for line in was {
                        self.side(indent, "- ", DELETE, line);
                    }
                    for line in is {
                        self.side(indent, "+ ", CREATE, line);
                    }
                }
            }
        }
    }

    fn side(&mut self, indent: usize, sign: &str, style: Style, line: &str) {
        self.page.line(indent, &format!("{style}{sign}{}{style:#}", printable(line)));
    }

    /// Lines that do not differ: only those beside lines that do.
    fn around(&mut self, indent: usize, lines: &[&str], is_first: bool, is_last: bool) {
        let (head, tail) = (usize::from(!is_first), usize::from(!is_last));
        let mut line = |line: &str| self.page.line(indent, &format!("{DIM}  {}{DIM:#}", printable(line)));
        if lines.len() <= head + tail {
            return lines.iter().for_each(|it| line(it));
        }
        lines[..head].iter().for_each(|it| line(it));
        line("…");
        lines[lines.len() - tail..].iter().for_each(|it| line(it));
    }

    /// Two lines that differ. What they share is shortened if they are long; what differs is emphasised.
    fn words(&mut self, indent: usize, old: &str, new: &str) {
        let (old, new) = (tokens(old), tokens(new));
        let operations = capture_diff_slices(Algorithm::Myers, &old, &new);
        let room = self.page.width().saturating_sub(indent + 2);
        let is_long =
            [&old, &new].into_iter().any(|side| side.iter().map(|it| it.chars().count()).sum::<usize>() > room);
        let old = line(&operations, &old, DiffOp::old_range, DELETE, is_long);
        let new = line(&operations, &new, DiffOp::new_range, CREATE, is_long);
        self.page.line(indent, &format!("{DELETE}-{DELETE:#} {old}"));
        self.page.line(indent, &format!("{CREATE}+{CREATE:#} {new}"));
    }
}

/// One side of `operations`.
fn line(
    operations: &[DiffOp],
    tokens: &[&str],
    range: impl Fn(&DiffOp) -> Range<usize>,
    style: Style,
    is_long: bool,
) -> String {
    let part = |(index, operation): (usize, &DiffOp)| {
        let part = tokens[range(operation)].concat();
        match operation {
            DiffOp::Equal { .. } if is_long => shortened(&part, index == 0, index + 1 == operations.len()),
            DiffOp::Equal { .. } => printable(&part),
            _ if part.is_empty() => String::new(),
            _ => format!("{style}{}{style:#}", printable(&part)),
        }
    };
    operations.iter().enumerate().map(part).collect()
}

/// What both sides share, without its middle; at an end of the line, only the side of what differs.
fn shortened(part: &str, is_first: bool, is_last: bool) -> String {
    let letters: Vec<_> = part.chars().collect();
    let (head, tail) = (if is_first { 0 } else { AROUND }, if is_last { 0 } else { AROUND });
    if letters.len() <= head + tail + 1 {
        return printable(part);
    }
    let side = |letters: &[char]| printable(&letters.iter().collect::<String>());
    format!("{}{DIM}…{DIM:#}{}", side(&letters[..head]), side(&letters[letters.len() - tail..]))
}

/// The parts by which a text is compared: words, and segments of ARNs, paths and names.
pub(crate) fn tokens(text: &str) -> Vec<&str> {
    text.split_inclusive(|letter: char| !letter.is_alphanumeric() && letter != '_').collect()
}

/// `text` without characters that control a terminal.
pub(super) fn printable(text: &str) -> String {
    let letter = |letter: char| match letter {
        '\t' => "\\t".to_owned(),
        letter if letter.is_control() => letter.escape_debug().to_string(),
        letter => letter.to_string(),
    };
    text.chars().map(letter).collect()
}
