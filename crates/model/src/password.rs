//! RabbitMQ's password hash: base64 of a salt followed by SHA-256 of salt and password.
//!
//! Source: `rabbit_password.erl` and RabbitMQ's guide "Credentials and Passwords".

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use sha2::{Digest, Sha256};

use crate::secret::Secret;

/// The hash with a salt derived from the password, so that equal passwords make equal files.
///
/// fedctl's passwords are random and never used twice, so the salt has nothing left to protect.
#[must_use]
pub fn hash(password: &Secret) -> String {
    let digest = Sha256::digest(password.expose());
    hash_with_salt(password, [digest[0], digest[1], digest[2], digest[3]])
}

#[must_use]
pub fn hash_with_salt(password: &Secret, salt: [u8; 4]) -> String {
    let mut hasher = Sha256::new();
    hasher.update(salt);
    hasher.update(password.expose());
    BASE64.encode([salt.as_slice(), &hasher.finalize()].concat())
}

/// Whether `hash`, as a broker reports it, was made from `password`.
#[must_use]
pub fn matches(password: &Secret, hash: &str) -> bool {
    let salt = BASE64.decode(hash).ok().and_then(|bytes| bytes.first_chunk::<4>().copied());
    salt.is_some_and(|salt| hash_with_salt(password, salt) == hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_the_one_in_rabbitmqs_guide() {
        let password = Secret::new("test12");
        let hash = "kI3GCqW5JLMJa4iX1lo7X4D6XbYqlLgxIs30+P6tENUV2POR";
        assert_eq!(hash_with_salt(&password, [0x90, 0x8D, 0xC6, 0x0A]), hash);
        assert!(matches(&password, hash));
        assert!(!matches(&Secret::new("test13"), hash));
    }
}
