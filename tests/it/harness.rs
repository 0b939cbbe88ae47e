//! Cases that stand alone, and cases that follow each other on one project.

use std::{
    iter,
    panic::{AssertUnwindSafe, catch_unwind},
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

/// How many projects there are at a time. With more of them their brokers would time each other out while they boot.
const PROJECTS: usize = 2;

/// Runs the cases of every project in order, and some projects side by side: what they mostly do is wait for brokers.
/// What came of a project's cases is printed when the last one is done.
pub fn side_by_side(arguments: &Arguments, projects: Vec<Vec<Trial>>) -> Vec<Conclusion> {
    let arguments = Arguments { test_threads: Some(1), ..arguments.clone() };
    if arguments.list {
        return vec![libtest_mimic::run(&arguments, projects.into_iter().flatten().collect())];
    }
    let waiting = Mutex::new(projects.into_iter());
    let next = || waiting.lock().unwrap().next();
    let work = || {
        let one_after_the_other = iter::from_fn(next).map(|cases| {
            let log = NamedTempFile::new().unwrap();
            let logfile = log.path().to_str().map(str::to_owned);
            let conclusion = libtest_mimic::run(&Arguments { logfile, ..arguments.clone() }, cases);
            print!("{}", std::fs::read_to_string(log).unwrap());
            conclusion
        });
        one_after_the_other.collect::<Vec<_>>()
    };
    scope(|scope| {
        let workers: Vec<_> = iter::repeat_with(|| scope.spawn(work)).take(PROJECTS).collect();
        workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect()
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
