//! A host: does as it is told with the machines it keeps, and answers.

use anyhow::{Context, bail};
use axum::Router;
use lapin::types::AMQPValue;
use serde_json::{Map, Value};

use super::contract::{
    self, Answer, COMMAND_HEADER, COMPETING, Command, DECLINED_HEADER, Declined, Host, Lack, Verb, Wanted,
};
use super::machines::{Applied, Asker, Machines, Means, Outcome};
use crate::{Program, Settings};
use fedctl_messaging::{
    Consume, ConsumeError, Log, Message, Outgoing, PublishError, Publisher, Subscription,
};

/// As many as a commit may be for. A machine to create waits for none before it: it could be created elsewhere.
const PREFETCH: u16 = 64;
const CAPACITY: &str = "CAPACITY";
const IMAGES: &str = "IMAGES";

/// Does as it is told.
pub struct ComputeHost {
    /// This host.
    pub own: Host,
    /// All known hosts, this one included.
    pub known: Vec<Host>,
    /// What it keeps.
    pub machines: Machines,
    /// Where answers go.
    pub publisher: Publisher,
    /// Where what was done is told.
    pub log: Log,
}

/// What `host` consumes.
#[must_use]
pub fn subscriptions(host: &Host) -> Vec<Subscription> {
    vec![Subscription::concurrent(COMPETING, PREFETCH), Subscription::batched(host.queue(), PREFETCH)]
}

/// What a host has to give: `CAPACITY` (processors, 4 where not set) and `IMAGES` (comma separated, `debian` and
/// `alpine` where not set).
///
/// # Errors
/// When one of them is wrong, by name.
pub fn means(settings: &Settings) -> anyhow::Result<Means> {
    let cpus: u32 =
        settings.read_option(CAPACITY, "4", "a number of processors", |text| text.parse().ok())?;
    let list = settings.option(IMAGES).unwrap_or("debian,alpine");
    let images: Vec<String> =
        list.split(',').map(str::trim).filter(|image| !image.is_empty()).map(str::to_owned).collect();
    if images.is_empty() {
        bail!("`{IMAGES}` is `{list}`, which names no image");
    }
    Ok(Means { cpus: cpus.into(), images })
}

pub(crate) async fn run(program: Program) -> anyhow::Result<()> {
    let settings = &program.settings;
    let own = Host::new(&settings.region, &settings.instance).context("`REGION` and `INSTANCE`")?;
    let (known, means) = (contract::known_to(&own, settings)?, means(settings)?);
    let machines = Machines::open(settings.store.join(format!("{}.db", settings.instance)), means).await?;
    let (subscriptions, declarations) =
        (subscriptions(&own), contract::declarations(&settings.regions, &known));
    let (publisher, log) = (program.publisher.clone(), program.log.clone());
    let consumer = ComputeHost { own, known, machines: machines.clone(), publisher, log };
    program.run(declarations, subscriptions, consumer, Router::new()).await?;
    Ok(machines.close().await?)
}

impl Consume for ComputeHost {
    async fn consume(&self, message: &Message) -> Result<(), ConsumeError> {
        let asker = Asker::of(message);
        let command = match Command::read(message) {
            Ok(command) => command,
            Err(reason) if asker.reply_to.is_none() => return Err(ConsumeError::Permanent(reason)),
            Err(reason) => return self.answer(message, &asker, "", Err(reason)).await,
        };
        let Applied { outcome, first, overdue } = self.machines.apply(asker.clone(), command.clone()).await?;
        self.settle(overdue).await;
        if !first {
            self.log
                .info("duplicate_skipped")
                .with_message(message)
                .with("host", self.own.to_string())
                .write();
        }
        let name = command.verb().name();
        match (outcome, &command) {
            (Outcome::Declined(lack), Command::Create(wanted)) => {
                self.decline(message, &asker, wanted, lack).await
            }
            (Outcome::Declined(_), _) => Err(ConsumeError::Permanent(format!("`{name}` cannot be declined"))),
            (Outcome::Refused(reason), _) => self.answer(message, &asker, name, Err(reason)).await,
            (Outcome::Done(result), _) => {
                if first {
                    self.tell(message, &command, result.get("vm"));
                }
                self.answer(message, &asker, name, Ok(result)).await?;
                if command.verb() == Verb::Create {
                    self.machines.settle(asker.message_id);
                }
                Ok(())
            }
        }
    }
}

impl ComputeHost {
    fn tell(&self, message: &Message, command: &Command, vm: Option<&Value>) {
        let word = match command.verb() {
            Verb::Create => "vm_created",
            Verb::Start => "vm_started",
            Verb::Stop => "vm_stopped",
            Verb::Delete => "vm_deleted",
            Verb::List => "vms_listed",
        };
        let mut line = self.log.info(word).with_message(message).with("host", self.own.to_string());
        if let Some(Value::Object(vm)) = vm {
            line = line.with_fields(&vm.iter().collect());
        }
        line.write();
    }

    /// Lets another host create the machine, by way of that host's own queue: back in the shared queue this
    /// very host would be the first to take it again. Where all have declined, that is the answer.
    async fn decline(
        &self,
        message: &Message,
        asker: &Asker,
        wanted: &Wanted,
        lack: Lack,
    ) -> Result<(), ConsumeError> {
        let declined = Declined::read(&message.list_header(DECLINED_HEADER)).and(&self.own, lack);
        let next = declined.next(&self.own, &self.known);
        self.log
            .info("vm_declined")
            .with_message(message)
            .with("host", self.own.to_string())
            .with("name", &*wanted.name)
            .with("reason", lack.name())
            .with("handed_to", next.map(ToString::to_string))
            .write();
        let name = Verb::Create.name();
        let Some(next) = next else {
            return self.answer(message, asker, name, Err(declined.verdict(wanted))).await;
        };
        // Under its own identifier: the next host must know it, should it come there twice.
        let mut handed = Outgoing::json("", next.queue(), wanted)
            .with_message_id(&asker.message_id)
            .with_correlation_id(asker.correlation_id.as_deref())
            .with_header(COMMAND_HEADER, AMQPValue::LongString(name.into()))
            .with_header(DECLINED_HEADER, AMQPValue::LongString(declined.to_string().into()))
            .with_log_field("host", self.own.to_string())
            .with_log_field("name", &*wanted.name)
            .with_log_field("handed_to", next.to_string());
        if let Some(reply_to) = &asker.reply_to {
            handed = handed.with_reply_to(reply_to);
        }
        Ok(self.publisher.publish(handed).await?)
    }

    /// Answers whoever wants to know, also again: whether a first answer got out cannot be known, and the
    /// same identifier makes a second one harmless.
    async fn answer(
        &self,
        message: &Message,
        asker: &Asker,
        command: &str,
        result: Result<Map<String, Value>, String>,
    ) -> Result<(), ConsumeError> {
        let Some(reply_to) = &asker.reply_to else { return Ok(()) };
        let answer = Answer { host: self.own.clone(), result };
        self.publisher.publish(self.reply(asker, reply_to, command, &answer)).await?;
        let mut line = self
            .log
            .info("command_answered")
            .with_message(message)
            .with("host", self.own.to_string())
            .with("command", command)
            .with("status", answer.status())
            .with("reply_to", &**reply_to);
        if let Err(reason) = &answer.result {
            line = line.with("reason", reason.as_str());
        }
        line.write();
        Ok(())
    }

    fn reply(&self, asker: &Asker, reply_to: &str, command: &str, answer: &Answer) -> Outgoing {
        Outgoing::json("", reply_to, &answer.json())
            .with_correlation_id(asker.correlation_id.as_deref())
            .caused_by(&asker.message_id, &format!("reply.{}", self.own))
            .with_log_field("host", self.own.to_string())
            .with_log_field("command", command)
            .with_log_field("status", answer.status())
    }

    /// Gives the answers that were not given when they should have been. Where a crash or a broken connection
    /// came between a machine and its answer, another host has been told to create it too, and only the front
    /// can know: it undoes the second one that it hears of.
    async fn settle(&self, overdue: Vec<(Asker, Outcome)>) {
        for (asker, outcome) in overdue {
            if let (Outcome::Done(result), Some(reply_to)) = (outcome, &asker.reply_to) {
                let answer = Answer { host: self.own.clone(), result: Ok(result) };
                let reply = self.reply(&asker, reply_to, Verb::Create.name(), &answer);
                match self.publisher.publish(reply).await {
                    // Without the queue of the answers there is nobody left to tell.
                    Ok(()) | Err(PublishError::Unroutable { .. }) => {}
                    // Still owed at the next command; this one has nothing to do with it.
                    Err(_) => return,
                }
            }
            self.machines.settle(asker.message_id);
        }
    }
}
