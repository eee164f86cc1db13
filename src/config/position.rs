//! Where in the file each value stands.
//!
//! Owns: lines and columns, for error messages. Never: the meaning of a value; `raw` reads the
//! file with `serde_yaml`, which keeps no positions, so they come from the events of a second
//! parser. Where the two disagree about a file's shape, a value has the place of what holds it.

use saphyr_parser::Event;
use saphyr_parser::Parser;
use saphyr_parser::Span;

/// A line and a column, both from 1, the column in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct FilePosition {
    pub(super) line: u32,
    pub(super) column: u32,
}

impl FilePosition {
    /// The first character of a file.
    pub(super) const START: FilePosition = FilePosition { line: 1, column: 1 };

    /// The `column`th character of the `line`th line.
    pub(super) fn new(line: usize, column: usize) -> FilePosition {
        let narrow = |n: usize| u32::try_from(n).unwrap_or(u32::MAX).max(1);
        FilePosition {
            line: narrow(line),
            column: narrow(column),
        }
    }

    /// The character that comes after `text`.
    pub(super) fn after(text: &[u8]) -> FilePosition {
        let text = String::from_utf8_lossy(text);
        let last_line = text.rsplit('\n').next().unwrap_or_default();
        FilePosition::new(text.split('\n').count(), last_line.chars().count() + 1)
    }

    fn of(span: &Span) -> FilePosition {
        FilePosition::new(span.start.line(), span.start.col().saturating_add(1))
    }
}

/// The positions of a value and of what is in it.
#[derive(Debug)]
pub(super) struct Positions {
    pub(super) at: FilePosition,
    /// A list's items; a mapping's keys and values in turn; nothing for text and for aliases.
    children: Vec<Positions>,
}

impl Positions {
    /// The place of the `index`th child, if there is one.
    pub(super) fn child(&self, index: usize) -> Option<&Positions> {
        self.children.get(index)
    }

    /// The positions in the first document of `text`, up to where it stops being YAML.
    pub(super) fn of(text: &str) -> Positions {
        let mut open: Vec<Positions> = vec![Positions {
            at: FilePosition::START,
            children: Vec::new(),
        }];
        // An error ends the iteration: what was seen before it still has its place.
        for (event, span) in Parser::new_from_str(text).map_while(Result::ok) {
            let here = Positions {
                at: FilePosition::of(&span),
                children: Vec::new(),
            };
            match event {
                Event::Scalar(..) | Event::Alias(_) => adopt(&mut open, here),
                Event::SequenceStart(..) | Event::MappingStart(..) => open.push(here),
                Event::SequenceEnd | Event::MappingEnd => {
                    if let Some(closed) = open.pop() {
                        adopt(&mut open, closed);
                    }
                }
                Event::DocumentEnd => break,
                Event::Nothing
                | Event::StreamStart
                | Event::StreamEnd
                | Event::DocumentStart(_) => {}
            }
        }
        while open.len() > 1 {
            if let Some(unfinished) = open.pop() {
                adopt(&mut open, unfinished);
            }
        }
        let document = open.pop().and_then(|mut root| root.children.pop());
        document.unwrap_or(Positions {
            at: FilePosition::START,
            children: Vec::new(),
        })
    }
}

fn adopt(open: &mut [Positions], child: Positions) {
    if let Some(parent) = open.last_mut() {
        parent.children.push(child);
    }
}

#[cfg(test)]
mod tests {
    use super::FilePosition;
    use super::Positions;

    fn at(text: &str, path: &[usize]) -> (u32, u32) {
        let root = Positions::of(text);
        let mut here = &root;
        for &step in path {
            here = here.child(step).unwrap();
        }
        (here.at.line, here.at.column)
    }

    #[test]
    fn a_key_a_value_and_a_list_item_stand_where_they_begin() {
        let text = "# comment\nalpha:\n  hash: md5\n  servers:\n   - a:1:1\n   - b:1:1\n";
        assert_eq!(at(text, &[0]), (2, 1));
        assert_eq!(at(text, &[1, 0]), (3, 3));
        assert_eq!(at(text, &[1, 1]), (3, 9));
        assert_eq!(at(text, &[1, 3, 0]), (5, 6));
        assert_eq!(at(text, &[1, 3, 1]), (6, 6));
    }

    #[test]
    fn flow_style_and_quotes_have_positions_too() {
        let text = "alpha: {hash: \"md5\", servers: [a:1:1, 'b:1:1']}\n";
        assert_eq!(at(text, &[1, 1]), (1, 15));
        assert_eq!(at(text, &[1, 3, 1]), (1, 39));
    }

    #[test]
    fn any_line_break_counts_one_line() {
        for end in ["\n", "\r\n", "\r"] {
            let text = ["alpha:", "  hash: md5", ""].join(end);
            assert_eq!(at(&text, &[1, 1]), (2, 9), "{end:?}");
        }
    }

    #[test]
    fn what_precedes_broken_yaml_keeps_its_place() {
        let text = "alpha:\n  hash: md5\n  bad: [\n";
        assert_eq!(at(text, &[1, 1]), (2, 9));
        assert_eq!(Positions::of("").at, FilePosition::START);
    }
}
