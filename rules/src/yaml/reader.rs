//! From text to nodes.
//!
//! A key that stands twice is told and the reading goes on with the first, so that whatever else is
//! wrong is told at once. What cannot be read ends the reading; the documents before it stay.

use super::{Data, Node};
use crate::problem::Problem;
use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, Span, StrInput};
use std::collections::HashSet;

/// Largest file read: the largest published Sigma rule is under 40 KiB.
pub const FILE_BYTES_MAX: usize = 1024 * 1024;
/// Deepest nesting read.
const DEPTH_MAX: usize = 32;
/// Repeated keys told of one file: more than anybody reads, and a hostile file has no more of them
/// in memory than 200 bytes each.
const REPEATED_MAX: usize = 500;

/// What a text holds, and what is wrong with it.
#[derive(Debug, Default)]
pub(crate) struct Reading {
    /// Every document up to where the reading stopped.
    pub(crate) documents: Vec<Node>,
    /// Keys that stand twice in a mapping, of which the first counts.
    pub(crate) repeated: Vec<Problem>,
    /// What stopped the reading: syntax, an alias, excess size.
    pub(crate) stopped: Option<Problem>,
}

/// Reads every document of `text`; problems name `file`.
///
/// # Errors
/// The first [`Problem`] of the text: syntax, an alias, a duplicate key, excess size.
pub fn parse(file: &str, text: &str) -> Result<Vec<Node>, Problem> {
    let Reading { documents, repeated, stopped } = read(file, text);
    repeated.into_iter().next().or(stopped).map_or(Ok(documents), Err)
}

/// Reads as much of `text` as can be read.
pub(crate) fn read(file: &str, text: &str) -> Reading {
    if text.len() > FILE_BYTES_MAX {
        let stopped = Problem {
            file: file.to_owned(),
            line: 1,
            column: 1,
            message: format!("larger than {FILE_BYTES_MAX} bytes"),
            remedy: "split it into several files".to_owned(),
        };
        return Reading { stopped: Some(stopped), ..Reading::default() };
    }
    let mut reader = Reader { file, parser: Parser::new_from_str(text), repeated: Vec::new() };
    let mut documents = Vec::new();
    let stopped = reader.documents(&mut documents).err();
    // Of a file broken within a key that stands twice, the lines are in order all the same.
    Reading { documents, repeated: reader.repeated, stopped }
}

struct Reader<'t> {
    file: &'t str,
    parser: Parser<'t, StrInput<'t>>,
    repeated: Vec<Problem>,
}

impl<'t> Reader<'t> {
    fn documents(&mut self, documents: &mut Vec<Node>) -> Result<(), Problem> {
        while let Some((event, span)) = self.next()? {
            if matches!(
                event,
                Event::StreamStart
                    | Event::StreamEnd
                    | Event::DocumentStart(_)
                    | Event::DocumentEnd
                    | Event::Nothing
            ) {
                continue;
            }
            documents.push(self.build(event, span, 0)?);
        }
        Ok(())
    }

    fn next(&mut self) -> Result<Option<(Event<'t>, Span)>, Problem> {
        self.parser.next().transpose().map_err(|error| self.broken(&error))
    }

    fn broken(&self, error: &ScanError) -> Problem {
        let at = error.marker();
        Problem {
            file: self.file.to_owned(),
            line: at.line(),
            column: at.col() + 1,
            message: format!("not valid YAML: {}", error.info()),
            remedy: "check indentation, quotes and colons around here".to_owned(),
        }
    }

    fn at(&self, span: Span, message: String, remedy: &str) -> Problem {
        let (line, column) = (span.start.line(), span.start.col() + 1);
        Problem { file: self.file.to_owned(), line, column, message, remedy: remedy.to_owned() }
    }

    fn build(&mut self, event: Event<'t>, span: Span, depth: usize) -> Result<Node, Problem> {
        if depth > DEPTH_MAX {
            return Err(self.at(span, format!("nested deeper than {DEPTH_MAX} levels"), "flatten it"));
        }
        let data = match event {
            Event::Scalar(text, style, ..) => scalar(&text, style),
            Event::SequenceStart(..) => Data::List(self.sequence(depth)?),
            Event::MappingStart(..) => Data::Map(self.mapping(depth)?),
            Event::Alias(_) => {
                let remedy = "write the value out where it is used";
                return Err(self.at(span, "aliases are not read".to_owned(), remedy));
            }
            Event::Nothing
            | Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(_)
            | Event::DocumentEnd
            | Event::SequenceEnd
            | Event::MappingEnd => Data::Null,
        };
        Ok(Node { data, line: span.start.line(), column: span.start.col() + 1 })
    }

    fn sequence(&mut self, depth: usize) -> Result<Vec<Node>, Problem> {
        let mut items = Vec::new();
        while let Some((event, span)) = self.next()? {
            if matches!(event, Event::SequenceEnd) {
                break;
            }
            items.push(self.build(event, span, depth + 1)?);
        }
        Ok(items)
    }

    fn mapping(&mut self, depth: usize) -> Result<Vec<(Node, Node)>, Problem> {
        let mut entries: Vec<(Node, Node)> = Vec::new();
        let mut names: HashSet<String> = HashSet::new();
        while let Some((event, span)) = self.next()? {
            if matches!(event, Event::MappingEnd) {
                break;
            }
            let key = self.build(event, span, depth + 1)?;
            let name = key.text().unwrap_or_default();
            let again = names.contains(&name);
            if again && self.repeated.len() < REPEATED_MAX {
                let problem = self.at(span, format!("the key `{name}` stands twice"), "keep one of them");
                self.repeated.push(problem);
            }
            let Some((event, span)) = self.next()? else { break };
            let value = self.build(event, span, depth + 1)?;
            if !again {
                names.insert(name);
                entries.push((key, value));
            }
        }
        Ok(entries)
    }
}

fn scalar(text: &str, style: ScalarStyle) -> Data {
    if style != ScalarStyle::Plain {
        return Data::Text(text.to_owned());
    }
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Data::Null,
        "true" | "True" | "TRUE" => Data::Bool(true),
        "false" | "False" | "FALSE" => Data::Bool(false),
        _ => number(text).unwrap_or_else(|| Data::Text(text.to_owned())),
    }
}

fn number(text: &str) -> Option<Data> {
    if let Ok(whole) = text.parse::<i64>() {
        return Some(Data::Int(whole));
    }
    let numeric = text.starts_with(|c: char| c.is_ascii_digit() || c == '-' || c == '.');
    text.parse::<f64>().ok().filter(|n| numeric && n.is_finite()).map(Data::Float)
}
