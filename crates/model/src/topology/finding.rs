//! What is wrong with a `regions.yaml`, and where.

use std::{cmp::Reverse, fmt, ops::Range};

/// How much a finding matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Severity {
    /// The file can be used; the finding says what it may cost.
    Warning,
    /// The file cannot be used.
    Error,
}

/// One thing that is wrong, with its place in the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What kind of finding it is.
    pub code: Code,
    /// How much it matters.
    pub severity: Severity,
    /// The bytes of the text that it is about: within one line, from character to character.
    pub span: Range<usize>,
    /// The line, counted from 1.
    pub line: usize,
    /// The column in characters, counted from 1.
    pub column: usize,
    /// What is wrong.
    pub message: String,
    /// How to mend it.
    pub help: Option<String>,
}

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $number:literal: $explanation:literal;)*) => {
        /// The kinds of findings. `FED01…` are errors, `FED02…` are warnings.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Code {
            $($(#[$doc])* $name,)*
        }

        impl Code {
            /// Every code, in order of its number.
            #[must_use]
            pub const fn all() -> &'static [Self] {
                &[$(Self::$name),*]
            }

            /// The code as it is printed, such as `FED0107`.
            #[must_use]
            pub const fn as_str(&self) -> &'static str {
                match self {
                    $(Self::$name => $number,)*
                }
            }

            /// What it means, why it matters, and how to mend it.
            #[must_use]
            pub const fn explain(&self) -> &'static str {
                match self {
                    $(Self::$name => $explanation,)*
                }
            }
        }
    };
}

codes! {
    /// The file is no YAML.
    Malformed = "FED0101":
        "The file is no YAML, so nothing in it could be read. Mend what the finding points at and \
         run the command again; the usual causes are a tab in the indentation, an entry that is \
         indented differently from its neighbours, and an unclosed quote or bracket.";
    /// The file is larger than any topology.
    TooLarge = "FED0102":
        "The file, or what its aliases expand to, is larger or deeper than any topology needs to \
         be. fedctl stops there, because a few aliases of aliases can expand to more than fits in \
         memory. Write fewer or flatter aliases.";
    /// A key is given twice in one mapping.
    DuplicateKey = "FED0103":
        "A key stands twice in the same mapping. YAML programs disagree on which of the two counts, \
         so fedctl takes neither. Remove one of them.";
    /// A key that fedctl does not know.
    UnknownKey = "FED0104":
        "fedctl does not know this key here. It is an error rather than something to skip, because \
         a misspelt setting would otherwise silently keep its default. Correct the spelling, move \
         the key to where it belongs, or remove it; `fedctl schema` prints every key.";
    /// A key that must be given is missing.
    MissingKey = "FED0105":
        "The mapping lacks a key that has no default. Add it.";
    /// A value of the wrong type.
    WrongType = "FED0106":
        "The value is of another type than the setting. YAML guesses the type from the spelling: \
         `8080` is a number, `true` is true or false, and both become text in quotes. Write the \
         value as the type that the finding names.";
    /// A word that is none of those to choose from.
    UnknownValue = "FED0107":
        "The setting takes one of a few words, and this is none of them. Choose one that the \
         finding lists.";
    /// A number outside its limits.
    OutOfRange = "FED0108":
        "The number is smaller or larger than the setting allows. The limits are those of RabbitMQ, \
         of the engine, or of what can work: a broker does not start in less than 192 MiB. Choose a \
         number between them.";
    /// A text or list that is too short or too long.
    WrongLength = "FED0109":
        "The text or list has too few or too many parts. A name becomes part of host names, which \
         may have 63 characters, and a topology without regions would stand up nothing. Shorten or \
         fill it.";
    /// A name that cannot be a host name.
    InvalidName = "FED0110":
        "Names become host names, container names and RabbitMQ's cluster names, so they follow the \
         rule of host names: lower-case letters, digits and `-`, starting with a letter and ending \
         with a letter or digit. Rename it.";
    /// The master is none of the regions.
    UnknownMaster = "FED0111":
        "`master` names the region that does the work only one region may do, and no region has \
         that name. Nobody would do the work. Name one of the regions.";
    /// Two regions have one name.
    DuplicateRegion = "FED0112":
        "Two regions have the same name. Their brokers would share a host name and a cluster name, \
         and federation would take each for the other. Rename one.";
    /// Two services of one region have one name.
    DuplicateService = "FED0113":
        "Two services in one region have the same name, and so would their containers. Rename one; \
         services in different regions may share a name.";
    /// Two policies have one name.
    DuplicatePolicy = "FED0114":
        "Two policies have the same name. A broker keeps one policy of a name, so the second would \
         replace the first. Rename one.";
    /// A service without an image that fedctl does not bring.
    UnknownService = "FED0115":
        "A service without an `image` is one of fedctl's own programs, and there is none of this \
         name. Correct the name, or give the service an `image`.";
    /// One host port for two things.
    HostPortTaken = "FED0116":
        "A port of the host can be published by one container only, and this one is pinned twice in \
         the file; the second container would not start. Pin another port, or leave it out and let \
         the engine choose. Services that are shared through an alias pin the same port in every \
         region.";
    /// A pattern that is no regular expression.
    InvalidPattern = "FED0117":
        "The policy's pattern is no regular expression, or it uses look-around or back-references, \
         which fedctl cannot check. RabbitMQ would refuse it or match names that nobody meant. \
         Correct it; anchors (`^`, `$`), classes and alternatives are enough for names.";
    /// A pattern that matches the federation's own queues or exchanges.
    InternalQueues = "FED0118":
        "RabbitMQ keeps the messages on their way to another region in queues and exchanges of its \
         own, called `federation: EXCHANGE -> REGION`. This pattern matches them too, and a policy \
         that applies to them makes links lose or multiply messages. Anchor the pattern at what your \
         own names have and these lack: a prefix such as `^orders\\.` or a suffix such as `\\.events$`.";
    /// A variable that fedctl uses itself.
    ReservedVariable = "FED0119":
        "fedctl sets this variable in the services' environment, or its own services obey it, so a \
         value from the file would be lost or would mislead the service. Remove it, or give yours \
         another name.";
    /// A file that has the right shape and still cannot be read.
    Unreadable = "FED0120":
        "Every single check passed and the file still could not be read as a topology. That is a \
         gap in fedctl's checks: please report it together with the file.";
    /// A name that is already something else's.
    ReservedName = "FED0121":
        "The name of a region or service is also a host name, and a service's is the name of a \
         directory as well. This one is taken: `broker` is a region's broker, `localhost` is every \
         container itself, `store` is the directory that fedctl's own services share, and a region's \
         name is that region's broker. Connections would end in the wrong container, and files in the \
         wrong directory. Choose another name.";
    /// Messages arrive more than once.
    ManyCopies = "FED0201":
        "In a full mesh every region receives every message directly, so with more than one hop \
         the same message also arrives by way of other regions. With N regions and two hops that is \
         1+(N-2) copies, and three hops add (N-2)(N-3). Set `max-hops: 1` unless every consumer \
         recognises a message that it has seen.";
    /// Messages may be lost.
    MayLoseMessages = "FED0202":
        "Only with `on-confirm` does a link keep a message at the upstream until the downstream \
         broker has it. With `on-publish` and `no-ack`, what is in flight when a broker or a link \
         fails is lost. Set `ack-mode: on-confirm` unless losing messages is acceptable.";
    /// The broker's password is readable by whoever may inspect the container.
    PasswordExposed = "FED0203":
        "With `amqp-uri-in-environment` the AMQP URI, password included, is an environment variable \
         of the container, and whoever may inspect the container can read it. Read the URI from the \
         file that `AMQP_URI_FILE` names instead, and remove the setting.";
}

impl Code {
    /// Whether findings of this kind are errors or warnings.
    #[must_use]
    pub fn severity(&self) -> Severity {
        if *self < Self::ManyCopies { Severity::Error } else { Severity::Warning }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The findings in one text, as they are collected.
pub(super) struct Findings<'t> {
    /// The text behind its byte order mark; spans are collected relative to it.
    text: &'t str,
    skipped: usize,
    list: Vec<Finding>,
}

impl<'t> Findings<'t> {
    pub(super) fn new(whole: &'t str) -> Self {
        let text = whole.strip_prefix('\u{feff}').unwrap_or(whole);
        Self { text, skipped: whole.len() - text.len(), list: Vec::new() }
    }

    pub(super) fn text(&self) -> &'t str {
        self.text
    }

    /// Adds a finding about `span`, of which the first line is shown.
    pub(super) fn add(&mut self, code: Code, span: &Range<usize>, message: String, help: Option<String>) {
        let start = boundary(self.text, span.start);
        let end = boundary(self.text, span.end).max(start);
        let end = self.text[start..end].find(['\r', '\n']).map_or(end, |length| start + length);
        self.list.push(Finding {
            code,
            severity: code.severity(),
            span: start + self.skipped..end + self.skipped,
            line: self.line(start),
            column: self.text[..start].rsplit('\n').next().map_or(0, |line| line.chars().count()) + 1,
            message,
            help,
        });
    }

    /// The line of a byte of the text, counted from 1.
    pub(super) fn line(&self, byte: usize) -> usize {
        self.text[..boundary(self.text, byte)].matches('\n').count() + 1
    }

    pub(super) fn has_errors(&self) -> bool {
        self.list.iter().any(|finding| finding.severity == Severity::Error)
    }

    /// The findings, worst first and then by place.
    ///
    /// A value that aliases repeat is checked once for every place it is used in; what is wrong
    /// with it is said once.
    pub(super) fn finish(mut self) -> Vec<Finding> {
        self.list.sort_by(|one, other| {
            let rank = |finding: &Finding| (Reverse(finding.severity), finding.span.start, finding.code);
            rank(one).cmp(&rank(other)).then_with(|| one.message.cmp(&other.message))
        });
        self.list.dedup();
        self.list
    }
}

/// The nearest character boundary at or before `byte`.
fn boundary(text: &str, byte: usize) -> usize {
    (0..=byte.min(text.len())).rev().find(|byte| text.is_char_boundary(*byte)).unwrap_or_default()
}

/// A value of the user's in backticks: short, on one line, and with nothing that a terminal obeys.
pub(super) fn quoted(value: &str) -> String {
    const LONGEST: usize = 60;
    let mut shown: String = value.chars().take(LONGEST).flat_map(shown_char).collect();
    if value.chars().nth(LONGEST).is_some() {
        shown.push('…');
    }
    format!("`{shown}`")
}

fn shown_char(c: char) -> Box<dyn Iterator<Item = char>> {
    if c.is_control() { Box::new(c.escape_default()) } else { Box::new(std::iter::once(c)) }
}

/// Several values in backticks, separated by commas.
pub(super) fn listed<'a>(values: impl IntoIterator<Item = &'a str>) -> String {
    values.into_iter().map(quoted).collect::<Vec<_>>().join(", ")
}

/// "did you mean …" where one of the known words is near, else which words there are.
pub(super) fn suggestion<'a>(
    word: &str,
    known: impl IntoIterator<Item = &'a str>,
    introduction: &str,
) -> String {
    const NEAR: f64 = 0.8;
    let known: Vec<&str> = known.into_iter().collect();
    let spelled = word.to_lowercase().replace('_', "-");
    known
        .iter()
        .map(|candidate| (strsim::jaro_winkler(&spelled, candidate), candidate))
        .filter(|(nearness, _)| *nearness >= NEAR)
        .max_by(|(one, _), (other, _)| one.total_cmp(other))
        .map_or_else(
            || format!("{introduction} {}", listed(known.iter().copied())),
            |(_, candidate)| format!("did you mean {}?", quoted(candidate)),
        )
}
