//! The script that makes the passwords.

use std::fmt::Write;

use super::{Parts, SECRETS, Source};
use crate::desired::{COOKIE, PasswordId};

/// Passwords reach no command's arguments: they go from file to file, by a sed script that is a file too.
const HEAD: &str = r#"#!/bin/sh
# Makes the passwords that compose.yaml asks for, once, and the files that hold them, in .secrets.
# Run it again after every export: a password that is there stays as it is.
#
# Made by `fedctl export compose`: change regions.yaml and run that again rather than change this.
set -eu
umask 077
cd -- "$(dirname -- "$0")"
mkdir -p .secrets
chmod 0700 .secrets
echo '*' >.secrets/.gitignore
: >.secrets/fill.sed

# A password is 192 random bits, in a file of its own.
password() {
    file=.secrets/passwords/$1
    mkdir -p "${file%/*}"
    [ -s "$file" ] || od -An -N24 -tx1 /dev/urandom | tr -d ' \n' >"$file"
    secret=$(cat "$file")
    printf 's|@%s@|%s|g\n' "$1" "${secret:?no password was made}" >>.secrets/fill.sed
}

# Puts passwords in the places of their names. A container's user is not the one who runs this, so each file may be
# read by all; but nobody else gets through .secrets to it, and a container sees only the files mounted into it.
fill() {
    file=.secrets/$1
    mkdir -p "${file%/*}"
    sed -f .secrets/fill.sed >.secrets/filled
    cmp -s .secrets/filled "$file" || cat .secrets/filled >"$file"
    chmod 0644 "$file"
}

"#;

pub(super) fn secrets(ids: &[PasswordId], containers: &[Parts]) -> String {
    let mut script = HEAD.to_owned();
    for id in ids.iter().filter(|id| id.user != COOKIE) {
        writeln!(script, "password {}", quoted(&format!("{}/{}", id.region, id.user))).ok();
    }
    script.push('\n');
    for filled in containers.iter().flat_map(|parts| &parts.filled) {
        let path = quoted(&filled.path);
        match &filled.source {
            Source::Template(template) => writeln!(script, "fill {path} <{}", quoted(template)),
            Source::Text(text) => writeln!(script, "printf %s {} | fill {path}", quoted(text)),
        }
        .ok();
    }
    script.push('\n');
    let mounts = containers.iter().flat_map(|parts| &parts.mounts);
    for (path, _) in mounts.filter(|(path, _)| !path.starts_with(SECRETS)) {
        writeln!(script, "chmod a+r {}", quoted(path)).ok();
    }
    write!(script, "\nrm {SECRETS}/fill.sed {SECRETS}/filled\n").ok();
    script
}

/// A word of the shell's language that means exactly this text.
fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/-_.".contains(c);
    if text.chars().all(plain) { text.to_owned() } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quoted_word_ends_nowhere_but_at_its_end() {
        assert_eq!(quoted("europe/link-asia"), "europe/link-asia");
        assert_eq!(quoted("it's $HOME"), r"'it'\''s $HOME'");
    }
}
