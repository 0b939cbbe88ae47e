//! One JSON line per fact on standard output: what `fedctl demo` reads to prove who did what, once.

use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use jiff::fmt::temporal::DateTimePrinter;
use serde::Serialize;
use serde_json::Value;

use super::message::Message;

/// Bytes of lines that wait to be written at most.
const FULL: usize = 16 * 1024;
/// Bytes that nearly every line fits in.
const USUAL: usize = 640;

const MICROSECONDS: DateTimePrinter = DateTimePrinter::new().precision(Some(6));

/// Lines for standard output that are not written yet.
static LINES: Mutex<Vec<u8>> = Mutex::new(Vec::new());

type Sink = Arc<dyn Fn(&str) + Send + Sync>;

/// Writes the log of one service. Cheap to clone.
#[derive(Clone)]
pub struct Log {
    /// The fields that say where, as every line has them.
    place: Arc<str>,
    sink: Sink,
}

impl Log {
    /// A log on standard output, written by [`flush`]: what a busy service logs meanwhile is one call for the
    /// system, and one piece for who reads it.
    #[must_use]
    pub fn stdout(region: &str, service: &str) -> Self {
        Self::with_sink(region, service, |line| {
            let mut lines = LINES.lock().unwrap_or_else(PoisonError::into_inner);
            lines.extend_from_slice(line.as_bytes());
            lines.push(b'\n');
            if lines.len() >= FULL {
                write(&mut lines);
            }
        })
    }

    /// A log that hands each line, without its line end, to `sink`.
    #[must_use]
    pub fn with_sink(region: &str, service: &str, sink: impl Fn(&str) + Send + Sync + 'static) -> Self {
        let [region, service] = [region, service].map(Value::from);
        let place = format!(r#""region":{region},"service":{service}"#);
        Self { place: place.into(), sink: Arc::new(sink) }
    }

    /// Starts a line of level `info`; `event` is one of the fixed words of the log contract.
    pub fn info(&self, event: &'static str) -> Line<'_> {
        self.line("info", event)
    }

    /// Starts a line of level `warn`: work is delayed or put aside, nothing is lost.
    pub fn warn(&self, event: &'static str) -> Line<'_> {
        self.line("warn", event)
    }

    fn line(&self, level: &str, event: &str) -> Line<'_> {
        let mut text = Vec::with_capacity(USUAL);
        text.extend_from_slice(br#"{"at":""#);
        let _ = MICROSECONDS.print_timestamp(&Timestamp::now(), &mut text);
        for part in [r#"","level":""#, level, r#"","#, &self.place, r#","event":""#, event, r#"""#] {
            text.extend_from_slice(part.as_bytes());
        }
        Line { sink: &self.sink, text }
    }
}

/// Writes the lines that wait. A program calls it whenever it has nothing else to do, by
/// [`tokio::runtime::Builder::on_thread_park`], and before it ends.
pub fn flush() {
    write(&mut LINES.lock().unwrap_or_else(PoisonError::into_inner));
}

/// A closed pipe is ignored: a service outlives whoever reads it.
#[expect(clippy::disallowed_methods, reason = "a service's log is its standard output")]
fn write(lines: &mut Vec<u8>) {
    if !lines.is_empty() {
        let mut out = std::io::stdout().lock();
        let _ = out.write_all(lines).and_then(|()| out.flush());
        lines.clear();
    }
}

/// A line being put together; nothing is written before [`Line::write`].
#[must_use = "a line is only written by `write`"]
pub struct Line<'a> {
    sink: &'a Sink,
    /// The object, up to its last field.
    text: Vec<u8>,
}

impl Line<'_> {
    /// Adds one field; its name is a word that JSON has no need to escape.
    pub fn with(mut self, name: &'static str, value: impl Serialize) -> Self {
        append(&mut self.text, name, &value);
        self
    }

    /// Adds many fields.
    pub fn with_fields(mut self, fields: &Fields) -> Self {
        self.text.extend_from_slice(&fields.0);
        self
    }

    /// Adds what a received message says about itself: identifiers, routing key, way travelled.
    pub fn with_message(mut self, message: &Message) -> Self {
        let ids = [("correlation_id", message.correlation_id()), ("message_id", message.message_id())];
        for (name, id) in ids {
            if let Some(id) = id {
                self = self.with(name, id);
            }
        }
        self.with("routing_key", message.original_routing_key())
            .with("queue", &*message.queue)
            .with("hops", message.hops())
            .with("redelivered", message.redelivered)
    }

    /// Writes the line.
    pub fn write(mut self) {
        self.text.push(b'}');
        (self.sink)(str::from_utf8(&self.text).unwrap_or_default());
    }
}

/// Fields for a line that is written later.
#[derive(Debug, Clone, Default)]
pub struct Fields(Vec<u8>);

impl Fields {
    /// Adds one field, as [`Line::with`] does.
    pub fn add(&mut self, name: &'static str, value: impl Serialize) {
        append(&mut self.0, name, &value);
    }
}

impl<'a, V: Serialize> FromIterator<(&'a String, V)> for Fields {
    fn from_iter<I: IntoIterator<Item = (&'a String, V)>>(all: I) -> Self {
        let mut fields = Self::default();
        for (name, value) in all {
            fields.0.push(b',');
            write_json(&mut fields.0, name);
            fields.0.push(b':');
            write_json(&mut fields.0, &value);
        }
        fields
    }
}

/// A field as it stands in an object that has others before it.
fn append(text: &mut Vec<u8>, name: &'static str, value: &impl Serialize) {
    for part in [r#",""#, name, r#"":"#] {
        text.extend_from_slice(part.as_bytes());
    }
    write_json(text, value);
}

/// What cannot be said in JSON is null.
fn write_json(text: &mut Vec<u8>, value: &(impl Serialize + ?Sized)) {
    let start = text.len();
    if serde_json::to_writer(&mut *text, value).is_err() {
        text.truncate(start);
        text.extend_from_slice(b"null");
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[test]
    fn a_line_is_one_json_object_that_says_when_where_and_what() {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&lines);
        let log = Log::with_sink("asia", "taxes", move |line| sink.lock().unwrap().push(line.to_owned()));
        log.warn("dead_lettered").with("reason", "two\nlines").with("none", None::<u8>).write();
        let lines = lines.lock().unwrap();
        assert_eq!((lines.len(), lines[0].contains('\n')), (1, false));
        let line: Value = serde_json::from_str(&lines[0]).unwrap();
        let said = ["level", "region", "service", "event", "reason"].map(|name| line[name].as_str().unwrap());
        assert_eq!(said, ["warn", "asia", "taxes", "dead_lettered", "two\nlines"]);
        assert_eq!((&line["none"], line.as_object().unwrap().len()), (&Value::Null, 7));
        let at = line["at"].as_str().unwrap();
        assert_eq!((at.len(), &at[19..20], at.ends_with('Z')), (27, ".", true), "{at}");
    }
}
