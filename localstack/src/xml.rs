//! A minimal XML parser, to change responses of AWS's protocols and keep the rest unchanged.

use std::fmt::Write;

/// An element. Names keep their prefixes, and text and attributes their escapes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Element {
    pub(crate) name: String,
    /// The attributes in their original form, with the leading space.
    attributes: String,
    pub(crate) children: Vec<Node>,
}

/// A child of an element.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Node {
    Element(Element),
    /// In its original form, with escapes.
    Text(String),
}

impl Element {
    /// An element with child elements.
    pub(crate) fn of(name: &str, children: impl IntoIterator<Item = Self>) -> Self {
        let children = children.into_iter().map(Node::Element).collect();
        Self { name: name.to_owned(), attributes: String::new(), children }
    }

    /// An element with text.
    pub(crate) fn with_text(name: &str, text: &str) -> Self {
        let mut element = Self::of(name, []);
        element.set_text(text);
        element
    }

    /// Parses a document; `None` if it is invalid or uses features that AWS does not use.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut open: Vec<Self> = Vec::new();
        let mut rest = text.trim_start_matches('\u{feff}');
        loop {
            let (before, tagged) = rest.split_once('<')?;
            if let (Some(parent), false) = (open.last_mut(), before.is_empty()) {
                parent.children.push(Node::Text(before.to_owned()));
            }
            if let Some(comment) = tagged.strip_prefix("!--") {
                rest = comment.split_once("-->")?.1;
                continue;
            }
            if let Some(data) = tagged.strip_prefix("![CDATA[") {
                let (data, after) = data.split_once("]]>")?;
                open.last_mut()?.children.push(Node::Text(escape(data)));
                rest = after;
                continue;
            }
            let (tag, after) = tagged.split_once('>')?;
            rest = after;
            if tag.starts_with(['?', '!']) {
                continue;
            }
            let closed = if let Some(name) = tag.strip_prefix('/') {
                open.pop().filter(|element| element.name == name.trim_end())?
            } else {
                let (tag, is_empty) = tag.strip_suffix('/').map_or((tag, false), |tag| (tag, true));
                let end = tag.find(char::is_whitespace).unwrap_or(tag.len());
                let (name, attributes) = tag.split_at(end);
                let attributes = attributes.trim_end().to_owned();
                open.push(Self { name: name.to_owned(), attributes, children: Vec::new() });
                if !is_empty {
                    continue;
                }
                open.pop()?
            };
            match open.last_mut() {
                Some(parent) => parent.children.push(Node::Element(closed)),
                None => return Some(closed),
            }
        }
    }

    /// The value of an attribute, whatever its prefix is.
    pub(crate) fn attribute(&self, name: &str) -> Option<String> {
        let mut rest = self.attributes.as_str();
        while let Some((key, after)) = rest.split_once('=') {
            let after = after.trim_start();
            let quote = after.chars().next().filter(|quote| ['"', '\''].contains(quote))?;
            let (value, next) = after[1..].split_once(quote)?;
            if key.trim().rsplit(':').next() == Some(name) {
                return Some(unescape(value));
            }
            rest = next;
        }
        None
    }

    /// The child elements.
    pub(crate) fn elements(&self) -> impl Iterator<Item = &Self> {
        self.children.iter().filter_map(|child| match child {
            Node::Element(element) => Some(element),
            Node::Text(_) => None,
        })
    }

    /// The child elements, mutable.
    pub(crate) fn elements_mut(&mut self) -> impl Iterator<Item = &mut Self> {
        self.children.iter_mut().filter_map(|child| match child {
            Node::Element(element) => Some(element),
            Node::Text(_) => None,
        })
    }

    /// The first child element with a name.
    pub(crate) fn child(&self, name: &str) -> Option<&Self> {
        self.elements().find(|element| element.name == name)
    }

    /// The first child element with a name, mutable.
    pub(crate) fn child_mut(&mut self, name: &str) -> Option<&mut Self> {
        self.elements_mut().find(|element| element.name == name)
    }

    /// The text of the first child element with a name.
    pub(crate) fn value(&self, name: &str) -> Option<String> {
        self.child(name).map(Self::text)
    }

    /// The text, unescaped.
    pub(crate) fn text(&self) -> String {
        let texts = self.children.iter().filter_map(|child| match child {
            Node::Text(text) => Some(unescape(text)),
            Node::Element(_) => None,
        });
        texts.collect::<String>().trim().to_owned()
    }

    /// Replaces the text.
    pub(crate) fn set_text(&mut self, text: &str) {
        self.children = vec![Node::Text(escape(text))];
    }

    /// Replaces the child elements with its name, or appends it.
    pub(crate) fn set(&mut self, child: Self) {
        match self.child_mut(&child.name) {
            Some(existing) => *existing = child,
            None => self.children.push(Node::Element(child)),
        }
    }

    /// Removes the child elements that do not match the predicate.
    pub(crate) fn retain_children(&mut self, mut keep: impl FnMut(&Self) -> bool) {
        self.children.retain(|child| match child {
            Node::Element(element) => keep(element),
            Node::Text(_) => true,
        });
    }

    /// Removes the child elements that do not match the predicate, at any depth.
    pub(crate) fn retain(&mut self, keep: &mut impl FnMut(&Self) -> bool) {
        self.children.retain(|child| match child {
            Node::Element(element) => keep(element),
            Node::Text(_) => true,
        });
        self.elements_mut().for_each(|element| element.retain(keep));
    }

    /// Visits this element and its descendants.
    pub(crate) fn visit(&mut self, change: &mut impl FnMut(&mut Self)) {
        change(self);
        self.elements_mut().for_each(|element| element.visit(change));
    }

    /// The document.
    pub(crate) fn document(&self) -> String {
        let mut text = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
        self.write(&mut text);
        text
    }

    fn write(&self, text: &mut String) {
        let Self { name, attributes, children } = self;
        // Writing to a string cannot fail.
        let _ = write!(text, "<{name}{attributes}>");
        for child in children {
            match child {
                Node::Element(element) => element.write(text),
                Node::Text(raw) => text.push_str(raw),
            }
        }
        let _ = write!(text, "</{name}>");
    }
}

/// Escapes text.
pub(crate) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

fn unescape(text: &str) -> String {
    [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#34;", "\""), ("&apos;", "'"), ("&#39;", "'"), ("&amp;", "&")]
        .iter()
        .fold(text.to_owned(), |text, (escaped, plain)| text.replace(escaped, plain))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test")]
mod tests {
    use super::*;

    #[test]
    fn changes_what_it_must_and_keeps_the_rest() {
        let text = "<?xml version=\"1.0\"?>\n<!-- c --><a xmlns=\"u\"><set><item x:type=\"t\"><id>1</id><t>x&amp;y</t></item>\
                    <item><id>2</id><e/></item></set></a>";
        let mut root = Element::parse(text).unwrap();
        root.retain(&mut |element| element.value("id").as_deref() != Some("2"));
        let item = root.child("set").unwrap().child("item").unwrap();
        assert_eq!(item.value("t").unwrap(), "x&y");
        assert_eq!(
            root.document().lines().last().unwrap(),
            "<a xmlns=\"u\"><set><item x:type=\"t\"><id>1</id><t>x&amp;y</t></item></set></a>"
        );
        assert_eq!(Element::parse("{\"json\": true}"), None);
        assert_eq!(Element::parse("<a><b></a>"), None);
    }
}
