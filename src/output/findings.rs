//! Findings as people know them from compilers.

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};

use fedctl_model::topology::{Finding, Severity};

/// The findings in `text`, which was read from `path`, each with its line, a caret and its help.
#[must_use]
pub fn render(findings: &[Finding], text: &str, path: &str, color: bool) -> String {
    let renderer = if color { Renderer::styled() } else { Renderer::plain() };
    findings.iter().map(|finding| rendered(&renderer, finding, text, path)).collect::<Vec<_>>().join("\n")
}

fn rendered(renderer: &Renderer, finding: &Finding, text: &str, path: &str) -> String {
    let level = match finding.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    // The one line is enough, and a long text with many findings is not scanned for each.
    let before = text[..finding.span.start].rsplit('\n').next().unwrap_or_default();
    let before = before.strip_prefix('\u{feff}').unwrap_or(before);
    let start = finding.span.start - before.len();
    let snippet = Snippet::source(text[start..].lines().next().unwrap_or_default())
        .line_start(finding.line)
        .path(path)
        .annotation(AnnotationKind::Primary.span(finding.span.start - start..finding.span.end - start));
    let help = finding.help.as_deref().map(|help| Level::HELP.message(help));
    let group = level
        .primary_title(finding.message.as_str())
        .id(finding.code.as_str())
        .element(snippet)
        .elements(help);
    format!("{}\n", renderer.render(&[group]))
}
