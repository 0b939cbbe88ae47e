//! Reading a JSON object field by field: all that is wrong is reported at once.

use std::collections::BTreeMap;
use std::fmt;

use fedctl_messaging::ConsumeError;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::decimal::Decimal;

/// What is wrong with a body: reasons by field, in the words of the original example's validation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Default)]
pub struct Invalid(BTreeMap<String, Vec<String>>);

impl Invalid {
    /// A body wrong as a whole.
    #[must_use]
    pub fn whole(reason: impl Into<String>) -> Self {
        Self::field("_schema", reason)
    }

    /// One field that is wrong.
    #[must_use]
    pub fn field(name: &str, reason: impl Into<String>) -> Self {
        Self(BTreeMap::from([(name.to_owned(), vec![reason.into()])]))
    }
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let reasons: Vec<String> =
            self.0.iter().map(|(field, reasons)| format!("{field}: {}", reasons.join(" "))).collect();
        f.write_str(&reasons.join("; "))
    }
}

impl From<Invalid> for ConsumeError {
    fn from(invalid: Invalid) -> Self {
        Self::Permanent(invalid.to_string())
    }
}

/// Reads the fields of an object, and gathers what is wrong with them.
pub(crate) struct Fields<'a> {
    object: &'a Map<String, Value>,
    invalid: Invalid,
}

impl<'a> Fields<'a> {
    pub(crate) fn of(json: &'a Value) -> Result<Self, Invalid> {
        let object = json.as_object().ok_or_else(|| Invalid::whole("Invalid input type."))?;
        Ok(Self { object, invalid: Invalid::default() })
    }

    pub(crate) fn field<T: Default>(
        &mut self,
        name: &str,
        fault: &str,
        read: impl FnOnce(&'a Value) -> Option<T>,
    ) -> T {
        let reason = match self.object.get(name) {
            None => "Missing data for required field.",
            Some(Value::Null) => "Field may not be null.",
            Some(value) => match read(value) {
                Some(value) => return value,
                None => fault,
            },
        };
        self.invalid.0.insert(name.to_owned(), vec![reason.to_owned()]);
        T::default()
    }

    pub(crate) fn integer(&mut self, name: &str) -> i64 {
        self.field(name, "Not a valid integer.", Value::as_i64)
    }

    pub(crate) fn text(&mut self, name: &str) -> String {
        self.field(name, "Not a valid string.", |value| value.as_str().map(str::to_owned))
    }

    pub(crate) fn decimal(&mut self, name: &str) -> Decimal {
        let read = |value: &Value| value.as_str().and_then(Decimal::parse);
        self.field(name, "Not a valid decimal string.", read)
    }

    pub(crate) fn finish<T>(self, value: T) -> Result<T, Invalid> {
        if self.invalid.0.is_empty() { Ok(value) } else { Err(self.invalid) }
    }
}
