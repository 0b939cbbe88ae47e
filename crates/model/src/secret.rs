//! A text that must never be printed.

use std::fmt;

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use sha2::{Digest, Sha256};

/// A password, key or anything else whose text may be used but never shown.
///
/// `Debug` and `Display` both print `***`; the text comes out only through [`Secret::expose`].
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Secret(String);

impl Secret {
    /// Wraps `text`.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself, for the one place that has to send or store it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// RabbitMQ's password hash: base64 of the salt followed by SHA-256 of salt and password.
///
/// Source: `rabbit_password.erl` and RabbitMQ's guide "Credentials and Passwords".
#[must_use]
pub fn rabbitmq_hash(password: &Secret, salt: [u8; 4]) -> String {
    let mut hasher = Sha256::new();
    hasher.update(salt);
    hasher.update(password.expose());
    BASE64.encode([salt.as_slice(), &hasher.finalize()].concat())
}

/// A salt that is always the same for one password, so that equal passwords make equal files.
///
/// fedctl's passwords are random and never used twice, so the salt has nothing left to protect.
#[must_use]
pub fn salt(password: &Secret) -> [u8; 4] {
    let hash = Sha256::digest(password.expose());
    [hash[0], hash[1], hash[2], hash[3]]
}

/// Whether `hash`, as a broker reports it, was made from `password`.
#[must_use]
pub fn matches_rabbitmq_hash(password: &Secret, hash: &str) -> bool {
    let salt = BASE64.decode(hash).ok().and_then(|bytes| bytes.first_chunk::<4>().copied());
    salt.is_some_and(|salt| rabbitmq_hash(password, salt) == hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_password_hash_is_the_one_in_rabbitmqs_guide() {
        let password = Secret::new("test12");
        let hash = "kI3GCqW5JLMJa4iX1lo7X4D6XbYqlLgxIs30+P6tENUV2POR";
        assert_eq!(rabbitmq_hash(&password, [0x90, 0x8D, 0xC6, 0x0A]), hash);
        assert!(matches_rabbitmq_hash(&password, hash));
        assert!(!matches_rabbitmq_hash(&Secret::new("test13"), hash));
    }

    #[test]
    fn a_secret_prints_three_stars() {
        let secret = Secret::new("hunter2");
        assert_eq!(format!("{secret} {secret:?}"), "*** ***");
    }
}
