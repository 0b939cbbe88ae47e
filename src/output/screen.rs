//! A report that is drawn over the one before it.

use anstream::adapter::strip_str;

use fedctl_model::counted::counted;

/// Rows and columns of a terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// Lines that it shows.
    pub rows: usize,
    /// Characters in each.
    pub columns: usize,
}

/// What draws `body` and below it `tail` over whatever is on the screen, without blanking it first. Of a body that is too
/// long the end is left out, so that the tail is seen and nothing scrolls; a line of the tail takes one row.
#[must_use]
pub fn frame(body: &str, tail: &str, size: Option<Size>) -> String {
    // blanks at the end of a table's rows would take rows of their own
    let mut shown: Vec<String> = body.lines().map(|line| line.trim_end().to_owned()).collect();
    let mut tail: Vec<String> = tail.lines().map(str::to_owned).collect();
    if let Some(size) = size {
        tail = tail.iter().map(|line| clipped(line, size.columns)).collect();
        cut(&mut shown, size.rows.saturating_sub(tail.len() + 1), size.columns);
    }
    let columns = size.map(|size| size.columns);
    let lines = shown.iter().chain(&tail).map(|line| drawn(line, columns)).collect::<String>();
    format!("\u{1b}[H{lines}\u{1b}[J")
}

/// Leaves as many rows of a report as there is room for, the last of which says what is left out.
fn cut(body: &mut Vec<String>, room: usize, columns: usize) {
    let needed = |body: &[String]| body.iter().map(|line| rows(line, columns)).sum::<usize>();
    if needed(body) <= room {
        return;
    }
    let all = body.len();
    while !body.is_empty() && needed(body) + 1 > room {
        body.pop();
    }
    body.push(format!("… {}", counted(all - body.len(), "more line")));
}

/// A line that takes one row. Its colours stay, so that what they began they end.
fn clipped(line: &str, columns: usize) -> String {
    if rows(line, columns) == 1 {
        return line.to_owned();
    }
    let (mut clipped, mut width, mut in_color) = (String::new(), 0, false);
    for character in line.chars() {
        in_color |= character == '\u{1b}';
        if in_color {
            clipped.push(character);
            in_color = character != 'm';
            continue;
        }
        width += 1;
        if width < columns {
            clipped.push(character);
        } else if width == columns {
            clipped.push('…');
        }
    }
    clipped
}

/// How many rows a line fills.
fn rows(line: &str, columns: usize) -> usize {
    width(line).div_ceil(columns.max(1)).max(1)
}

/// Every character that fedctl prints is one column wide.
fn width(line: &str) -> usize {
    strip_str(line).to_string().chars().count()
}

/// A line with the rest of its last row cleared. Where it ends with its row, to clear would take its last character.
fn drawn(line: &str, columns: Option<usize>) -> String {
    let width = width(line);
    let fills = columns.is_some_and(|columns| columns > 0 && width > 0 && width.is_multiple_of(columns));
    if fills { format!("{line}\n") } else { format!("{line}\u{1b}[K\n") }
}
