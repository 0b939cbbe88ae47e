//! Why a link does not run, read once from what its broker reports.

use std::fmt;

use super::{LinkState, codes};
use crate::{diagnostic::Code, observed::Plugin, site::Unavailable, topology::RegionName};

/// Why a link does not run, or runs and does not forward everything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// It runs, and the upstream does not know one of the downstream's bindings.
    BindingNotPropagated {
        /// The binding's routing key.
        routing_key: String,
    },
    /// It runs, and the upstream's internal exchange is not bound to its queue: nothing arrives.
    InternalBindingMissing,
    /// It runs, its downstream's queue is empty and has a consumer, and it fetches nothing.
    NotFetching,
    /// Its connection comes from an address that the downstream no longer has.
    Stale,
    /// A broker at one of its ends is not attached to the network between the regions.
    OffNetwork {
        /// The region of that broker.
        region: RegionName,
        /// The network.
        network: String,
    },
    /// The upstream's broker does not run, or does not answer.
    UpstreamUnavailable(Unavailable),
    /// The downstream's broker does not run.
    DownstreamUnavailable(Unavailable),
    /// A broker at one of its ends lacks the federation plugin.
    PluginDisabled {
        /// The region of that broker.
        region: RegionName,
    },
    /// The upstream refuses its user or password.
    AccessRefused,
    /// The upstream refuses its user in the virtual host.
    VhostRefused,
    /// Nothing listens on the upstream's AMQP port.
    ConnectionRefused,
    /// The upstream's host name is unknown.
    UnknownHost,
    /// The network has no route to the upstream's host.
    NoRoute,
    /// The upstream did not answer in time.
    TimedOut,
    /// Heartbeats from the upstream stopped.
    Silent,
    /// The connection to the upstream was lost.
    ConnectionLost,
    /// The upstream closed the connection.
    ClosedByUpstream,
    /// The downstream's own channel was lost.
    DownstreamChannelLost,
    /// The upstream answered with an AMQP error.
    RefusedByUpstream {
        /// The error's text.
        text: String,
    },
    /// It has been connecting for longer than a reachable upstream takes.
    StartingTooLong {
        /// For so long.
        seconds: u64,
    },
    /// The broker no longer has its exchange or queue.
    NotDeclared,
    /// The broker lacks the policy.
    PolicyMissing {
        /// The policy's name.
        policy: String,
    },
    /// Another policy applies to the exchange or queue: of several only one ever does.
    PolicyOverridden {
        /// The topology's policy.
        policy: String,
        /// The one that applies.
        by: String,
        /// Its priority.
        priority: i32,
    },
    /// The broker lacks the upstream.
    UpstreamMissing,
    /// The broker has not started it, though it has what the link needs.
    NotStarted,
    /// The broker has it, and the topology does not require it.
    NotInTopology,
    /// It does not trust the upstream's certificate, or the other way round: TLS's word for it.
    TlsAlert { alert: String },
    /// Something that fedctl does not know, in the broker's own words: the set of them is open.
    Other {
        /// RabbitMQ's word.
        status: String,
        /// RabbitMQ's Erlang term.
        error: Option<String>,
    },
}

impl Reason {
    /// Reads a link's status and error, an Erlang term.
    ///
    /// Only the term's atoms and numbers count, not what is quoted in it: an upstream's own text may contain any word.
    pub(super) fn of(status: &str, error: Option<&str>) -> Self {
        let tokens = tokens(error.unwrap_or_default());
        let texts = tokens.windows(2).find_map(|pair| match pair {
            [Token::Integer("403" | "404" | "405" | "406"), Token::Text(text)] => Some((*text).to_owned()),
            _ => None,
        });
        // an answer of the upstream says more than where the link broke
        if let Some(text) = texts {
            return Reason::RefusedByUpstream { text };
        }
        let alert = tokens.windows(2).find_map(|pair| match pair {
            [Token::Atom("tls_alert"), Token::Atom(alert)] => Some((*alert).to_owned()),
            _ => None,
        });
        if let Some(alert) = alert {
            return Reason::TlsAlert { alert };
        }
        let has = |atom: &str| status == atom || tokens.contains(&Token::Atom(atom));
        let known = [
            ("econnrefused", Reason::ConnectionRefused),
            ("unknown_host", Reason::UnknownHost),
            ("nxdomain", Reason::UnknownHost),
            ("ehostunreach", Reason::NoRoute),
            ("etimedout", Reason::TimedOut),
            ("timeout", Reason::TimedOut),
            ("auth_failure", Reason::AccessRefused),
            ("not_allowed", Reason::VhostRefused),
            ("heartbeat_timeout", Reason::Silent),
            ("upstream_channel_down", Reason::ConnectionLost),
            ("downstream_channel_down", Reason::DownstreamChannelLost),
            ("socket_closed_unexpectedly", Reason::ClosedByUpstream),
        ];
        known.into_iter().find(|(atom, _)| has(atom)).map_or_else(
            || Reason::Other { status: status.to_owned(), error: error.map(str::to_owned) },
            |(_, reason)| reason,
        )
    }

    /// The state of a link for this reason.
    #[must_use]
    pub fn state(&self) -> LinkState {
        match self {
            Reason::BindingNotPropagated { .. } => LinkState::Starting,
            Reason::InternalBindingMissing
            | Reason::NotFetching
            | Reason::Stale
            | Reason::OffNetwork { .. }
            | Reason::UpstreamUnavailable(_)
            | Reason::DownstreamUnavailable(_)
            | Reason::PluginDisabled { .. }
            | Reason::AccessRefused
            | Reason::VhostRefused
            | Reason::ConnectionRefused
            | Reason::UnknownHost
            | Reason::NoRoute
            | Reason::TimedOut
            | Reason::Silent
            | Reason::ConnectionLost
            | Reason::ClosedByUpstream
            | Reason::DownstreamChannelLost
            | Reason::RefusedByUpstream { .. }
            | Reason::StartingTooLong { .. }
            | Reason::TlsAlert { .. }
            | Reason::Other { .. } => LinkState::Down,
            Reason::NotDeclared
            | Reason::PolicyMissing { .. }
            | Reason::PolicyOverridden { .. }
            | Reason::UpstreamMissing
            | Reason::NotStarted => LinkState::Missing,
            Reason::NotInTopology => LinkState::Unexpected,
        }
    }

    /// The code by which `fedctl explain` explains it.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Reason::BindingNotPropagated { .. } => codes::BINDING_NOT_PROPAGATED,
            Reason::InternalBindingMissing => codes::INTERNAL_BINDING_MISSING,
            Reason::NotFetching => codes::NOT_FETCHING,
            Reason::Stale => codes::STALE,
            Reason::OffNetwork { .. } => codes::OFF_NETWORK,
            Reason::UpstreamUnavailable(_) => codes::UPSTREAM_UNAVAILABLE,
            Reason::DownstreamUnavailable(_) => codes::DOWNSTREAM_UNAVAILABLE,
            Reason::PluginDisabled { .. } => codes::PLUGIN_DISABLED,
            Reason::NotDeclared => codes::NOT_DECLARED,
            Reason::PolicyMissing { .. } => codes::POLICY_MISSING,
            Reason::PolicyOverridden { .. } => codes::POLICY_OVERRIDDEN,
            Reason::UpstreamMissing => codes::UPSTREAM_MISSING,
            Reason::AccessRefused => codes::ACCESS_REFUSED,
            Reason::VhostRefused => codes::VHOST_REFUSED,
            Reason::ConnectionRefused => codes::CONNECTION_REFUSED,
            Reason::UnknownHost => codes::UNKNOWN_HOST,
            Reason::NoRoute => codes::NO_ROUTE,
            Reason::TimedOut => codes::TIMED_OUT,
            Reason::Silent => codes::SILENT,
            Reason::ConnectionLost => codes::CONNECTION_LOST,
            Reason::ClosedByUpstream => codes::CLOSED_BY_UPSTREAM,
            Reason::DownstreamChannelLost => codes::DOWNSTREAM_CHANNEL_LOST,
            Reason::RefusedByUpstream { .. } => codes::REFUSED_BY_UPSTREAM,
            Reason::StartingTooLong { .. } => codes::STARTING_TOO_LONG,
            Reason::NotStarted => codes::NOT_STARTED,
            Reason::NotInTopology => codes::NOT_IN_TOPOLOGY,
            Reason::TlsAlert { .. } => codes::TLS_ALERT,
            Reason::Other { .. } => codes::OTHER,
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reason::BindingNotPropagated { routing_key } => write!(
                f,
                "binding `{routing_key}` not propagated to the upstream: messages with this key are not forwarded"
            ),
            Reason::OffNetwork { region, network } => write!(
                f,
                "the broker of `{region}` is not attached to network `{network}`: `fedctl up` attaches it"
            ),
            Reason::UpstreamUnavailable(unavailable) => write!(f, "the upstream is down: {unavailable}"),
            Reason::DownstreamUnavailable(unavailable) => write!(f, "the downstream is down: {unavailable}"),
            Reason::PluginDisabled { region } => {
                let plugin = Plugin::Federation.name();
                write!(f, "plugin `{plugin}` is not enabled in `{region}`: rabbitmq-plugins enable {plugin}")
            }
            Reason::PolicyMissing { policy } => {
                write!(f, "the downstream lacks policy `{policy}`: `fedctl up` puts it back")
            }
            Reason::PolicyOverridden { policy, by, priority } => write!(
                f,
                "policy `{by}` (priority {priority}) wins over `{policy}`, and only one policy applies: give \
                 `{policy}` a higher `priority`, and in `definition` the other's keys"
            ),
            Reason::RefusedByUpstream { text } => write!(f, "the upstream refuses: {text}"),
            Reason::StartingTooLong { seconds } => {
                write!(f, "connecting for {seconds} s: the upstream does not answer")
            }
            Reason::TlsAlert { alert } => {
                write!(f, "TLS with the upstream failed: {}", alert.replace('_', " "))
            }
            Reason::Other { status, error: None } => f.write_str(&status.replace('_', " ")),
            Reason::Other { status, error: Some(error) } => write!(f, "{}: {error}", status.replace('_', " ")),
            Reason::AccessRefused => f.write_str("the upstream refuses the link's user or password"),
            Reason::VhostRefused => f.write_str("the upstream refuses the link's user in that virtual host"),
            Reason::ConnectionRefused => f.write_str("connection refused: the upstream's broker is not up"),
            Reason::UnknownHost => f.write_str(
                "cannot resolve the upstream's host name: is its broker stopped, or off the network?",
            ),
            Reason::NoRoute => f.write_str("no route to the upstream"),
            Reason::TimedOut => f.write_str("timed out: the upstream does not answer"),
            Reason::Silent => f.write_str("no heartbeat from the upstream"),
            Reason::ConnectionLost => f.write_str("lost the connection to the upstream"),
            Reason::ClosedByUpstream => f.write_str("the upstream closed the connection"),
            Reason::DownstreamChannelLost => f.write_str("lost the channel to the downstream broker"),
            Reason::InternalBindingMissing => f.write_str(
                "the upstream's internal exchange is not bound to the link's queue: messages are not forwarded",
            ),
            Reason::NotFetching => f.write_str(
                "the downstream's queue has a consumer and is empty, and the link fetches nothing for it",
            ),
            Reason::Stale => f.write_str("its connection is dead: the downstream has another address now"),
            Reason::NotDeclared => f.write_str("no longer declared by the downstream's services"),
            Reason::UpstreamMissing => f.write_str("the downstream lacks the upstream: `fedctl up` puts it back"),
            Reason::NotStarted => {
                f.write_str("the downstream has its policy and upstream, and has not started it")
            }
            Reason::NotInTopology => f.write_str("not in the topology"),
        }
    }
}

/// A piece of an Erlang term, without brackets and separators.
#[derive(Debug, PartialEq, Eq)]
enum Token<'t> {
    Atom(&'t str),
    Integer(&'t str),
    /// What is between double quotes: a string or a binary.
    Text(&'t str),
}

fn tokens(term: &str) -> Vec<Token<'_>> {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '@';
    let mut tokens = Vec::new();
    let mut rest = term;
    while let Some(first) = rest.chars().next() {
        let length = if first == '"' {
            let length = text_length(&rest[1..]);
            tokens.push(Token::Text(&rest[1..=length]));
            length + 2
        } else if is_word(first) {
            let length = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
            let word = &rest[..length];
            tokens.push(if first.is_ascii_digit() { Token::Integer(word) } else { Token::Atom(word) });
            length
        } else {
            first.len_utf8()
        };
        rest = rest.get(length..).unwrap_or_default();
    }
    tokens
}

/// The bytes before the quote that ends a text; one after a backslash does not.
fn text_length(text: &str) -> usize {
    let mut escaped = false;
    let end = text.find(|c| {
        let ends = c == '"' && !escaped;
        escaped = c == '\\' && !escaped;
        ends
    });
    end.unwrap_or(text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(status: &str, error: &str, expected: &Reason) {
        let error = (!error.is_empty()).then_some(error);
        assert_eq!(Reason::of(status, error), *expected, "{status} {error:?}");
    }

    #[test]
    fn what_the_broker_reports_is_read_from_the_erlang_term() {
        for (status, error, expected) in [
            ("error", "econnrefused", Reason::ConnectionRefused),
            ("error", "{error,econnrefused}", Reason::ConnectionRefused),
            ("error", "unknown_host", Reason::UnknownHost),
            ("error", "nxdomain", Reason::UnknownHost),
            ("error", "ehostunreach", Reason::NoRoute),
            ("error", "etimedout", Reason::TimedOut),
            ("error", "timeout", Reason::TimedOut),
            ("error", "{auth_failure,\"ACCESS_REFUSED - Login was refused\"}", Reason::AccessRefused),
            ("error", "not_allowed", Reason::VhostRefused),
            (
                "error",
                "{tls_alert,{unknown_ca,\"TLS client: In state certify: Fatal - timeout\"}}",
                Reason::TlsAlert { alert: "unknown_ca".into() },
            ),
            ("heartbeat_timeout", "", Reason::Silent),
            ("error", "heartbeat_timeout", Reason::Silent),
            ("upstream_channel_down", "normal", Reason::ConnectionLost),
            ("downstream_channel_down", "normal", Reason::DownstreamChannelLost),
            ("socket_closed_unexpectedly", "", Reason::ClosedByUpstream),
        ] {
            check(status, error, &expected);
        }
    }

    #[test]
    fn the_upstreams_own_text_is_no_reason_whatever_words_are_in_it() {
        let refused = |text: &str| Reason::RefusedByUpstream { text: text.to_owned() };
        let texts = [
            (404, "NOT_FOUND - no queue 'econnrefused'"),
            (403, "ACCESS_REFUSED - auth_failure"),
            (406, r#"PRECONDITION_FAILED - inequivalent arg \"timeout\", 403"#),
        ];
        for (code, text) in texts {
            let term = format!("{{shutdown,{{server_initiated_close,{code},<<\"{text}\">>}}}}");
            check("upstream_channel_down", &term, &refused(text));
        }
        check(
            "noproc",
            "{odd,\"econnrefused, timeout\"}",
            &Reason::Other { status: "noproc".into(), error: Some("{odd,\"econnrefused, timeout\"}".into()) },
        );
    }

    #[test]
    fn what_is_not_known_is_shown_as_it_is() {
        assert_eq!(Reason::of("invalid_upstream_uri", None).to_string(), "invalid upstream uri");
        assert_eq!(Reason::of("error", Some("{odd,thing}")).to_string(), "error: {odd,thing}");
        for cut in ["{odd,<<\"never closed", "{odd,\"\\", "<<\"\u{1F980}", "\""] {
            assert_eq!(Reason::of("error", Some(cut)).to_string(), format!("error: {cut}"));
        }
    }
}
