//! A broker's error in plain words.

/// The upstream lets the link's user in no more, or not with that password.
pub(super) const REFUSED: &str = "the upstream refuses the link's user or password";

/// What a link's status and error mean. The broker gives the error as an Erlang term; where it is one that
/// fedctl knows the meaning is said, and everything else is shown as it is.
pub(super) fn plain(status: &str, error: Option<&str>) -> String {
    let raw = error.unwrap_or_default();
    let known = [
        ("econnrefused", "connection refused: the upstream's broker is not up"),
        ("unknown_host", "the upstream's host name is unknown: is its broker stopped, or off the network?"),
        ("nxdomain", "the upstream's host name is unknown: is its broker stopped, or off the network?"),
        ("ehostunreach", "no route to the upstream"),
        ("etimedout", "the upstream does not answer"),
        ("auth_failure", REFUSED),
        ("not_allowed", "the upstream refuses the link's user in that virtual host"),
        ("heartbeat_timeout", "the upstream fell silent"),
        // after the longer word that it is part of
        ("timeout", "the upstream does not answer"),
        ("upstream_channel_down", "the connection to the upstream broke"),
        ("downstream_channel_down", "the broker's own side of the link broke"),
        ("socket_closed_unexpectedly", "the upstream closed the connection"),
    ];
    // what the upstream itself says tells more than where the link broke, and may contain any word
    let refused = ["403", "404", "405", "406"].iter().any(|code| raw.contains(&format!(",{code},")));
    if let Some(text) = quoted(raw).filter(|_| refused) {
        return format!("the upstream refuses: {text}");
    }
    let meaning = known.iter().find(|(word, _)| status == *word || raw.contains(word));
    match meaning {
        Some((_, meaning)) => (*meaning).to_owned(),
        None if raw.is_empty() => status.replace('_', " "),
        None => format!("{}: {raw}", status.replace('_', " ")),
    }
}

/// The text inside an Erlang binary: `<<"…">>`.
fn quoted(term: &str) -> Option<&str> {
    let (_, rest) = term.split_once("<<\"")?;
    rest.split_once("\">>").map(|(text, _)| text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_errors_are_said_in_plain_words_and_others_are_shown() {
        assert!(plain("error", Some("econnrefused")).starts_with("connection refused"));
        assert_eq!(plain("noproc", None), "noproc");
        let refused = "{server_initiated_close,403,<<\"ACCESS_REFUSED - read access\">>}";
        assert_eq!(plain("shutdown", Some(refused)), "the upstream refuses: ACCESS_REFUSED - read access");
        assert_eq!(plain("error", Some("{odd,thing}")), "error: {odd,thing}");
    }
}
