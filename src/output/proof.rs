//! The results of scenarios, for people.

use std::fmt::Write;

use owo_colors::OwoColorize;

use fedctl_scenarios::proof::{Proof, Proofs};

/// Each scenario's claim, timeline and verdict.
#[must_use]
pub fn render(proofs: &Proofs) -> String {
    let mut text: String = proofs.scenarios.iter().map(scenario).collect();
    let passed = proofs.scenarios.iter().filter(|proof| proof.passed).count();
    writeln!(text, "{passed} of {} scenarios passed", proofs.scenarios.len()).ok();
    text
}

fn scenario(proof: &Proof) -> String {
    let verdict = if proof.passed {
        "✓ passed".green().bold().to_string()
    } else {
        "✗ failed".red().bold().to_string()
    };
    let mut text = format!("{}: {}\n", proof.scenario.bold(), proof.claim);
    let width = proof.timeline.iter().map(|seen| seen.region.as_str().len()).max().unwrap_or_default();
    for seen in &proof.timeline {
        let after = seen.after_ms.map_or_else(String::new, |after| format!("{after:.1} ms"));
        let id = seen.correlation_id.as_ref().map_or_else(String::new, |id| format!("  {id}"));
        let region = seen.region.as_str();
        writeln!(text, "  {:>10}  {region:<width$}  {}{}", after.dimmed(), seen.what, id.dimmed()).ok();
    }
    for failure in &proof.failures {
        writeln!(text, "  {} {}", "✗".red(), failure.missing).ok();
        for suspect in &failure.suspects {
            writeln!(text, "      {suspect}").ok();
        }
    }
    writeln!(text, "  {verdict} in {:.2} s\n", proof.seconds).ok();
    text
}
