//! The import rules of ARCHITECTURE.md, held on every file under `src`.
//!
//! A line-based reading of Rust is enough here: code above the file's tests, without comments and strings.

use std::{fmt::Write as _, fs, path::Path};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Room {
    Core,
    Adapters,
    Drivers,
    Services,
    Faces,
}

/// Every top-level module, and where it lives. A new module needs a line here and one in ARCHITECTURE.md.
const ROOMS: &[(Room, &[&str])] = &[
    (
        Room::Core,
        &[
            "secret", "topology", "desired", "observed", "plan", "status", "proof", "queues", "trace",
            "event", "outcome", "export",
        ],
    ),
    (Room::Adapters, &["docker", "rabbitmq", "endpoint", "workdir", "executable", "recipe"]),
    (Room::Drivers, &["wait", "collect", "image", "apply", "up", "scenario"]),
    (Room::Services, &["service"]),
    (Room::Faces, &["cli", "command", "output"]),
];

/// What a line of the core may not touch: the world, the clock, chance, and foreign systems.
const WORLD: &[&str] = &[
    "std::env",
    "std::fs",
    "std::net",
    "std::process",
    "std::thread",
    "std::time::Instant",
    "std::time::SystemTime",
    "tokio",
    "rand",
    "tracing",
    "bollard",
    "reqwest",
    "lapin",
];

struct File {
    path: String,
    module: String,
    lines: usize,
    code: Vec<String>,
    paths: Vec<String>,
}

impl File {
    fn room(&self) -> Option<Room> {
        room(&self.module)
    }

    /// The modules of this crate that the file names, its own left out.
    fn imports(&self) -> impl Iterator<Item = &str> {
        self.paths
            .iter()
            .filter_map(|path| path.strip_prefix("crate::")?.split("::").next())
            .filter(|module| *module != self.module)
    }

    fn names(&self, path: &str) -> bool {
        self.paths.iter().any(|named| named == path || named.starts_with(&format!("{path}::")))
    }

    fn says(&self, word: &str) -> bool {
        self.code.iter().any(|line| line.contains(word))
    }
}

#[test]
fn every_module_belongs_to_a_room() {
    hold(|file| (!is_root(file) && file.room().is_none()).then(|| "is in no room".into()));
}

#[test]
fn the_core_imports_only_the_core() {
    hold_imports(Room::Core, |_, room| room == Room::Core);
}

#[test]
fn the_core_computes_values_from_values() {
    hold_words(Room::Core, &["async ", ".await", "print!(", "println!(", "eprint!(", "eprintln!("]);
    hold_paths(Room::Core, WORLD);
}

#[test]
fn an_adapter_knows_only_the_core_and_itself() {
    hold_imports(Room::Adapters, |_, room| room == Room::Core);
}

#[test]
fn a_driver_names_no_foreign_system_and_no_face() {
    hold_imports(Room::Drivers, |_, room| matches!(room, Room::Core | Room::Adapters | Room::Drivers));
    hold_paths(Room::Drivers, &["bollard", "reqwest", "lapin", "clap"]);
}

#[test]
fn a_service_knows_neither_the_engine_nor_the_topology() {
    hold_imports(Room::Services, |module, room| room == Room::Core && module != "topology");
    hold_paths(Room::Services, &["bollard", "reqwest", "clap"]);
}

#[test]
fn of_the_faces_only_command_calls_adapters() {
    hold(|file| {
        let stray = file.imports().find(|module| room(module) == Some(Room::Adapters))?;
        (file.room() == Some(Room::Faces) && file.module != "command").then(|| format!("imports `{stray}`"))
    });
}

#[test]
fn only_wait_sleeps_and_a_service_only_to_back_off() {
    hold(|file| {
        let sleeps = file.code.iter().filter(|line| line.contains("sleep("));
        let allowed = |line: &&String| match file.module.as_str() {
            "wait" => true,
            "service" => line.contains("sleep(backoff("),
            _ => false,
        };
        sleeps.into_iter().find(|line| !allowed(line)).map(|line| format!("sleeps: `{}`", line.trim()))
    });
}

#[test]
fn only_output_prints() {
    hold(|file| {
        let prints = ["print!(", "println!("].iter().any(|word| file.says(word));
        (prints && file.module != "output").then(|| "prints".into())
    });
}

#[test]
fn main_fits_on_a_screen() {
    hold(|file| {
        (file.path == "src/main.rs" && file.lines >= 40).then(|| format!("has {} lines", file.lines))
    });
}

#[test]
fn a_file_is_read_in_one_sitting() {
    hold(|file| (file.lines > 400).then(|| format!("has {} lines before its tests", file.lines)));
}

#[test]
fn the_architecture_names_every_module() {
    let map = fs::read_to_string("ARCHITECTURE.md").unwrap();
    let named = |module: &str| map.contains(&format!("| `{module}` |"));
    hold(|file| {
        (!is_root(file) && !named(&file.module)).then(|| "is missing from ARCHITECTURE.md's table".into())
    });
}

#[test]
fn a_path_is_read_however_it_is_written() {
    let read = |text: &str| paths(&code(text)).join(" ");
    assert_eq!(
        read("use crate::{docker::{self, Engine}, plan};"),
        "crate::docker::self crate::docker::Engine crate::plan"
    );
    assert_eq!(read("use std::{\n    env,\n    fs as files,\n};"), "std::env std::fs");
    assert_eq!(read("let plan = super::super::plan::of(a);"), "crate::plan::of");
    assert_eq!(read("fedctl::cli::run(\"crate::docker\") // crate::docker"), "crate::cli::run");
    assert_eq!(read("use a::b;\n#[cfg(test)]\nmod tests {\n    use c::d;\n"), "a::b");
}

/// Fails with every file that breaks the rule, not just the first.
fn hold(rule: impl Fn(&File) -> Option<String>) {
    let broken = sources().iter().fold(String::new(), |mut text, file| {
        if let Some(breach) = rule(file) {
            let _ = writeln!(text, "{} {breach}", file.path);
        }
        text
    });
    assert!(broken.is_empty(), "\n{broken}see ARCHITECTURE.md\n");
}

fn hold_imports(of: Room, allowed: impl Fn(&str, Room) -> bool) {
    hold(|file| {
        let stray = |module: &&str| room(module).is_some_and(|room| !allowed(module, room));
        let stray = file.imports().find(stray)?;
        (file.room() == Some(of)).then(|| format!("imports `{stray}`"))
    });
}

fn hold_paths(of: Room, forbidden: &[&str]) {
    hold(|file| {
        let path = forbidden.iter().find(|path| file.names(path))?;
        (file.room() == Some(of)).then(|| format!("names `{path}`"))
    });
}

fn hold_words(of: Room, forbidden: &[&str]) {
    hold(|file| {
        let word = forbidden.iter().find(|word| file.says(word))?;
        (file.room() == Some(of)).then(|| format!("says `{}`", word.trim()))
    });
}

fn room(module: &str) -> Option<Room> {
    ROOMS.iter().find(|(_, modules)| modules.contains(&module)).map(|(room, _)| *room)
}

/// The two files that only list and start the others.
fn is_root(file: &File) -> bool {
    ["src/main.rs", "src/lib.rs"].contains(&file.path.as_str())
}

fn sources() -> Vec<File> {
    let mut files = Vec::new();
    walk(Path::new("src"), &mut files);
    assert!(!files.is_empty(), "no source found under `src`");
    files
}

fn walk(folder: &Path, files: &mut Vec<File>) {
    for entry in fs::read_dir(folder).expect("a folder of sources") {
        let path = entry.expect("an entry of it").path();
        if path.is_dir() {
            walk(&path, files);
        } else if path.extension().is_some_and(|end| end == "rs") && !path.ends_with("tests.rs") {
            files.push(read(&path));
        }
    }
}

fn read(path: &Path) -> File {
    let top = path.iter().nth(1).expect("a path under `src`").to_string_lossy();
    let code = code(&fs::read_to_string(path).expect("a source"));
    File {
        path: path.display().to_string(),
        module: top.trim_end_matches(".rs").into(),
        lines: code.len(),
        paths: paths(&code),
        code,
    }
}

/// The lines above the tests, without comments and the contents of strings.
fn code(text: &str) -> Vec<String> {
    let tests = text.find("#[cfg(test)]\nmod tests").unwrap_or(text.len());
    text[..tests].lines().map(bare).collect()
}

fn bare(line: &str) -> String {
    let (mut bare, mut quoted) = (String::new(), false);
    let line = line.replace("'\"'", "' '").replace("\\\"", "");
    for (at, letter) in line.char_indices() {
        match letter {
            '"' => quoted = !quoted,
            '/' if !quoted && line[at..].starts_with("//") => break,
            _ if !quoted => bare.push(letter),
            _ => {}
        }
    }
    bare
}

/// Every path that the code names, imports spelled out. `super` and the crate's own name count as the crate.
fn paths(code: &[String]) -> Vec<String> {
    let mut found = Vec::new();
    for statement in code.join(" ").split(';') {
        let import = format!(" {statement}").find(" use ");
        let (before, tree) = import.map_or((statement, ""), |at| (&statement[..at], &statement[at + 3..]));
        let name = |letter: char| letter.is_alphanumeric() || letter == '_' || letter == ':';
        found.extend(
            before.split(|letter| !name(letter)).filter(|word| word.contains("::")).map(String::from),
        );
        expand("", tree, &mut found);
    }
    for path in &mut found {
        let rest = path.trim_start_matches("super::").trim_start_matches("fedctl::");
        if rest.len() < path.len() {
            *path = format!("crate::{rest}");
        }
    }
    found
}

/// `a::{b, c::{d}}` → `a::b`, `a::c::d`.
fn expand(prefix: &str, tree: &str, found: &mut Vec<String>) {
    let (mut depth, mut from) = (0, 0);
    for (at, letter) in tree.char_indices().chain([(tree.len(), ',')]) {
        match letter {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                let item = tree[from..at].trim();
                from = at + 1;
                if let Some((head, rest)) = item.split_once('{') {
                    expand(&format!("{prefix}{head}"), rest.strip_suffix('}').unwrap_or(rest), found);
                } else if let Some(name) = item.split_whitespace().next() {
                    found.push(format!("{prefix}{name}"));
                }
            }
            _ => {}
        }
    }
}
