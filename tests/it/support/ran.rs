//! A command that ran, or that is still running.

use std::{
    fmt,
    io::{BufRead, BufReader, Read},
    os::unix::process::ExitStatusExt,
    process::{Child, ChildStderr, Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::Value;

use super::PATIENCE;

/// What a command did.
#[derive(Debug)]
pub struct Ran {
    pub arguments: String,
    /// Its exit code; none if a signal ended it.
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
    pub took: Duration,
}

impl Ran {
    /// Runs it to its end.
    pub fn of(mut command: Command) -> Self {
        let started = Instant::now();
        let output = command.output().unwrap();
        Self {
            arguments: arguments(&command),
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
            took: started.elapsed(),
        }
    }

    /// Runs it to its end; with it every HTTP request that it wrote to a socket, as the kernel saw it: `GET /api/queues`.
    pub fn traced(command: &Command) -> (Self, Vec<String>) {
        let log = tempfile::NamedTempFile::new().unwrap();
        let mut strace = Command::new("strace");
        strace.args([
            "-f",
            "-qq",
            "-e",
            "trace=write,writev,sendto,sendmsg",
            "-e",
            "signal=none",
            "-s",
            "300",
        ]);
        strace.arg("-o").arg(log.path()).arg(command.get_program()).args(command.get_args());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => strace.env(name, value),
                None => strace.env_remove(name),
            };
        }
        strace.stdin(Stdio::null());
        let ran = Self::of(strace);
        let log = std::fs::read_to_string(log.path()).unwrap();
        let written = log.lines().filter_map(|line| Some(line.split_once('"')?.1.split_once(" HTTP/1.1")?.0));
        let verbs = ["GET /", "HEAD /", "PUT /", "POST /", "DELETE /"];
        let requests = written.filter(|written| verbs.iter().any(|verb| written.starts_with(verb)));
        (ran, requests.map(str::to_owned).collect())
    }

    /// It ended with this code.
    #[track_caller]
    pub fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{self}");
        self
    }

    /// It took no longer.
    #[track_caller]
    pub fn within(self, limit: Duration) -> Self {
        assert!(self.took <= limit, "took longer than {limit:?}: {self}");
        self
    }

    /// Standard output or standard error has this text.
    #[track_caller]
    pub fn says(self, text: &str) -> Self {
        assert!(self.stdout.contains(text) || self.stderr.contains(text), "does not say `{text}`: {self}");
        self
    }

    /// Neither stream has this text.
    #[track_caller]
    pub fn conceals(self, text: &str) -> Self {
        assert!(!self.stdout.contains(text) && !self.stderr.contains(text), "says `{text}`: {self}");
        self
    }

    /// Its standard output, read as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self}"))
    }
}

impl fmt::Display for Ran {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { arguments, code, stdout, stderr, took } = self;
        write!(f, "fedctl {arguments}\nended with {code:?} after {took:.2?}\n{stdout}\n{stderr}")
    }
}

/// A command under way, whose standard error is read line by line.
pub struct Running {
    arguments: String,
    child: Child,
    lines: BufReader<ChildStderr>,
    seen: String,
    started: Instant,
}

impl Running {
    pub fn of(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap());
        let arguments = arguments(&command);
        Self { arguments, child, lines, seen: String::new(), started: Instant::now() }
    }

    /// Reads on until an event of `--progress json` is like this.
    #[track_caller]
    pub fn until_it_reports(mut self, wanted: impl Fn(&Value) -> bool) -> Self {
        assert!(self.reports(wanted), "it ended without reporting that:\n{}", self.seen);
        self
    }

    /// Reads on until an event of `--progress json` is like this; none where it ended before.
    pub fn try_until(mut self, wanted: impl Fn(&Value) -> bool) -> Option<Self> {
        self.reports(wanted).then_some(self)
    }

    fn reports(&mut self, wanted: impl Fn(&Value) -> bool) -> bool {
        self.line(|line| serde_json::from_str(line).is_ok_and(|event| wanted(&event))).is_some()
    }

    /// Reads standard error until a line of it has this text, and returns what follows the text.
    #[track_caller]
    pub fn until_it_says(&mut self, text: &str) -> String {
        let line = self.line(|line| line.contains(text));
        let line = line.unwrap_or_else(|| panic!("it ended without saying `{text}`:\n{}", self.seen));
        line.split_once(text).unwrap().1.to_owned()
    }

    /// The next line like this.
    fn line(&mut self, wanted: impl Fn(&str) -> bool) -> Option<String> {
        loop {
            let mut line = String::new();
            if self.lines.read_line(&mut line).unwrap() == 0 {
                return None;
            }
            self.seen += &line;
            if wanted(&line) {
                return Some(line);
            }
        }
    }

    /// Reads standard output until a line of it has this text.
    #[track_caller]
    pub fn until_it_prints(mut self, text: &str) -> Self {
        let mut lines = BufReader::new(self.child.stdout.take().unwrap());
        let mut line = String::new();
        let deadline = Instant::now() + PATIENCE;
        while !line.contains(text) {
            assert!(Instant::now() < deadline, "it did not print `{text}` within {PATIENCE:?}");
            line.clear();
            assert!(lines.read_line(&mut line).unwrap() > 0, "it ended without printing `{text}`");
        }
        self
    }

    /// Whether it still runs.
    pub fn runs(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Sends it a signal: `INT`, `TERM`, `KILL`.
    pub fn signal(&mut self, signal: &str) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-s", signal, &id]).status().unwrap().success());
    }

    /// Waits for its end. The signal that ended it, if one did, counts as the shell counts it.
    pub fn end(mut self) -> Ran {
        let mut stdout = String::new();
        self.lines.read_to_string(&mut self.seen).unwrap();
        if let Some(mut pipe) = self.child.stdout.take() {
            pipe.read_to_string(&mut stdout).unwrap();
        }
        let status = self.child.wait().unwrap();
        let code = status.code().or(status.signal().map(|signal| 128 + signal));
        Ran { arguments: self.arguments, code, stdout, stderr: self.seen, took: self.started.elapsed() }
    }
}

fn arguments(command: &Command) -> String {
    command.get_args().map(|argument| argument.to_string_lossy()).collect::<Vec<_>>().join(" ")
}
