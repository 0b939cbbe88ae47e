//! A host: carries out commands on the machines it keeps, and answers.

use anyhow::{Context, bail};
use axum::Router;
use lapin::types::AMQPValue;
use serde_json::{Map, Value};

use super::command::{self, Answer, Command, Declined, Host, Shortage, Verb, VmSpec};
use super::machines::{Applied, Capacity, Machines, Outcome, Requester};
use crate::process::Process;
use crate::settings::Settings;
use fedctl_contract::compute::{COMMAND_HEADER, CREATE_QUEUE, DECLINED_HEADER};
use fedctl_contract::environment::{CAPACITY, IMAGES};
use fedctl_contract::log::{event, field};
use fedctl_messaging::{
    Consume, ConsumeError, Log, Message, Outgoing, PublishError, Publisher, Subscription,
};

/// As many as a commit may be for. A machine to create waits for none before it: it could be created elsewhere.
const PREFETCH: u16 = 64;

/// Carries out commands.
pub struct ComputeHost {
    /// This host.
    pub own: Host,
    /// All known hosts, this one included.
    pub known: Vec<Host>,
    /// What it keeps.
    pub machines: Machines,
    /// Where answers go.
    pub publisher: Publisher,
    pub log: Log,
}

/// What `host` consumes.
#[must_use]
pub fn subscriptions(host: &Host) -> Vec<Subscription> {
    vec![Subscription::concurrent(CREATE_QUEUE, PREFETCH), Subscription::batched(host.queue(), PREFETCH)]
}

/// What a host has to give: `CAPACITY` (processors, 4 where not set) and `IMAGES` (comma separated, `debian` and
/// `alpine` where not set).
///
/// # Errors
/// When one of them is wrong, by name.
pub fn capacity(settings: &Settings) -> anyhow::Result<Capacity> {
    let cpus: u32 =
        settings.read_option(CAPACITY, "4", "a number of processors", |text| text.parse().ok())?;
    let list = settings.option(IMAGES).unwrap_or("debian,alpine");
    let images: Vec<String> =
        list.split(',').map(str::trim).filter(|image| !image.is_empty()).map(str::to_owned).collect();
    if images.is_empty() {
        bail!("`{IMAGES}` is `{list}`, which names no image");
    }
    Ok(Capacity { cpus: cpus.into(), images })
}

pub(crate) async fn run(process: Process) -> anyhow::Result<()> {
    let settings = &process.settings;
    let own = Host::new(&settings.region, &settings.instance).context("`REGION` and `INSTANCE`")?;
    let (known, capacity) = (command::known_to(&own, settings)?, capacity(settings)?);
    let machines = Machines::open(settings.store.join(format!("{}.db", settings.instance)), capacity).await?;
    let (subscriptions, declarations) =
        (subscriptions(&own), command::declarations(&settings.regions, &known));
    let (publisher, log) = (process.publisher.clone(), process.log.clone());
    let consumer = ComputeHost { own, known, machines: machines.clone(), publisher, log };
    process.run(declarations, subscriptions, consumer, Router::new()).await?;
    Ok(machines.close().await?)
}

impl Consume for ComputeHost {
    async fn consume(&self, message: &Message) -> Result<(), ConsumeError> {
        let requester = Requester::of(message);
        let command = match Command::read(message) {
            Ok(command) => command,
            Err(reason) if requester.reply_to.is_none() => return Err(ConsumeError::Permanent(reason)),
            Err(reason) => return self.answer(message, &requester, "", Err(reason)).await,
        };
        let Applied { outcome, first, overdue } =
            self.machines.apply(requester.clone(), command.clone()).await?;
        self.settle(overdue).await;
        if !first {
            self.log
                .info(event::DUPLICATE_SKIPPED)
                .with_message(message)
                .with(field::HOST, self.own.to_string())
                .write();
        }
        let name = command.verb().name();
        match (outcome, &command) {
            (Outcome::Declined(shortage), Command::Create(spec)) => {
                self.decline(message, &requester, spec, shortage).await
            }
            (Outcome::Declined(_), _) => Err(ConsumeError::Permanent(format!("`{name}` cannot be declined"))),
            (Outcome::Refused(reason), _) => self.answer(message, &requester, name, Err(reason)).await,
            (Outcome::Done(result), _) => {
                if first {
                    self.log_outcome(message, &command, result.get("vm"));
                }
                self.answer(message, &requester, name, Ok(result)).await?;
                if command.verb() == Verb::Create {
                    self.machines.settle(requester.message_id);
                }
                Ok(())
            }
        }
    }
}

impl ComputeHost {
    fn log_outcome(&self, message: &Message, command: &Command, vm: Option<&Value>) {
        let word = match command.verb() {
            Verb::Create => event::VM_CREATED,
            Verb::Start => event::VM_STARTED,
            Verb::Stop => event::VM_STOPPED,
            Verb::Delete => event::VM_DELETED,
            Verb::List => event::VMS_LISTED,
        };
        let mut line = self.log.info(word).with_message(message).with(field::HOST, self.own.to_string());
        if let Some(Value::Object(vm)) = vm {
            line = line.with_fields(&vm.iter().collect());
        }
        line.write();
    }

    /// Leaves the machine to another host, through that host's own queue: in the shared queue this host might take it
    /// again. If all have declined, that is the answer.
    async fn decline(
        &self,
        message: &Message,
        requester: &Requester,
        spec: &VmSpec,
        shortage: Shortage,
    ) -> Result<(), ConsumeError> {
        let declined = Declined::read(&message.list_header(DECLINED_HEADER)).and(&self.own, shortage);
        let next = declined.next(&self.own, &self.known);
        self.log
            .info(event::VM_DECLINED)
            .with_message(message)
            .with(field::HOST, self.own.to_string())
            .with(field::NAME, &*spec.name)
            .with(field::REASON, shortage.name())
            .with(field::HANDED_TO, next.map(ToString::to_string))
            .write();
        let name = Verb::Create.name();
        let Some(next) = next else {
            return self.answer(message, requester, name, Err(declined.verdict(spec))).await;
        };
        // Under the same identifier: the next host must recognise it if it is delivered twice.
        let mut handed = Outgoing::json("", next.queue(), spec)
            .with_message_id(&requester.message_id)
            .with_correlation_id(requester.correlation_id.as_deref())
            .with_header(COMMAND_HEADER, AMQPValue::LongString(name.into()))
            .with_header(DECLINED_HEADER, AMQPValue::LongString(declined.to_string().into()))
            .with_log_field(field::HOST, self.own.to_string())
            .with_log_field(field::NAME, &*spec.name)
            .with_log_field(field::HANDED_TO, next.to_string());
        if let Some(reply_to) = &requester.reply_to {
            handed = handed.with_reply_to(reply_to);
        }
        Ok(self.publisher.publish(handed).await?)
    }

    /// Answers if an answer is wanted, also a second time: whether the first was delivered cannot be known, and the
    /// same identifier makes a second one harmless.
    async fn answer(
        &self,
        message: &Message,
        requester: &Requester,
        command: &str,
        result: Result<Map<String, Value>, String>,
    ) -> Result<(), ConsumeError> {
        let Some(reply_to) = &requester.reply_to else { return Ok(()) };
        let answer = Answer { host: self.own.clone(), result };
        self.publisher.publish(self.reply(requester, reply_to, command, &answer)).await?;
        let mut line = self
            .log
            .info(event::COMMAND_ANSWERED)
            .with_message(message)
            .with(field::HOST, self.own.to_string())
            .with(field::COMMAND, command)
            .with(field::STATUS, answer.status())
            .with(field::REPLY_TO, &**reply_to);
        if let Err(reason) = &answer.result {
            line = line.with(field::REASON, reason.as_str());
        }
        line.write();
        Ok(())
    }

    fn reply(&self, requester: &Requester, reply_to: &str, command: &str, answer: &Answer) -> Outgoing {
        Outgoing::json("", reply_to, &answer.json())
            .with_correlation_id(requester.correlation_id.as_deref())
            .caused_by(&requester.message_id, &format!("reply.{}", self.own))
            .with_log_field(field::HOST, self.own.to_string())
            .with_log_field(field::COMMAND, command)
            .with_log_field(field::STATUS, answer.status())
    }

    /// Sends answers that are overdue. If a crash or a broken connection came between creating a machine and answering,
    /// another host may have created it too, and only the API can know: it deletes the second one that is reported.
    async fn settle(&self, overdue: Vec<(Requester, Outcome)>) {
        for (requester, outcome) in overdue {
            if let (Outcome::Done(result), Some(reply_to)) = (outcome, &requester.reply_to) {
                let answer = Answer { host: self.own.clone(), result: Ok(result) };
                let reply = self.reply(&requester, reply_to, Verb::Create.name(), &answer);
                match self.publisher.publish(reply).await {
                    // Without the reply queue there is no caller left.
                    Ok(()) | Err(PublishError::Unroutable { .. }) => {}
                    // Still owed; it is tried again at the next command.
                    Err(_) => return,
                }
            }
            self.machines.settle(requester.message_id);
        }
    }
}
