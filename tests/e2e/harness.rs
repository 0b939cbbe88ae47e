//! Cases that follow each other on one project, and projects side by side.

use std::{
    collections::BTreeSet,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError},
    time::Instant,
};

use libtest_mimic::{Arguments, Conclusion, Failed, Trial};

use crate::support::{OnlyOne, Project};

/// Projects at a time unless `--test-threads` says otherwise. Brokers that boot keep a core busy each; the rest of the
/// time goes by waiting for heartbeats, links and time-outs.
const SIDE_BY_SIDE: usize = 2;

/// Runs the cases: those of one project in their order, and several projects side by side.
///
/// Every case has a thread, which waits until it is its turn and its project may run.
pub fn run(mut arguments: Arguments, cases: Vec<Trial>) -> Conclusion {
    PROJECTS.set(arguments.test_threads.unwrap_or(SIDE_BY_SIDE)).expect("it is set once");
    arguments.test_threads = Some(cases.len());
    libtest_mimic::run(&arguments, cases)
}

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

/// A project that is made for the first of its cases that runs, and taken down after the last, passed or not.
pub struct Shared {
    make: fn() -> Project,
    project: Mutex<Option<(Project, State, Permit)>>,
    /// The cases that are over or were filtered out, by their place.
    over: Mutex<BTreeSet<usize>>,
    another_is_over: Condvar,
}

impl Shared {
    pub fn new(make: fn() -> Project) -> Arc<Self> {
        let (project, over) = (Mutex::new(None), Mutex::default());
        Arc::new(Self { make, project, over, another_is_over: Condvar::new() })
    }

    pub fn case(
        self: &Arc<Self>,
        place: usize,
        name: &'static str,
        start: State,
        case: fn(&Project),
    ) -> Trial {
        let turn = Turn { shared: Arc::clone(self), place };
        Trial::test(name, move || {
            turn.wait();
            turn.shared.run(name, start, case)
        })
    }

    fn run(&self, name: &str, start: State, case: fn(&Project)) -> Result<(), Failed> {
        let mut project = locked(&self.project);
        let (project, state, _) = project.get_or_insert_with(|| {
            let permit = Permit::wait();
            ((self.make)(), State::Nothing, permit)
        });
        let before = std::mem::replace(state, State::Any);
        let passed = timed(name, || {
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
            Err(_) => project.tell(),
        }
        passed
    }
}

/// The place of a case among those of its project. It is over when this is dropped, also where it was filtered out, and
/// the project goes with the last.
struct Turn {
    shared: Arc<Shared>,
    place: usize,
}

impl Turn {
    fn wait(&self) {
        let waits = |over: &mut BTreeSet<usize>| (0..self.place).any(|earlier| !over.contains(&earlier));
        let over = locked(&self.shared.over);
        drop(self.shared.another_is_over.wait_while(over, waits).unwrap_or_else(PoisonError::into_inner));
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        locked(&self.shared.over).insert(self.place);
        self.shared.another_is_over.notify_all();
    }
}

/// A case that needs the engine and no project of fedctl's.
pub fn alone(name: &'static str, case: fn()) -> Trial {
    Trial::test(name, move || {
        let _permit = Permit::wait();
        timed(name, case)
    })
}

static PROJECTS: OnceLock<usize> = OnceLock::new();
static RUNNING: Mutex<usize> = Mutex::new(0);
static ANOTHER_ENDED: Condvar = Condvar::new();

/// That a project may run: no other process tests on this engine, and few projects run in this one.
struct Permit;

impl Permit {
    fn wait() -> Self {
        static ENGINE: OnceLock<OnlyOne> = OnceLock::new();
        ENGINE.get_or_init(OnlyOne::wait);
        let most = *PROJECTS.get().expect("it is set first");
        let running = locked(&RUNNING);
        let running = ANOTHER_ENDED.wait_while(running, |running| *running >= most);
        *running.unwrap_or_else(PoisonError::into_inner) += 1;
        Self
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        *locked(&RUNNING) -= 1;
        ANOTHER_ENDED.notify_one();
    }
}

/// Says how long a case took, and where it failed why.
fn timed(name: &str, case: impl FnOnce()) -> Result<(), Failed> {
    let started = Instant::now();
    let outcome = catch_unwind(AssertUnwindSafe(case));
    let verdict = if outcome.is_ok() { "" } else { " FAILED" };
    eprintln!("{:>6.1} s  {name}{verdict}", started.elapsed().as_secs_f64());
    outcome.map_err(|panic| {
        let message = panic.downcast_ref::<String>().map(String::as_str);
        message.or(panic.downcast_ref::<&str>().copied()).unwrap_or("it panicked").into()
    })
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The cases of a project, each a function named as a sentence, under the state that it starts from.
macro_rules! in_order {
    ($project:expr; $($start:ident { $($module:ident::$case:ident),+ $(,)? })+) => {{
        let cases: &[(&'static str, $crate::harness::State, fn(&$crate::support::Project))] = &[$($((
            concat!(stringify!($module), "::", stringify!($case)),
            $crate::harness::State::$start,
            $module::$case,
        )),+),+];
        let cases = cases.iter().enumerate();
        cases.map(|(place, (name, start, case))| $project.case(place, name, *start, *case)).collect::<Vec<_>>()
    }};
}

pub(crate) use in_order;
