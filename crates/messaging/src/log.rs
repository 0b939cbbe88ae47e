//! One JSON line per event.

use std::{
    io::Write,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
};

use jiff::{Timestamp, fmt::temporal::DateTimePrinter};
use serde::Serialize;
use serde_json::Value;
use tokio::{sync::Notify, task::yield_now};

use crate::message::Message;

/// Bytes of lines that may wait to be written.
const CAPACITY: usize = 16 * 1024;
/// Bytes that nearly every line fits in.
const TYPICAL_LINE: usize = 640;

const MICROSECONDS: DateTimePrinter = DateTimePrinter::new().precision(Some(6));

type Sink = Arc<dyn Fn(&str) + Send + Sync>;

/// Writes the log of one service. Cheap to clone.
#[derive(Clone)]
pub struct Log {
    /// The fields that say where, as every line has them.
    origin: Arc<str>,
    sink: Sink,
}

impl Log {
    /// A log on standard output, to be made on a Tokio runtime. Lines are written when the runtime has nothing else to
    /// do, or 16 KiB of them wait: what a busy service logs meanwhile is one system call, and one chunk for the reader.
    /// The last ones are written when the last clone is dropped.
    #[must_use]
    pub fn stdout(region: &str, service: &str) -> Self {
        let stdout = Arc::new(Stdout::default());
        tokio::spawn(flush_when_idle(Arc::downgrade(&stdout), Arc::clone(&stdout.filled)));
        Self::with_sink(region, service, move |line| stdout.append(line))
    }

    /// A log that hands each line, without its line end, to `sink`.
    #[must_use]
    pub fn with_sink(region: &str, service: &str, sink: impl Fn(&str) + Send + Sync + 'static) -> Self {
        let [region, service] = [region, service].map(Value::from);
        let origin = format!(r#""region":{region},"service":{service}"#);
        Self { origin: origin.into(), sink: Arc::new(sink) }
    }

    /// Starts a line of level `info`; `event` is a word that programs may search for.
    pub fn info(&self, event: &'static str) -> Line<'_> {
        self.line("info", event)
    }

    /// Starts a line of level `warn`: something is delayed or dead-lettered, nothing is lost.
    pub fn warn(&self, event: &'static str) -> Line<'_> {
        self.line("warn", event)
    }

    fn line(&self, level: &str, event: &str) -> Line<'_> {
        let mut text = Vec::with_capacity(TYPICAL_LINE);
        text.extend_from_slice(br#"{"at":""#);
        let _ = MICROSECONDS.print_timestamp(&Timestamp::now(), &mut text);
        for part in [r#"","level":""#, level, r#"","#, &self.origin, r#","event":""#, event, r#"""#] {
            text.extend_from_slice(part.as_bytes());
        }
        Line { sink: &self.sink, text }
    }
}

/// Standard output, and the lines that are not written yet.
#[derive(Default)]
struct Stdout {
    lines: Mutex<Vec<u8>>,
    filled: Arc<Notify>,
}

impl Stdout {
    fn append(&self, line: &str) {
        let mut lines = self.lock();
        let first = lines.is_empty();
        lines.extend_from_slice(line.as_bytes());
        lines.push(b'\n');
        if lines.len() >= CAPACITY {
            write(&mut lines);
        } else if first {
            drop(lines);
            self.filled.notify_one();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<u8>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Stdout {
    fn drop(&mut self) {
        write(&mut self.lock());
        self.filled.notify_one();
    }
}

/// Flushes until the last clone of the log is dropped.
async fn flush_when_idle(stdout: Weak<Stdout>, filled: Arc<Notify>) {
    loop {
        filled.notified().await;
        // a task that yields runs again after all others that are ready
        yield_now().await;
        let Some(stdout) = stdout.upgrade() else { return };
        write(&mut stdout.lock());
    }
}

/// A closed pipe is ignored: a service outlives the process that reads it.
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

    pub fn with_fields(mut self, fields: &Fields) -> Self {
        self.text.extend_from_slice(&fields.0);
        self
    }

    /// Adds what a received message has: identifiers, routing key, queue, and the brokers it came through.
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

/// A field of an object, after others.
fn append(text: &mut Vec<u8>, name: &'static str, value: &impl Serialize) {
    for part in [r#",""#, name, r#"":"#] {
        text.extend_from_slice(part.as_bytes());
    }
    write_json(text, value);
}

/// What JSON cannot hold is null.
fn write_json(text: &mut Vec<u8>, value: &(impl Serialize + ?Sized)) {
    let start = text.len();
    if serde_json::to_writer(&mut *text, value).is_err() {
        text.truncate(start);
        text.extend_from_slice(b"null");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_one_json_object_with_when_where_and_what() {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&lines);
        let log = Log::with_sink("asia", "mailer", move |line| sink.lock().unwrap().push(line.to_owned()));
        log.warn("dead_lettered").with("reason", "two\nlines").with("none", None::<u8>).write();
        let lines = lines.lock().unwrap();
        assert_eq!((lines.len(), lines[0].contains('\n')), (1, false));
        let line: Value = serde_json::from_str(&lines[0]).unwrap();
        let texts =
            ["level", "region", "service", "event", "reason"].map(|name| line[name].as_str().unwrap());
        assert_eq!(texts, ["warn", "asia", "mailer", "dead_lettered", "two\nlines"]);
        assert_eq!((&line["none"], line.as_object().unwrap().len()), (&Value::Null, 7));
        let at = line["at"].as_str().unwrap();
        assert_eq!((at.len(), &at[19..20], at.ends_with('Z')), (27, ".", true), "{at}");
    }
}
