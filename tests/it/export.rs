//! The exports: what is written, and whether other tools can use it.

use libtest_mimic::Trial;

use crate::harness::cases;

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Command, Output},
};

use fedctl::catalogue::catalogue;
use fedctl_model::{
    export::{Files, compose::compose},
    topology::{self, Topology},
};
use serde_json::Value;

fn shipped() -> Topology {
    topology::parse(include_str!("../../regions.yaml"), &catalogue()).unwrap().0
}

fn run(command: &mut Command) -> Output {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    output
}

/// Every file below a directory, by its path there, leaving out the directories of these names.
fn read(directory: &Path, without: &[&str]) -> Files {
    let mut files = Files::new();
    for entry in fs::read_dir(directory).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        if entry.file_type().unwrap().is_file() {
            files.insert(name, fs::read_to_string(entry.path()).unwrap());
        } else if !without.contains(&name.as_str()) {
            let below = read(&entry.path(), &[]).into_iter();
            files.extend(below.map(|(path, text)| (format!("{name}/{path}"), text)));
        }
    }
    files
}

fn write(directory: &Path, files: &Files) {
    for (path, text) in files {
        let path = directory.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn the_committed_export_is_that_of_the_shipped_topology() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("compose");
    let (committed, exported) =
        (read(&directory, &["broker", ".secrets"]), compose(&shipped(), &catalogue()));
    let again = "run `cargo run -- export compose` and commit what it writes";
    let paths = |files: &Files| files.keys().cloned().collect::<Vec<_>>();
    assert_eq!(paths(&committed), paths(&exported), "{again}");
    for (path, text) in exported {
        assert_eq!(committed[&path], text, "`compose/{path}`: {again}");
    }
}

fn the_script_makes_passwords_once_and_puts_them_everywhere() {
    let temporary = tempfile::tempdir().unwrap();
    let directory = temporary.path().join("it's $HOME");
    write(&directory, &compose(&shipped(), &catalogue()));
    let script = || run(Command::new("sh").arg(directory.join("secrets.sh")).current_dir("/"));
    script();
    let secrets = directory.join(".secrets");
    let first = read(&secrets, &[]);
    script();
    assert_eq!(first, read(&secrets, &[]));

    let passwords: BTreeMap<&str, &str> = first
        .iter()
        .filter_map(|(path, text)| Some((path.strip_prefix("passwords/")?, text.as_str())))
        .collect();
    assert_eq!(passwords.len(), 3 * (2 + 2), "two users and two links a region");
    assert!(passwords.values().all(|password| password.len() == 48), "{passwords:?}");
    let distinct: std::collections::BTreeSet<_> = passwords.values().collect();
    assert_eq!(distinct.len(), passwords.len());
    for (path, text) in &first {
        let left = passwords.keys().find(|name| text.contains(&format!("@{name}@")));
        assert_eq!(left, None, "in {path}");
    }
    let definitions: Value = serde_json::from_str(&first["asia/broker/definitions.json"]).unwrap();
    let uri = format!("amqp://link-asia:{}@europe:5672/", passwords["europe/link-asia"]);
    let mut upstreams = definitions["parameters"].as_array().unwrap().iter();
    let upstream = upstreams.find(|upstream| upstream["name"] == "europe").unwrap();
    assert!(upstream["value"]["uri"].as_str().unwrap().starts_with(&uri));
    let uri = format!("amqp://services:{}@broker:5672/%2F", passwords["asia/services"]);
    assert_eq!(first["asia/products/amqp-uri"], uri);

    assert_eq!(first[".gitignore"], "*\n");
    assert_eq!(mode(&secrets), 0o700);
    assert_eq!(mode(&secrets.join("passwords/asia/services")), 0o600);
    assert_eq!(mode(&secrets.join("asia/products/amqp-uri")), 0o644, "for the container's user");
}

fn shellcheck_finds_nothing_in_the_script() {
    let temporary = tempfile::tempdir().unwrap();
    write(temporary.path(), &compose(&shipped(), &catalogue()));
    let script = temporary.path().join("secrets.sh");
    let checked = Command::new("shellcheck").arg(script).output();
    let checked = checked.expect("shellcheck is missing: `apt-get install shellcheck`");
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stdout));
}

fn export_compose_lists_the_files_that_it_wrote() {
    let temporary = tempfile::tempdir().unwrap();
    let output = temporary.path().join("new/compose");
    let mut fedctl = Command::new(env!("CARGO_BIN_EXE_fedctl"));
    let topology = concat!(env!("CARGO_MANIFEST_DIR"), "/regions.yaml");
    let said = run(fedctl.args(["--file", topology, "export", "compose", "--output"]).arg(&output));
    let paths: String = compose(&shipped(), &catalogue())
        .keys()
        .map(|path| output.join(path).display().to_string() + "\n")
        .collect();
    assert_eq!(String::from_utf8(said.stdout).unwrap(), paths);
    assert_eq!(read(&output, &[]), compose(&shipped(), &catalogue()));
}

pub fn cases() -> Vec<Trial> {
    cases! {
        the_committed_export_is_that_of_the_shipped_topology,
        the_script_makes_passwords_once_and_puts_them_everywhere,
        shellcheck_finds_nothing_in_the_script,
        export_compose_lists_the_files_that_it_wrote,
    }
}
