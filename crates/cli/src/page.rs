//! Text whose lines fit the width of the terminal.

/// The width for decisions about the layout where there is no terminal.
const USUAL: usize = 120;
/// Narrower terminals are not supported.
const NARROWEST: usize = 40;
/// The additional indentation of a line that continues the one above.
const HANGING: usize = 4;

/// Lines that are broken at spaces. Without a width they are not broken: another program may read them.
#[derive(Debug)]
pub(crate) struct Page {
    width: Option<usize>,
    text: String,
}

impl Page {
    /// An empty page.
    pub(crate) fn new(width: Option<usize>) -> Self {
        Self { width: width.map(|width| width.max(NARROWEST)), text: String::new() }
    }

    /// The width that a layout should use.
    pub(crate) fn width(&self) -> usize {
        self.width.unwrap_or(USUAL)
    }

    /// Whether lines are broken to fit the width.
    pub(crate) fn is_broken(&self) -> bool {
        self.width.is_some()
    }

    /// Whether `line` fits on one line.
    pub(crate) fn fits(&self, indent: usize, line: &str) -> bool {
        indent + visible(line) <= self.width()
    }

    /// Adds a line.
    pub(crate) fn line(&mut self, indent: usize, line: &str) {
        let mut column = indent;
        self.text.push_str(&" ".repeat(indent));
        for (index, word) in line.split(' ').enumerate() {
            let length = visible(word);
            let is_full = |width: usize| column + 1 + length > width && column > indent + HANGING;
            if index > 0 && length > 0 && self.width.is_some_and(is_full) {
                self.text.truncate(self.text.trim_end_matches(' ').len());
                self.text.push('\n');
                column = indent + HANGING;
                self.text.push_str(&" ".repeat(column));
            } else if index > 0 {
                self.text.push(' ');
                column += 1;
            }
            self.text.push_str(word);
            column += length;
        }
        self.text.push('\n');
    }

    /// Adds a line that is not broken.
    pub(crate) fn whole(&mut self, line: &str) {
        self.text.push_str(line);
        self.text.push('\n');
    }

    /// Adds text that consists of whole lines.
    pub(crate) fn lines(&mut self, text: &str) {
        self.text.push_str(text);
    }

    /// The text.
    pub(crate) fn text(self) -> String {
        self.text
    }
}

/// The number of characters that a terminal shows of `text`, which can have styles.
pub(crate) fn visible(text: &str) -> usize {
    let mut is_style = false;
    let is_shown = |letter: &char| {
        let was_style = is_style;
        is_style = *letter == '\u{1b}' || (is_style && *letter != 'm');
        !was_style && !is_style
    };
    text.chars().filter(is_shown).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::screen::DIM;

    #[test]
    fn lines_are_broken_at_spaces_and_never_cut() {
        let words = format!(
            "{DIM}a line{DIM:#} of words with a-word-that-is-much-longer-than-the-width-of-the-whole-page at its end"
        );
        let mut page = Page::new(Some(1));
        page.line(2, &words);
        let text = anstream::adapter::strip_str(&page.text).to_string();
        assert_eq!(
            text,
            "  a line of words with\n      a-word-that-is-much-longer-than-the-width-of-the-whole-page\n      at its end\n"
        );
        assert_eq!(visible(&format!("{DIM}four{DIM:#}")), 4);
        let mut page = Page::new(None);
        page.line(0, &words.repeat(3));
        assert_eq!(page.text().lines().count(), 1);
    }
}
