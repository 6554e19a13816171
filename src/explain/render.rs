//! A [`Plan`] for people: plain text of at most 80 columns where paths allow it, in colours on a
//! terminal.

use std::fmt::Write as _;
use std::io::IsTerminal as _;

use crate::confine::caps;
use crate::error::{is_plain, on_one_line};
use crate::explain::plan::{Entry, Part, Plan, Text, Variable};
use crate::kernel::environment;

/// The width that is kept to.
const WIDTH: usize = 80;

/// Where the second column begins.
const COLUMN: usize = 15;

/// Where an entry's description begins.
const DESCRIPTION: usize = 32;

/// Whether to use colours: only on a terminal, and not where <https://no-color.org> is followed.
pub(crate) fn wants_colour() -> bool {
    let set = |name| environment::get(name).is_some_and(|value| !value.is_empty());
    let dumb = environment::get(c"TERM").is_some_and(|value| value.to_bytes() == b"dumb");
    std::io::stdout().is_terminal() && !set(c"NO_COLOR") && !dumb
}

/// The whole text.
pub(crate) fn render(plan: &Plan<'_>, colour: bool) -> String {
    let mut page = Page { text: String::new(), colour };
    page.heading("nothing has been done");
    if !plan.starts() {
        let text = page.paint(RED, "the sandbox could not start: see what would fail");
        _ = writeln!(page.text, "{text}");
    }
    page.text.push('\n');
    facts(&mut page, plan);
    page.text.push('\n');
    page.heading("file system, in mount order: later entries cover earlier ones");
    let children = children(&plan.filesystem);
    tree(&mut page, (&plan.filesystem, &children), 0, "");
    page.text.push('\n');
    page.heading("command");
    page.command(plan);
    page.marks(plan, Part::Command, "");
    page.notes(plan);
    page.text
}

fn facts(page: &mut Page, plan: &Plan<'_>) {
    for state in ["new", "joined", "shared"] {
        let names: Vec<_> =
            plan.namespaces.iter().filter(|(_, is)| *is == state).map(|(name, _)| *name).collect();
        let label = if state == "new" { "namespaces" } else { "" };
        page.fact(label, names.is_empty(), &format!("{state}: {}", names.join(", ")));
    }
    let id = |id: Option<u32>| {
        id.map_or_else(|| "as others have mapped it".to_owned(), |id| id.to_string())
    };
    page.fact("ids", false, &format!("uid {}, gid {}", id(plan.uid), id(plan.gid)));
    let lines = |lines: &[(u32, u32, u32)]| {
        let shown = lines.iter().map(|(inside, outside, count)| match count {
            1 => format!("{inside} is {outside} outside"),
            _ => format!("{count} from {inside} on are {outside} and so on outside"),
        });
        shown.collect::<Vec<_>>().join("; ")
    };
    page.fact("", plan.uid_map.is_empty(), &format!("uid map: {}", lines(&plan.uid_map)));
    page.fact("", plan.gid_map.is_empty(), &format!("gid map: {}", lines(&plan.gid_map)));
    page.marks(plan, Part::Namespaces, "");
    page.fact("capabilities", false, &capabilities(&plan.capabilities));
    page.list("limits", &plan.limits);
    page.marks(plan, Part::Limits, "");
    page.list("filters", &plan.filters);
    page.marks(plan, Part::Filters, if plan.filters.is_empty() { "filters" } else { "" });
    page.fact(
        "",
        plan.unknown_calls.is_empty(),
        &format!("unknown system calls: {}", plan.unknown_calls.join(", ")),
    );
    page.list("restrictions", &plan.restrictions);
    page.marks(plan, Part::Restrictions, "");
    page.list("processes", &plan.processes);
    page.marks(plan, Part::Processes, "");
    page.list("host name", &plan.hostname.iter().map(quoted).collect::<Vec<_>>());
    page.list("environment", &plan.environment.iter().map(edit).collect::<Vec<_>>());
    page.list(
        "open files",
        &plan.files.iter().map(|file| format!("{} {}", file.option, file.fd)).collect::<Vec<_>>(),
    );
    page.marks(plan, Part::Files, "");
    page.list("profiles", &plan.profiles.iter().map(quoted).collect::<Vec<_>>());
    page.list("directory", &plan.directory.iter().map(quoted).collect::<Vec<_>>());
    page.marks(plan, Part::Directory, "");
}

/// A set of capabilities, or what it lacks, if that is less.
fn capabilities(held: &[String]) -> String {
    let all = caps::names(u64::MAX);
    let missing: Vec<&str> =
        all.iter().filter(|name| !held.contains(name)).map(String::as_str).collect();
    match (held, missing.as_slice()) {
        ([], _) => "none".to_owned(),
        (_, []) => "all".to_owned(),
        _ if missing.len() < held.len() => format!("all but {}", missing.join(", ")),
        _ => held.join(", "),
    }
}

fn edit(edit: &Variable<'_>) -> String {
    match edit {
        Variable::Clear => "all variables are removed".to_owned(),
        Variable::Set(name, value) => format!("{}={}", quoted(name), shortened(value)),
        Variable::Unset(name) => format!("{} is removed", quoted(name)),
    }
}

/// A value, or the beginning of one that would fill the screen.
fn shortened(value: &Text<'_>) -> String {
    const LONGEST: usize = 200;
    let text = value.0.to_string_lossy();
    if text.len() <= LONGEST {
        return quoted_text(&text);
    }
    let beginning: String = text.chars().take(LONGEST / 4).collect();
    format!("{}... ({} bytes)", quoted_text(&beginning), value.0.count_bytes())
}

/// The entries that lie in each entry: it is the last one before them whose destination they are at
/// or below.
fn children(entries: &[Entry<'_>]) -> Vec<Vec<usize>> {
    let mut children = vec![Vec::new(); entries.len()];
    for (index, entry) in entries.iter().enumerate().skip(1) {
        let around = entries
            .iter()
            .take(index)
            .rposition(|earlier| entry.parts.starts_with(&earlier.parts) && earlier.is_placed());
        if let Some(list) = children.get_mut(around.unwrap_or(0)) {
            list.push(index);
        }
    }
    children
}

/// An entry and everything in it.
fn tree(
    page: &mut Page,
    (entries, children): (&[Entry<'_>], &[Vec<usize>]),
    index: usize,
    lines: &str,
) {
    let Some(entry) = entries.get(index) else { return };
    if index == 0 {
        page.entry("", entry);
    }
    let list = children.get(index).map(Vec::as_slice).unwrap_or_default();
    for (place, &child) in list.iter().enumerate() {
        let (branch, below) =
            if place + 1 == list.len() { ("└─ ", "   ") } else { ("├─ ", "│  ") };
        if let Some(entry) = entries.get(child) {
            page.entry(&format!("{lines}{branch}"), entry);
        }
        tree(page, (entries, children), child, &format!("{lines}{below}"));
    }
}

/// The text so far.
struct Page {
    text: String,
    colour: bool,
}

/// Terminal colours, as parameters of SGR.
const BOLD: &str = "1";
const RED: &str = "31";
const DIM: &str = "2";

impl Page {
    fn paint(&self, parameter: &str, text: &str) -> String {
        if self.colour { format!("\x1b[{parameter}m{text}\x1b[m") } else { text.to_owned() }
    }

    fn heading(&mut self, text: &str) {
        let text = self.paint(BOLD, text);
        _ = writeln!(self.text, "{text}");
    }

    /// A fact with its label, unless there is none.
    fn fact(&mut self, label: &str, missing: bool, text: &str) {
        if missing {
            return;
        }
        _ = write!(self.text, "  {label:<width$}", width = COLUMN - 2);
        self.wrapped(&on_one_line(text), COLUMN, COLUMN);
    }

    /// Facts with one label.
    fn list(&mut self, label: &str, texts: &[String]) {
        for (index, text) in texts.iter().enumerate() {
            self.fact(if index == 0 { label } else { "" }, false, text);
        }
    }

    /// What would fail of a part, below its facts.
    fn marks(&mut self, plan: &Plan<'_>, part: Part, label: &str) {
        let mut label = label;
        for problem in plan.problems.iter().filter(|problem| problem.part == part) {
            let text = format!("would fail: {}", on_one_line(&problem.message));
            let text = self.paint(RED, &text);
            _ = write!(self.text, "  {label:<width$}", width = COLUMN - 2);
            self.wrapped(&text, COLUMN, COLUMN);
            label = "";
        }
    }

    /// The remarks.
    fn notes(&mut self, plan: &Plan<'_>) {
        if plan.notes.is_empty() {
            return;
        }
        self.text.push('\n');
        self.heading("notes");
        for note in &plan.notes {
            self.text.push_str("  ");
            self.wrapped(&on_one_line(&note.message), 2, 4);
        }
    }

    /// Words from a column on, and further lines from there on too.
    fn wrapped(&mut self, text: &str, mut column: usize, indent: usize) {
        for (index, word) in text.split(' ').enumerate() {
            let length = word.chars().count();
            if index > 0 && column + 1 + length > WIDTH {
                _ = write!(self.text, "\n{:indent$}", "");
                column = indent;
            } else if index > 0 {
                self.text.push(' ');
                column += 1;
            }
            self.text.push_str(word);
            column += length;
        }
        self.text.push('\n');
    }

    fn entry(&mut self, lines: &str, entry: &Entry<'_>) {
        let number = if entry.number == 0 { String::new() } else { entry.number.to_string() };
        let destination = quoted(&entry.destination);
        let width = 5 + lines.chars().count() + destination.chars().count();
        let shown = if entry.covered_by.is_some() || !entry.is_placed() {
            self.paint(DIM, &destination)
        } else {
            destination
        };
        _ = write!(self.text, "{number:>4} {lines}{shown}");
        if width + 2 > DESCRIPTION {
            _ = write!(self.text, "\n{:DESCRIPTION$}", "");
        } else {
            _ = write!(self.text, "{:rest$}", "", rest = DESCRIPTION - width);
        }
        self.wrapped(&on_one_line(&describe(entry)), DESCRIPTION, DESCRIPTION);
        let problem = entry.problem.as_ref().map(|problem| {
            let what = if entry.is_placed() { "would fail" } else { "is left out" };
            self.paint(RED, &on_one_line(&format!("{what}: {problem}")))
        });
        let covered = entry.covered_by.map(|by| self.paint(DIM, &format!("covered by {by}")));
        for note in [covered, problem].into_iter().flatten() {
            _ = write!(self.text, "{:DESCRIPTION$}", "");
            self.wrapped(&note, DESCRIPTION, DESCRIPTION);
        }
    }

    /// The command line, as a shell would take it.
    fn command(&mut self, plan: &Plan<'_>) {
        if let Some(name) = &plan.argv0 {
            _ = writeln!(self.text, "  called {}", quoted(name));
        }
        let mut column = 0;
        for (index, word) in plan.command.iter().map(quoted).enumerate() {
            let length = word.chars().count();
            if index > 0 && column + 3 + length > WIDTH {
                self.text.push_str(" \\\n      ");
                column = 6;
            } else {
                let space = if index == 0 { "  " } else { " " };
                self.text.push_str(space);
                column += space.len();
            }
            self.text.push_str(&word);
            column += length;
        }
        self.text.push('\n');
    }
}

/// What an entry is.
fn describe(entry: &Entry<'_>) -> String {
    let mut text = entry.kind.to_owned();
    if !entry.sources.is_empty() {
        text.push_str(if entry.kind == "symlink" { " to " } else { " of " });
        text.push_str(
            &entry
                .sources
                .iter()
                .map(|source| quoted_text(source))
                .collect::<Vec<_>>()
                .join(" over "),
        );
    }
    for flag in &entry.flags {
        text.push_str(", ");
        text.push_str(flag);
    }
    if let Some(from) = &entry.from {
        _ = write!(text, ", from {}", quoted_text(from));
    }
    text
}

/// A word as a shell would take it.
fn quoted(text: &Text<'_>) -> String {
    quoted_text(&text.0.to_string_lossy())
}

fn quoted_text(text: &str) -> String {
    let plain = |letter: char| letter.is_alphanumeric() || "/._-+=:,@%^".contains(letter);
    if !text.is_empty() && text.chars().all(plain) {
        return text.to_owned();
    }
    if !text.chars().all(is_plain) {
        return format!("$'{}'", text.chars().flat_map(escaped).collect::<String>());
    }
    format!("'{}'", text.replace('\'', "'\\''"))
}

/// A character between `$'` and `'`.
fn escaped(letter: char) -> Vec<char> {
    match letter {
        '\n' => vec!['\\', 'n'],
        '\t' => vec!['\\', 't'],
        '\'' | '\\' => vec!['\\', letter],
        other if !is_plain(other) => format!("\\u{:04x}", u32::from(other)).chars().collect(),
        other => vec![other],
    }
}
