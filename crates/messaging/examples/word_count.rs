//! A complete service: it consumes texts, publishes how many words each one has, and dead-letters what is not a text.
//!
//! ```sh
//! docker run --detach --publish 5672:5672 --publish 15672:15672 rabbitmq:4-management
//! cargo run -p fedctl-messaging --example word_count
//! ```
//!
//! Publish `"to be or not to be"`, with its quotation marks, to the queue `texts`, find the count in `word-counts`, and
//! a text without quotation marks in `dead-letters.word-count`.

use std::sync::Arc;

use serde_json::json;
use tokio_util::sync::CancellationToken;

use fedctl_messaging::{
    Binding, Consume, ConsumeError, Declarations, Exchange, ExchangeKind, Log, Message, Metrics, Outgoing,
    Publisher, Session, SessionConfig, Subscription,
};

struct WordCount {
    publisher: Publisher,
    log: Log,
}

impl Consume for WordCount {
    async fn consume(&self, message: &Message) -> Result<(), ConsumeError> {
        let body = message.json()?;
        let text = body.as_str().ok_or_else(|| ConsumeError::Permanent("not a text".to_owned()))?;
        let words = text.split_whitespace().count();
        // a text may be delivered twice; its count then has the same identifier, by which a consumer can recognise it
        let count = Outgoing::json("word-counts", "", &json!({"words": words}))
            .with_correlation_id(message.correlation_id())
            .caused_by(message.identity(), "count");
        self.publisher.publish(count).await?;
        self.log.info("counted").with_message(message).with("words", words).write();
        Ok(())
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let uri = std::env::var("AMQP_URI").unwrap_or_else(|_| "amqp://localhost".to_owned());
    let log = Log::stdout("here", "word-count");
    let publisher = Publisher::new(log.clone(), Metrics::new("word_count"));
    let names = ["texts", "word-counts"].map(str::to_owned);
    let [_, counts] = names.clone();
    let config = SessionConfig {
        name: "word-count".to_owned(),
        declarations: Declarations {
            exchanges: vec![Exchange { name: counts.clone(), kind: ExchangeKind::Fanout }],
            queues: names.into(),
            bindings: vec![Binding { queue: counts.clone(), exchange: counts, key: String::new() }],
        },
        subscriptions: vec![Subscription::batched("texts", 64)],
        dead_letter_queue: "dead-letters.word-count".to_owned(),
        heartbeat: 10,
    };
    let session = Session::new(&uri, config, publisher.clone(), log.clone())?;
    let stop = CancellationToken::new();
    tokio::spawn({
        let stop = stop.clone();
        async move {
            let _ = tokio::signal::ctrl_c().await;
            stop.cancel();
        }
    });
    session.run(Arc::new(WordCount { publisher, log }), stop).await;
    Ok(())
}
