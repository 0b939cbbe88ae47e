//! Cases that stand alone, and cases that follow each other on one project.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    sync::{Arc, Mutex, OnceLock, PoisonError},
    thread::scope,
    time::Instant,
};

use libtest_mimic::{Arguments, Conclusion, Failed, Trial};
use tempfile::NamedTempFile;
use tokio::runtime::Builder;

use crate::support::{OnlyOne, Project, engine::docker};

/// What a project is brought into before a case, where it is not known to be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Nothing of it is on the engine.
    Nothing,
    /// Everything runs. A case that starts here and passes ends here, or is followed by one that starts elsewhere.
    Up,
    /// Whatever the case before has left.
    Any,
}

/// A project that is made for the first of its cases that runs. Every case holds it, also those that are filtered out,
/// so it is taken down when the last one is done.
pub struct Shared {
    make: fn() -> Project,
    project: Mutex<Option<(Project, State)>>,
}

impl Shared {
    pub fn new(make: fn() -> Project) -> Arc<Self> {
        Arc::new(Self { make, project: Mutex::new(None) })
    }

    pub fn case(self: &Arc<Self>, name: &str, start: State, case: fn(&Project)) -> Trial {
        let shared = Arc::clone(self);
        let named = name.to_owned();
        Trial::test(name, move || timed(&named, || shared.run(start, case)))
    }

    fn run(&self, start: State, case: fn(&Project)) -> Result<(), Failed> {
        let mut project = self.project.lock().unwrap_or_else(PoisonError::into_inner);
        let (project, state) = project.get_or_insert_with(|| (engine(self.make), State::Nothing));
        let before = std::mem::replace(state, State::Any);
        let passed = catching(|| {
            match start {
                State::Nothing if before != start => {
                    project.fedctl(&["down", "--volumes", "--confirm", &project.name]).exits(0);
                }
                State::Up if before != start => drop(project.up()),
                State::Nothing | State::Up | State::Any => {}
            }
            case(project);
        });
        match &passed {
            Ok(()) if start == State::Up => *state = State::Up,
            Ok(()) => {}
            Err(_) => project.print_state(),
        }
        passed
    }
}

/// A case that disturbs no other.
pub fn independent(path: &str, case: fn()) -> Trial {
    let name = path.split_once("::").map_or(path, |(_crate, name)| name);
    Trial::test(name, move || catching(case))
}

/// Runs an asynchronous case.
pub fn block_on(case: impl Future<Output = ()>) {
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(case);
}

/// A case that needs the engine and no project.
pub fn alone(name: &str, case: fn()) -> Trial {
    let named = name.to_owned();
    Trial::test(name, move || timed(&named, || catching(|| engine(case))))
}

/// Runs every lane's cases one after the other, and the lanes side by side: what a project mostly does is wait for its
/// brokers. The first lane is shown as it goes, each of the others when it has ended.
pub fn lanes(arguments: &Arguments, lanes: Vec<Vec<Trial>>) -> Vec<Conclusion> {
    let one = |logfile: Option<&Path>, cases| {
        let mut arguments = arguments.clone();
        arguments.test_threads = Some(1);
        let logfile = logfile.and_then(Path::to_str).map(str::to_owned);
        arguments.logfile = logfile.or(arguments.logfile);
        libtest_mimic::run(&arguments, cases)
    };
    let mut lanes = lanes.into_iter();
    if arguments.list {
        return vec![one(None, lanes.flatten().collect())];
    }
    let first = lanes.next().unwrap_or_default();
    scope(|scope| {
        let others: Vec<_> = lanes
            .map(|cases| {
                let log = NamedTempFile::new().unwrap();
                scope.spawn(move || (one(Some(log.path()), cases), log))
            })
            .collect();
        let mut conclusions = vec![one(None, first)];
        for other in others {
            let (conclusion, log) = other.join().unwrap();
            print!("{}", std::fs::read_to_string(log).unwrap());
            conclusions.push(conclusion);
        }
        conclusions
    })
}

/// Waits until no other process tests on the engine, which must be there, and keeps it until the end of all cases.
fn engine<T>(then: impl FnOnce() -> T) -> T {
    static ENGINE: OnceLock<OnlyOne> = OnceLock::new();
    ENGINE.get_or_init(|| {
        docker(&["version"]);
        OnlyOne::wait()
    });
    then()
}

fn catching(case: impl FnOnce()) -> Result<(), Failed> {
    catch_unwind(AssertUnwindSafe(case)).map_err(|panic| {
        let message = panic.downcast_ref::<String>().map(String::as_str);
        message.or(panic.downcast_ref::<&str>().copied()).unwrap_or("it panicked").into()
    })
}

/// Says how long a case took.
fn timed<T>(name: &str, case: impl FnOnce() -> T) -> T {
    let started = Instant::now();
    let outcome = case();
    eprintln!("{:5.1} s for {name}", started.elapsed().as_secs_f64());
    outcome
}

/// The cases of a project, each a function named as a sentence, under the state that it starts from.
macro_rules! in_order {
    ($project:expr; $($start:ident { $($module:ident::$case:ident),+ $(,)? })+) => {
        vec![$($(
            $project.case(
                concat!("e2e::", stringify!($module), "::", stringify!($case)),
                $crate::harness::State::$start,
                $module::$case,
            )
        ),+),+]
    };
}

/// Functions of the module that are a case each. One that is not listed is dead code to the compiler.
macro_rules! cases {
    ($($case:ident),+ $(,)?) => {
        vec![$($crate::harness::independent(concat!(module_path!(), "::", stringify!($case)), $case)),+]
    };
}

/// The same for asynchronous functions.
macro_rules! async_cases {
    ($($case:ident),+ $(,)?) => {
        vec![$(
            $crate::harness::independent(concat!(module_path!(), "::", stringify!($case)), || {
                $crate::harness::block_on($case());
            })
        ),+]
    };
}

pub(crate) use {async_cases, cases, in_order};
