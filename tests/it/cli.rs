//! The program as people and scripts see it: help, errors, exit codes, streams. No engine, no network.

use libtest_mimic::Trial;

use crate::harness::cases;

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{BufRead, BufReader, Write},
    net::TcpListener,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Command, Output, Stdio},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use assert_fs::{TempDir, prelude::*};
use clap::CommandFactory;
use fedctl::cli::Cli;
use fedctl_model::diagnostic::Code;

pub const TWO: &str = "name: shop\nmaster: europe\nregions: [name: europe, name: asia]\n";

/// A directory with this `regions.yaml`.
pub fn project(yaml: &str) -> TempDir {
    let directory = TempDir::new().unwrap();
    directory.child("regions.yaml").write_str(yaml).unwrap();
    directory
}

/// fedctl in a directory, with no settings in the environment.
pub fn fedctl(directory: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(assert_cmd::cargo::cargo_bin!("fedctl"));
    command.args(arguments).current_dir(directory).env_clear().stdin(Stdio::null());
    command
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_owned()).unwrap()
}

/// The exit code and both streams.
pub fn shown(output: &Output) -> String {
    let code = output.status.code().expect("an exit code");
    format!("exit {code}\n--- stdout\n{}--- stderr\n{}", text(&output.stdout), text(&output.stderr))
}

#[track_caller]
fn check(directory: &Path, arguments: &[&str], expected: &str) {
    let output = fedctl(directory, arguments).output().unwrap();
    assert_eq!(shown(&output), expected, "fedctl {}", arguments.join(" "));
}

/// The output of a command that succeeds and prints nothing on standard error.
#[track_caller]
fn data(arguments: &[&str]) -> String {
    let output = fedctl(Path::new("/"), arguments).output().unwrap();
    assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), String::new()));
    text(&output.stdout)
}

/// An engine that speaks this version of the API and has nothing; its address.
pub fn empty_engine(api: &str) -> String {
    empty_engine_of(format!(r#"{{"ApiVersion":"{api}"}}"#))
}

/// An engine that describes itself by this version and has nothing; its address.
fn empty_engine_of(version: String) -> String {
    engine_with(version, |_| "[]")
}

/// An engine that has these containers whenever they are listed, the first time, the second, and so on; its address.
pub fn engine_with(version: String, containers: fn(usize) -> &'static str) -> String {
    let listed = Arc::new(AtomicUsize::new(0));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("tcp://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        for stream in listener.incoming() {
            let (version, listed) = (version.clone(), Arc::clone(&listed));
            let containers = move || containers(listed.fetch_add(1, Ordering::Relaxed));
            thread::spawn(move || answer(stream.unwrap(), &version, containers));
        }
    });
    address
}

fn answer(mut stream: std::net::TcpStream, version: &str, containers: impl Fn() -> &'static str) {
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
    while let Some(Ok(request)) = lines.next() {
        while lines.next().is_some_and(|line| line.is_ok_and(|line| !line.is_empty())) {}
        let body = match request
            .split(['/', '?', ' '])
            .find(|word| ["version", "volumes", "images", "containers"].contains(word))
        {
            Some("version") => version.to_owned(),
            Some("volumes") => r#"{"Volumes":[]}"#.to_owned(),
            Some("containers") => containers().to_owned(),
            Some(_) => r#"{"message":"no such image"}"#.to_owned(),
            None => "[]".to_owned(),
        };
        let status = if body.contains("message") { "404 Not Found" } else { "200 OK" };
        let head =
            format!("HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}", body.len());
        if write!(stream, "{head}\r\n\r\n{body}").is_err() {
            return;
        }
    }
}

/// The words of every command that clap knows, those of the program itself first.
fn commands() -> Vec<Vec<String>> {
    fn below(command: &clap::Command, path: &[String], found: &mut Vec<Vec<String>>) {
        found.push(path.to_vec());
        for command in command.get_subcommands() {
            below(command, &[path, &[command.get_name().to_owned()]].concat(), found);
        }
    }
    let mut found = Vec::new();
    below(&Cli::command(), &[], &mut found);
    found
}

fn every_command_has_help_with_two_examples() {
    for command in commands() {
        let words = command.iter().map(String::as_str);
        let help = data(&words.chain(["--help"]).collect::<Vec<_>>());
        let example = format!("  {} ", [&["fedctl".to_owned()], &command[..]].concat().join(" "));
        let examples = help.lines().filter(|line| format!("{line} ").starts_with(&example)).count();
        assert!(examples >= 2, "{examples} examples of `{}` in\n{help}", command.join(" "));
        insta::assert_snapshot!([&["help".to_owned()], &command[..]].concat().join("_"), help);
    }
}

fn a_typo_gets_the_word_that_was_meant() {
    for (arguments, meant) in [
        (&["statsu"][..], "a similar subcommand exists: 'status'"),
        (&["plan", "--detailed-exit-code"], "a similar argument exists: '--detailed-exitcode'"),
        (&["status", "-o", "jsn"], "a similar value exists: 'json'"),
    ] {
        let output = fedctl(Path::new("/"), arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(64));
        assert!(output.stdout.is_empty());
        assert!(text(&output.stderr).contains(meant), "{}", text(&output.stderr));
    }
}

fn every_finding_of_an_invalid_topology_is_shown() {
    let directory = project("name: Shop\nmaster: eurpe\nregions: [name: europe]\nfederatoin: {}\n");
    let output = fedctl(directory.path(), &["status"]).output().unwrap();
    insta::assert_snapshot!(shown(&output));
}

fn a_missing_topology_is_named() {
    let directory = TempDir::new().unwrap();
    let expected = |file: &str| {
        format!(
            "exit 65\n--- stdout\n--- stderr\nerror: cannot read `{file}`: No such file or directory (os error 2)\n\n\
             hint: pass the topology with `--file FILE`, or run fedctl in the directory of `regions.yaml`\n"
        )
    };
    for command in ["up", "plan", "status", "probe", "test", "check", "down", "logs"] {
        check(directory.path(), &[command], &expected("regions.yaml"));
    }
    check(directory.path(), &["plan", "--file", "other.yaml"], &expected("other.yaml"));
}

fn an_unknown_region_is_refused_and_the_known_ones_are_named() {
    let directory = project(TWO);
    let expected =
        "exit 64\n--- stdout\n--- stderr\nerror: there is no region `asai`\n\nhint: regions: europe, asia\n";
    for arguments in [
        &["up", "europe", "asai"][..],
        &["plan", "asai"],
        &["logs", "asai"],
        &["probe", "asai"],
        &["check", "asai"],
    ] {
        check(directory.path(), arguments, expected);
    }
}

/// A topology with two tests.
fn tests_of(topology: &str) -> String {
    let test = |name: &str| {
        format!(
            "- name: {name}\n  publish: {{region: europe, exchange: x.events}}\n  expect: [{{region: asia, exchange: x.events}}]\n"
        )
    };
    format!("{topology}tests:\n{}{}", test("taxes"), test("an order reaches asia"))
}

fn tests_are_chosen_by_what_is_in_their_names() {
    let refused = |message: &str| format!("exit 64\n--- stdout\n--- stderr\nerror: {message}\n");
    let example = "`tests: [{name: NAME, publish: {region: REGION, exchange: EXCHANGE}, expect: [{region: REGION, exchange: \
                   EXCHANGE}]}]`";
    check(project(TWO).path(), &["test"], &refused(&format!("the topology has no tests\n\nhint: {example}")));
    let directory = project(&tests_of(TWO));
    let names = "tests: `taxes`, `an order reaches asia`";
    let message = format!("no test has `orders` in its name\n\nhint: {names}");
    check(directory.path(), &["test", "orders"], &refused(&message));
    let host = empty_engine("1.41");
    let arguments = ["test", "order", "--progress", "quiet", "--host", &host];
    let output = fedctl(directory.path(), &arguments).output().unwrap();
    let shown = shown(&output);
    assert!(shown.starts_with("exit 5\n--- stdout\n? an order reaches asia"), "{shown}");
    let missing = "`asia` takes no part: the broker has no container: `fedctl up` creates it";
    assert!(shown.contains(missing) && !shown.contains("taxes"), "{shown}");
}

fn an_engine_that_does_not_answer_is_named() {
    let directory = project(TWO);
    for command in ["up", "plan", "status", "probe", "check", "down", "logs"] {
        let output =
            fedctl(directory.path(), &[command, "--host", "unix:///nonexistent.sock"]).output().unwrap();
        let error = text(&output.stderr);
        assert_eq!((output.status.code(), text(&output.stdout)), (Some(69), String::new()), "{error}");
        let start = "error: cannot connect to `unix:///nonexistent.sock` (from --host): ";
        assert!(error.starts_with(start), "{error}");
        let hint = "\n\nhint: start the engine (systemctl start docker), or point DOCKER_HOST at one\n";
        assert!(error.ends_with(hint), "{error}");
    }
}

fn an_engine_that_refuses_connections_is_named_by_reports_too() {
    let directory = project(TWO);
    for command in ["plan", "status", "queues", "logs"] {
        let output = fedctl(directory.path(), &[command]).env("DOCKER_HOST", "tcp://127.0.0.1:1").output();
        let output = output.unwrap();
        let (code, error) = (output.status.code(), text(&output.stderr));
        assert_eq!(code, Some(69), "{error}");
        let start = "error: cannot connect to `tcp://127.0.0.1:1` (from DOCKER_HOST): ";
        assert!(error.starts_with(start) && error.contains("Connection refused"), "{error}");
    }
}

/// A directory of `docker`'s configuration whose current context is `current`, with a context `here` for `host`.
fn docker_configuration(current: &str, host: &str) -> TempDir {
    // the names of the directories are those that `docker context create` gives
    const HERE: &str = "fcec91509759ad995c2cd14bcb26b2720993faf61c29d379b270d442d92290eb";
    let directory = TempDir::new().unwrap();
    directory.child("config.json").write_str(&format!(r#"{{"currentContext": "{current}"}}"#)).unwrap();
    let endpoint = format!(r#"{{"Host":"{host}","SkipTLSVerify":false}}"#);
    let metadata = format!(r#"{{"Name":"here","Metadata":{{}},"Endpoints":{{"docker":{endpoint}}}}}"#);
    directory.child(format!("contexts/meta/{HERE}/meta.json")).write_str(&metadata).unwrap();
    directory
}

fn the_engine_is_the_one_that_docker_uses() {
    let (directory, host) = (project(TWO), empty_engine("1.41"));
    let configuration = docker_configuration("here", &host);
    let nowhere = docker_configuration("here", "unix:///nonexistent.sock");
    let plan = |configuration: &TempDir, environment: &[(&str, &str)]| {
        let mut plan = fedctl(directory.path(), &["plan"]);
        plan.env("DOCKER_CONFIG", configuration.path()).envs(environment.iter().copied());
        let output = plan.output().unwrap();
        (output.status.code(), text(&output.stderr))
    };
    let done = (Some(0), String::new());
    assert_eq!(plan(&configuration, &[]), done, "the current context");
    assert_eq!(plan(&configuration, &[("DOCKER_HOST", "")]), done, "an empty variable is none");
    assert_eq!(plan(&configuration, &[("DOCKER_CONTEXT", "here")]), done);
    assert_eq!(plan(&nowhere, &[("DOCKER_HOST", &host)]), done, "DOCKER_HOST comes before the context");
    let (code, error) = plan(&nowhere, &[]);
    let expected = "error: cannot connect to `unix:///nonexistent.sock` (context `here` from config.json): ";
    assert!(code == Some(69) && error.starts_with(expected), "{error}");
    assert_eq!(
        plan(&configuration, &[("DOCKER_CONTEXT", "hree")]),
        (
            Some(64),
            "error: context `hree` from DOCKER_CONTEXT does not exist\n\n\
             hint: `docker context ls` lists the contexts\n"
                .into()
        )
    );
    assert_eq!(
        plan(&configuration, &[("DOCKER_HOST", "/var/run/docker.sock")]),
        (
            Some(64),
            "error: `/var/run/docker.sock` (from DOCKER_HOST) is a path, not an engine's address\n\n\
             hint: a socket's address begins with unix://: `unix:///var/run/docker.sock`\n"
                .into()
        )
    );
}

/// A directory with an `ssh` that connects to this address, wherever it is asked to, and writes its arguments down.
fn ssh_to(address: &str) -> TempDir {
    let directory = TempDir::new().unwrap();
    let address = address.trim_start_matches("tcp://").replace(':', "/");
    let script = format!(
        "#!/bin/bash\necho \"$@\" >>\"${{0%ssh}}arguments\"\nexec 3<>/dev/tcp/{address} 4<&0\ncat <&4 >&3 &\nexec cat <&3\n"
    );
    directory.child("ssh").write_str(&script).unwrap();
    fs::set_permissions(directory.path().join("ssh"), PermissionsExt::from_mode(0o755)).unwrap();
    directory
}

fn an_engine_is_reached_by_ssh_and_nothing_is_made_where_its_ports_cannot_be_reached() {
    let (directory, ssh) = (project(TWO), ssh_to(&empty_engine("1.41")));
    let path = format!("{}:/usr/bin:/bin", ssh.path().display());
    let run = |command: &str| {
        let mut fedctl = fedctl(directory.path(), &[command, "--host", "ssh://ada@engine.invalid"]);
        let output = fedctl.env("PATH", &path).output().unwrap();
        (output.status.code(), text(&output.stderr))
    };
    assert_eq!(run("plan"), (Some(0), String::new()));
    let arguments = fs::read_to_string(ssh.path().join("arguments")).unwrap();
    let expected = "-o ConnectTimeout=30 -T -l ada -- engine.invalid docker system dial-stdio";
    assert!(arguments.lines().all(|line| line == expected), "{arguments}");
    for command in ["up", "demo"] {
        let (code, error) = run(command);
        assert_eq!(code, Some(69), "{error}");
        let start = "error: the engine at `ssh://ada@engine.invalid` (from --host) is on another machine: it publishes \
                     ports on its own loopback address, where they cannot be reached from here\n\nhint: ";
        assert!(error.starts_with(start) && error.contains("ssh -L "), "{error}");
    }
    assert!(!directory.child(".fedctl/passwords.json").exists(), "nothing was made");
}

fn what_ssh_reports_is_the_reason() {
    let (directory, ssh) = (project(TWO), TempDir::new().unwrap());
    let run = |reason: &str| {
        let mut fedctl = fedctl(directory.path(), &["status", "--host", "ssh://engine.invalid"]);
        let output = fedctl.env("PATH", ssh.path()).output().unwrap();
        let expected =
            format!("error: cannot connect to `ssh://engine.invalid` (from --host): {reason}\n\nhint: ");
        let error = text(&output.stderr);
        assert!(output.status.code() == Some(69) && error.starts_with(&expected), "{error}");
    };
    run("cannot run `ssh`: No such file or directory (os error 2)");
    ssh.child("ssh").write_str("#!/bin/sh\necho 'ssh: Could not resolve hostname' >&2\nexit 255\n").unwrap();
    fs::set_permissions(ssh.path().join("ssh"), PermissionsExt::from_mode(0o755)).unwrap();
    run("ssh: Could not resolve hostname");
}

fn an_engine_that_is_too_old_is_refused() {
    let (directory, host) = (project(TWO), empty_engine("1.40"));
    check(
        directory.path(),
        &["plan", "--host", &host],
        &format!(
            "exit 1\n--- stdout\n--- stderr\nerror: the engine at `{host}` has API version 1.40; fedctl needs \
             1.41 (Docker 20.10) or newer\n\nhint: upgrade the engine to Docker 20.10 or newer\n"
        ),
    );
}

fn on_an_engine_of_another_architecture_the_built_in_services_need_an_image() {
    let host = empty_engine_of(r#"{"ApiVersion":"1.41","Os":"linux","Arch":"pdp11"}"#.into());
    let plan = |yaml: &str, command: &str| {
        let directory = project(yaml);
        let output = fedctl(directory.path(), &[command, "--host", &host]).output().unwrap();
        (output.status.code(), text(&output.stderr))
    };
    let services = TWO.replace("name: asia", "{name: asia, services: [name: taxes]}");
    for command in ["plan", "up"] {
        let (code, error) = plan(&services, command);
        assert_eq!(code, Some(1), "{error}");
        assert!(error.contains("the engine's containers run linux/pdp11"), "{error}");
        assert!(error.contains("\n\nhint: set `service-image` in the topology"), "{error}");
    }
    assert_eq!(plan(TWO, "plan"), (Some(0), String::new()), "without services");
    let named = services.replace("regions:", "service-image: example.org/fedctl:1\nregions:");
    assert_eq!(plan(&named, "plan"), (Some(0), String::new()), "with an image");
}

fn a_plan_is_data_and_its_exit_code_says_that_there_are_changes() {
    let (directory, host) = (project(TWO), empty_engine("1.41"));
    let run = |arguments: &[&str]| {
        let arguments = [&["plan", "--host", &host], arguments].concat();
        fedctl(directory.path(), &arguments).output().unwrap()
    };
    let plan = run(&[]);
    assert_eq!((plan.status.code(), text(&plan.stderr)), (Some(0), String::new()));
    insta::assert_snapshot!(text(&plan.stdout));
    let detailed = run(&["--detailed-exitcode"]);
    assert_eq!((detailed.status.code(), text(&detailed.stdout)), (Some(2), text(&plan.stdout)));
    let one = text(&run(&["asia"]).stdout);
    assert!(one.contains("shop_asia_broker") && !one.contains("shop_europe_broker"), "{one}");
    assert!(!directory.child(".fedctl").exists(), "a plan writes nothing");
}

fn what_is_not_there_is_degraded() {
    let (directory, host) = (project(TWO), empty_engine("1.41"));
    let table = fedctl(directory.path(), &["status", "--host", &host]).output().unwrap();
    insta::assert_snapshot!(shown(&table));
    let json = fedctl(directory.path(), &["status", "-o", "json", "--host", &host]).output().unwrap();
    assert_eq!(json.status.code(), Some(4));
    let json: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!((&json["version"], &json["regions"][1]["broker"]["state"]), (&1.into(), &"missing".into()));
}

fn links_between_brokers_that_are_not_there_are_not_probed() {
    let (directory, host) = (project(TWO), empty_engine("1.41"));
    let probe = |arguments: &[&str]| {
        let arguments = [&["probe", "--progress", "quiet", "--host", &host], arguments].concat();
        let output = fedctl(directory.path(), &arguments).output().unwrap();
        assert_eq!((output.status.code(), text(&output.stderr)), (Some(5), String::new()));
        text(&output.stdout)
    };
    let table = probe(&[]);
    let reason =
        "? not probed  `asia` takes no part: the broker has no container: `fedctl up` creates it (FED0603)";
    assert!(table.contains(reason) && table.contains("0 of 4 links moved 20 messages"), "{table}");
    let json: serde_json::Value = serde_json::from_str(&probe(&["-o", "json", "--count", "3"])).unwrap();
    assert_eq!((&json["version"], &json["passed"], &json["count"]), (&1.into(), &false.into(), &3.into()));
    assert_eq!(json["links"][0]["state"], "not-probed");
}

fn a_watch_without_a_terminal_prints_the_report_once_and_then_a_line_for_each_change() {
    let host = engine_with(r#"{"ApiVersion":"1.41"}"#.into(), |look| match look {
        0 => "[]",
        1 | 2 => r#"[{"Names":["/shop_asia_broker"],"State":"paused","Status":"Up 1 second (Paused)"}]"#,
        _ => "no engine",
    });
    let directory = project(TWO);
    let once = fedctl(directory.path(), &["status", "--host", &empty_engine("1.41")]).output().unwrap();
    let watch = fedctl(directory.path(), &["status", "--watch", "--host", &host]).output().unwrap();
    let stdout = text(&watch.stdout);
    let changes = stdout.strip_prefix(&text(&once.stdout)).expect("the report, once");
    let changes: Vec<&str> = changes.lines().map(|line| line.split_once(' ').unwrap().1).collect();
    assert_eq!(changes, ["asia: ? missing → ✗ paused"], "{}", shown(&watch));
    assert!(!directory.child(".fedctl").exists(), "a look creates no directory");
}

fn a_look_is_kept_for_the_next_one_where_there_is_a_directory() {
    let (directory, host) = (project(TWO), empty_engine("1.41"));
    fs::create_dir(directory.child(".fedctl").path()).unwrap();
    directory.child(".fedctl/links.json").write_str("{").unwrap();
    let status = || fedctl(directory.path(), &["status", "--host", &host]).output().unwrap();
    let first = shown(&status());
    let kept = fs::read_to_string(directory.child(".fedctl/links.json").path()).unwrap();
    assert!(kept.starts_with(r#"{"version":1,"project":"shop""#), "{kept}");
    assert_eq!(shown(&status()), first, "what is damaged counts as nothing");
}

fn data_is_removed_only_for_the_projects_name() {
    let directory = project(TWO);
    let expected = "exit 64\n--- stdout\n--- stderr\nerror: removing volumes must be confirmed with the project's name\n\n\
                    hint: fedctl down --volumes --confirm shop\n";
    check(directory.path(), &["down", "--volumes"], expected);
    check(directory.path(), &["down", "--volumes", "--confirm", "shopp"], expected);
}

fn taking_nothing_down_is_done_at_once() {
    let (directory, host) = (project(TWO), empty_engine("1.41"));
    let output = fedctl(directory.path(), &["down", "--host", &host]).output().unwrap();
    assert_eq!((output.status.code(), text(&output.stdout)), (Some(0), String::new()));
    assert!(text(&output.stderr).starts_with("down: 0 steps, "), "{}", text(&output.stderr));
}

fn a_file_in_the_directorys_place_is_named() {
    let directory = project(TWO);
    directory.child(".fedctl").touch().unwrap();
    check(
        directory.path(),
        &["up", "--host", "unix:///nonexistent.sock"],
        "exit 1\n--- stdout\n--- stderr\nerror: cannot write `.fedctl`: File exists (os error 17)\n\n\
         hint: make the topology's directory writable, and free some disk space\n",
    );
}

fn while_another_fedctl_changes_the_project_nothing_is_changed() {
    let directory = project(TWO);
    fs::create_dir(directory.child(".fedctl").path()).unwrap();
    let lock = File::create(directory.child(".fedctl/lock").path()).unwrap();
    lock.lock().unwrap();
    for command in ["up", "down"] {
        check(
            directory.path(),
            &[command, "--host", "unix:///nonexistent.sock"],
            "exit 73\n--- stdout\n--- stderr\nerror: another fedctl is changing this project (it holds `.fedctl/lock`)\n\n\
             hint: wait until it has finished, then run this again\n",
        );
    }
    drop(lock);
    let output = fedctl(directory.path(), &["up", "--host", "unix:///nonexistent.sock"]).output().unwrap();
    assert_eq!(output.status.code(), Some(69), "the lock is free again");
}

fn a_finding_is_explained_by_its_code() {
    for code in Code::all() {
        let expected = format!("{}\n", code.explanation());
        assert_eq!(data(&["explain", code.as_str()]), expected);
        assert_eq!(data(&["explain", &code.as_str().to_lowercase()]), expected);
    }
    let expected = "exit 64\n--- stdout\n--- stderr\nerror: unknown code `FED0000`\n\n\
                    hint: codes are printed with findings, links and warnings, such as FED0107\n";
    check(Path::new("/"), &["explain", "FED0000"], expected);
}

fn every_code_has_a_page_as_it_explains_itself() {
    let (directory, kept) =
        (TempDir::new().unwrap(), Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/checks"));
    let into = directory.path().join("new/pages");
    assert_eq!(data(&["explain", "--pages", into.to_str().unwrap()]), "");
    let read = |directory: &Path| -> BTreeMap<String, String> {
        let files = fs::read_dir(directory).unwrap().map(|file| file.unwrap().path());
        files
            .map(|path| (path.file_name().unwrap().display().to_string(), fs::read_to_string(path).unwrap()))
            .collect()
    };
    let (written, kept) = (read(&into), read(&kept));
    let stale: Vec<&String> =
        kept.iter().filter(|(name, text)| written.get(*name) != Some(text)).map(|(name, _)| name).collect();
    let missing: Vec<&String> = written.keys().filter(|name| !kept.contains_key(*name)).collect();
    let none: Vec<&String> = Vec::new();
    assert_eq!(
        (stale, missing),
        (none.clone(), none),
        "rm docs/checks/*; fedctl explain --pages docs/checks"
    );
}

fn a_check_of_the_file_alone_needs_no_engine_and_ends_with_what_it_found() {
    let check = |yaml: &str, arguments: &[&str]| {
        let directory = project(yaml);
        let arguments = [&["check", "--offline", "--host", "unix:///nonexistent.sock"], arguments].concat();
        fedctl(directory.path(), &arguments).output().unwrap()
    };
    let clean = shown(&check(TWO, &[]));
    assert!(
        clean.starts_with("exit 0\n--- stdout\n")
            && clean.ends_with(" checks, 0 errors, 0 warnings\n--- stderr\n"),
        "{clean}"
    );
    let warned = format!("{TWO}federation: {{upstream: {{heartbeat: 1, prefetch-count: 1}}}}\n");
    insta::assert_snapshot!(shown(&check(&warned, &["-o", "wide"])));
    let invalid = check(&TWO.replace("master: europe", "master: mars"), &["-o", "json"]);
    assert_eq!((invalid.status.code(), text(&invalid.stderr)), (Some(65), String::new()));
    let json: serde_json::Value = serde_json::from_slice(&invalid.stdout).unwrap();
    assert_eq!(
        (&json["version"], &json["project"], &json["errors"]),
        (&1.into(), &().into(), &1.into()),
        "{json}"
    );
    assert_eq!(json["diagnostics"][0]["code"], "FED0111");
}

fn a_check_names_brokers_that_are_not_there() {
    let (directory, host) = (project(TWO), empty_engine("1.41"));
    let check = |arguments: &[&str]| {
        let arguments = [&["check", "--host", &host], arguments].concat();
        shown(&fedctl(directory.path(), &arguments).output().unwrap())
    };
    insta::assert_snapshot!(check(&[]));
    let one = check(&["asia"]);
    assert!(one.contains("broker `asia`") && !one.contains("broker `europe`"), "{one}");
    assert!(!directory.child(".fedctl").exists(), "a check writes nothing");
}

fn the_schema_is_the_one_in_the_repository() {
    assert_eq!(data(&["schema"]), include_str!("../../regions.schema.json"));
}

/// The completions of the last of these words.
fn completed(directory: &Path, words: &[&str]) -> Vec<String> {
    let mut fedctl = fedctl(directory, &[]);
    fedctl.args(["--", "fedctl"]).args(words);
    let asks = [("COMPLETE", "bash"), ("_CLAP_IFS", "\n"), ("_CLAP_COMPLETE_COMP_TYPE", "9")];
    let index = ("_CLAP_COMPLETE_INDEX", words.len().to_string());
    let output = fedctl.envs(asks).env(index.0, index.1).output().unwrap();
    assert!(output.status.success(), "{}", shown(&output));
    text(&output.stdout).lines().map(str::to_owned).collect()
}

fn commands_regions_and_services_are_completed_and_the_manual_page_names_every_command() {
    let page = data(&["man"]);
    let directory = project(
        "name: shop\nmaster: europe\nregions:\n- {name: europe, services: [{name: taxes, replicas: 2}]}\n- name: asia\n",
    );
    let offered = completed(directory.path(), &[""]);
    for command in Cli::command().get_subcommands().filter(|command| !command.is_hide_set()) {
        assert!(page.contains(command.get_name()), "the manual lacks {}", command.get_name());
        assert!(offered.iter().any(|name| name == command.get_name()), "{offered:?}");
    }
    assert_eq!(completed(directory.path(), &["up", "e"]), ["europe"]);
    assert_eq!(completed(directory.path(), &["check", "a"]), ["asia"]);
    let tested = project(&tests_of(TWO));
    assert_eq!(completed(tested.path(), &["test", "ta"]), ["taxes"]);
    assert_eq!(completed(directory.path(), &["logs", "europe", "t"]), ["taxes", "taxes-2"]);
    let elsewhere = directory.path().join("regions.yaml");
    let file = elsewhere.to_str().unwrap();
    assert_eq!(completed(Path::new("/"), &["--file", file, "plan", "a"]), ["asia"]);
    assert_eq!(completed(Path::new("/"), &["plan", "a"]), [""; 0], "where there is no topology");
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        assert!(data(&["completions", shell]).contains("COMPLETE"), "{shell}");
    }
}

fn a_report_is_the_same_in_json_and_in_yaml() {
    let (directory, host) = (project(TWO), empty_engine("1.41"));
    let report = |form: &str| {
        let output = fedctl(directory.path(), &["status", "-o", form, "--host", &host]).output().unwrap();
        assert_eq!(output.status.code(), Some(4), "{}", shown(&output));
        text(&output.stdout)
    };
    let json: serde_json::Value = serde_json::from_str(&report("json")).unwrap();
    let yaml: serde_json::Value = serde_yaml::from_str(&report("yaml")).unwrap();
    assert_eq!(json["regions"].as_array().unwrap().len(), 2);
    assert_eq!(yaml, json);
}

fn a_reader_that_goes_away_is_no_error() {
    for arguments in [&["schema"][..], &["completions", "zsh"], &["man"]] {
        let mut fedctl = fedctl(Path::new("/"), arguments);
        let mut child = fedctl.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        assert_eq!(shown(&output), "exit 0\n--- stdout\n--- stderr\n", "{arguments:?}");
    }
}

fn colour_is_shown_only_where_it_is_asked_for() {
    let (directory, host) = (project(TWO), empty_engine("1.41"));
    let colours = |arguments: &[&str], environment: &[(&str, &str)]| {
        let arguments = [arguments, &["--host", &host]].concat();
        let mut command = fedctl(directory.path(), &arguments);
        let output = command.envs(environment.iter().copied()).output().unwrap();
        assert!(output.stdout.len() + output.stderr.len() > 0);
        output.stdout.contains(&0x1b) || output.stderr.contains(&0x1b)
    };
    let forced = ("CLICOLOR_FORCE", "1");
    let check = |arguments: &[&str]| {
        assert!(!colours(arguments, &[]), "{arguments:?} on no terminal");
        assert!(colours(&[arguments, &["--color", "always"]].concat(), &[]), "{arguments:?}");
        assert!(colours(arguments, &[forced]), "{arguments:?} where the environment asks for it");
        assert!(!colours(arguments, &[forced, ("NO_COLOR", "1")]), "{arguments:?} with NO_COLOR");
        assert!(!colours(&[arguments, &["--color", "never"]].concat(), &[forced]), "{arguments:?}");
    };
    check(&["plan"]);
    check(&["status"]);
    check(&["plan", "asai"]);
    fs::write(directory.path().join("regions.yaml"), "name: Shop\n").unwrap();
    check(&["plan"]);
}

pub fn cases() -> Vec<Trial> {
    cases! {
        every_command_has_help_with_two_examples,
        a_typo_gets_the_word_that_was_meant,
        every_finding_of_an_invalid_topology_is_shown,
        a_missing_topology_is_named,
        an_unknown_region_is_refused_and_the_known_ones_are_named,
        tests_are_chosen_by_what_is_in_their_names,
        an_engine_that_does_not_answer_is_named,
        an_engine_that_refuses_connections_is_named_by_reports_too,
        the_engine_is_the_one_that_docker_uses,
        an_engine_is_reached_by_ssh_and_nothing_is_made_where_its_ports_cannot_be_reached,
        what_ssh_reports_is_the_reason,
        an_engine_that_is_too_old_is_refused,
        on_an_engine_of_another_architecture_the_built_in_services_need_an_image,
        a_plan_is_data_and_its_exit_code_says_that_there_are_changes,
        what_is_not_there_is_degraded,
        links_between_brokers_that_are_not_there_are_not_probed,
        a_watch_without_a_terminal_prints_the_report_once_and_then_a_line_for_each_change,
        a_look_is_kept_for_the_next_one_where_there_is_a_directory,
        data_is_removed_only_for_the_projects_name,
        taking_nothing_down_is_done_at_once,
        a_file_in_the_directorys_place_is_named,
        while_another_fedctl_changes_the_project_nothing_is_changed,
        a_finding_is_explained_by_its_code,
        every_code_has_a_page_as_it_explains_itself,
        a_check_of_the_file_alone_needs_no_engine_and_ends_with_what_it_found,
        a_check_names_brokers_that_are_not_there,
        the_schema_is_the_one_in_the_repository,
        commands_regions_and_services_are_completed_and_the_manual_page_names_every_command,
        a_report_is_the_same_in_json_and_in_yaml,
        a_reader_that_goes_away_is_no_error,
        colour_is_shown_only_where_it_is_asked_for,
    }
}
