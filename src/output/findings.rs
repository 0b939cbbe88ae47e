//! Findings as people know them from compilers.

use std::{collections::BTreeMap, fmt::Write};

use annotate_snippets::{Annotation, AnnotationKind, Level, Renderer, Snippet};

use fedctl_model::{
    counted::counted,
    diagnostic::{Code, Diagnostic, Place, Position, Severity},
};

/// Of more warnings of one kind the rest are counted.
const SHOWN_ALIKE: usize = 3;

/// The findings in `text`, which was read from `path`, each with its line, a caret and its help.
#[must_use]
pub fn render(findings: &[Diagnostic], text: &str, path: &str, color: bool) -> String {
    let renderer = if color { Renderer::styled() } else { Renderer::plain() };
    findings.iter().map(|finding| rendered(&renderer, finding, text, path)).collect::<Vec<_>>().join("\n")
}

/// The same, where findings are not what was asked for: of many warnings of one kind, the first ones.
#[must_use]
pub fn render_briefly(findings: &[Diagnostic], text: &str, path: &str, color: bool) -> String {
    let mut alike: BTreeMap<Code, usize> = BTreeMap::new();
    let mut shown = findings.to_vec();
    shown.retain(|finding| {
        let count = alike.entry(finding.code).or_default();
        *count += 1;
        finding.severity == Severity::Error || *count <= SHOWN_ALIKE
    });
    let mut rendered = render(&shown, text, path, color);
    if let Some(others) = findings.len().checked_sub(shown.len()).filter(|others| *others > 0) {
        let others = counted(others, "more warning");
        writeln!(rendered, "\n{others} of the same kinds: fedctl check --offline").ok();
    }
    rendered
}

fn rendered(renderer: &Renderer, finding: &Diagnostic, text: &str, path: &str) -> String {
    let level = match finding.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let title = level.primary_title(finding.message.as_str()).id(finding.code.as_str());
    let snippet = match &finding.place {
        Place::File(position) => Some(snippet(position, text, path)),
        Place::Broker { .. }
        | Place::Link(_)
        | Place::Queue { .. }
        | Place::Policy { .. }
        | Place::Upstream { .. }
        | Place::Exchange { .. }
        | Place::UpstreamSet { .. }
        | Place::User { .. }
        | Place::Network { .. }
        | Place::Volume { .. }
        | Place::Container { .. }
        | Place::Project { .. } => None,
    };
    let help = finding.help.as_deref().map(|help| Level::HELP.message(help));
    let group = title.elements(snippet).elements(help);
    format!("{}\n", renderer.render(&[group]))
}

/// The one line is enough, and a long text with many findings is not scanned for each.
fn snippet<'a>(position: &Position, text: &'a str, path: &'a str) -> Snippet<'a, Annotation<'a>> {
    let Position { span, line, .. } = position;
    let before = text[..span.start].rsplit('\n').next().unwrap_or_default();
    let before = before.strip_prefix('\u{feff}').unwrap_or(before);
    let start = span.start - before.len();
    Snippet::source(text[start..].lines().next().unwrap_or_default())
        .line_start(*line)
        .path(path)
        .annotation(AnnotationKind::Primary.span(span.start - start..span.end - start))
}
