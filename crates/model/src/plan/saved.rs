//! A plan in a file: what was looked at and agreed to, and no more than that, is applied later.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::Plan;
use crate::desired::Leftovers;

/// The version of the file's format.
const FORMAT_VERSION: u32 = 1;

/// What `fedctl plan --out` writes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedPlan {
    /// The version of this format.
    pub version: u32,
    /// The project.
    pub project: String,
    /// Only these regions; all if there is none.
    pub regions: Vec<String>,
    /// Whether the project is taken over from another topology file.
    pub take_over: bool,
    /// Whether what brokers have already is taken over.
    #[serde(default)]
    pub adopt: bool,
    /// What becomes of messages of links that exist no more.
    pub leftovers: Leftovers,
    /// What is done, a line for each step.
    pub steps: Vec<String>,
    /// By which the same plan is known.
    pub digest: String,
}

impl SavedPlan {
    /// `regions` are those that were named.
    #[must_use]
    pub fn of(
        plan: &Plan,
        project: &str,
        regions: &[String],
        [take_over, adopt]: [bool; 2],
        leftovers: Leftovers,
    ) -> Self {
        Self {
            version: FORMAT_VERSION,
            project: project.to_owned(),
            regions: regions.to_vec(),
            take_over,
            adopt,
            leftovers,
            steps: plan.lines(),
            digest: plan.digest(),
        }
    }

    /// Whether this version of fedctl reads it.
    #[must_use]
    pub fn is_readable(&self) -> bool {
        self.version == FORMAT_VERSION
    }

    /// What the plan of now does and the saved one did not, and the other way round, as lines with `+` and `-` before them.
    #[must_use]
    pub fn moved(&self, plan: &Plan) -> Vec<String> {
        let now = plan.lines();
        let gone = self.steps.iter().filter(|line| !now.contains(line)).map(|line| format!("- {line}"));
        let new = now.iter().filter(|line| !self.steps.contains(line)).map(|line| format!("+ {line}"));
        gone.chain(new).collect()
    }
}

impl Plan {
    /// By which the same plan is known: all that its steps do, but for the passwords in them, in their order.
    #[must_use]
    pub fn digest(&self) -> String {
        let steps =
            self.steps.iter().map(|planned| format!("{:?} after {:?}\n", planned.step, planned.after));
        STANDARD.encode(steps.fold(Sha256::new(), Digest::chain_update).finalize())
    }

    fn lines(&self) -> Vec<String> {
        self.steps
            .iter()
            .map(|planned| {
                let described = planned.step.describe();
                format!("{}: {}", described.subject, described.action)
            })
            .collect()
    }
}
