//! What can be wrong with the shape of the file. What its values mean together is in `lints`.

use crate::diagnostic::Code;

pub(super) const ALL: [Code; 11] = [
    MALFORMED,
    TOO_LARGE,
    DUPLICATE_KEY,
    UNKNOWN_KEY,
    MISSING_KEY,
    WRONG_TYPE,
    UNKNOWN_VALUE,
    OUT_OF_RANGE,
    WRONG_LENGTH,
    INVALID_NAME,
    UNREADABLE,
];

pub(super) const MALFORMED: Code = Code::error(
    "FED0101",
    "The file is not valid YAML, so nothing in it could be read. Correct what the finding points at and \
     run the command again; the usual causes are a tab in the indentation, an entry that is \
     indented differently from its neighbours, and an unclosed quote or bracket.",
);
pub(super) const TOO_LARGE: Code = Code::error(
    "FED0102",
    "The file, or what its aliases expand to, is larger or deeper than any topology needs to \
     be. fedctl stops there, because a few aliases of aliases can expand to more than fits in \
     memory. Write fewer or flatter aliases.",
);
pub(super) const DUPLICATE_KEY: Code = Code::error(
    "FED0103",
    "The same mapping has this key twice. YAML parsers disagree on which of the two counts, \
     so fedctl accepts neither. Remove one of them.",
);
pub(super) const UNKNOWN_KEY: Code = Code::error(
    "FED0104",
    "fedctl does not know this key here. It is an error rather than something to skip, because \
     a misspelt setting would otherwise silently keep its default. Correct the spelling, move \
     the key to where it belongs, or remove it; `fedctl schema` prints every key.",
);
pub(super) const MISSING_KEY: Code =
    Code::error("FED0105", "The mapping lacks a key that has no default. Add it.");
pub(super) const WRONG_TYPE: Code = Code::error(
    "FED0106",
    "The value is of another type than the setting. YAML guesses the type from the spelling: \
     `8080` is a number, `true` is true or false, and both become text in quotes. Write the \
     value as the type that the finding names.",
);
pub(super) const UNKNOWN_VALUE: Code = Code::error(
    "FED0107",
    "The setting takes one of a fixed set of values, and this is not one of them. Choose one that the \
     finding lists.",
);
pub(super) const OUT_OF_RANGE: Code = Code::error(
    "FED0108",
    "The number is smaller or larger than the setting allows. The limits are those of RabbitMQ, \
     of the engine, or of what can work: a broker does not start in less than 192 MiB. Choose a \
     number between them.",
);
pub(super) const WRONG_LENGTH: Code = Code::error(
    "FED0109",
    "The text or list has too few or too many parts. A name becomes part of host names, which \
     may have 63 characters, and a topology without regions would start nothing. Shorten it, or \
     add what is missing.",
);
pub(super) const INVALID_NAME: Code = Code::error(
    "FED0110",
    "Names become host names, container names and RabbitMQ's cluster names, so they follow the \
     rule of host names: lower-case letters, digits and `-`, starting with a letter and ending \
     with a letter or digit. Rename it.",
);
pub(super) const UNREADABLE: Code = Code::error(
    "FED0120",
    "Every check passed and the file still could not be read as a topology. That is a \
     gap in fedctl's checks: please report it together with the file.",
);
