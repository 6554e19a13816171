//! The probe: this program, run inside a sandbox, prints what the sandbox looks like as text that can be compared.
//!
//! It is linked statically, so it runs in any root, and each view makes do without /proc as far as system calls can tell.
//! `--probe NAMESPACES VIEW…`, where NAMESPACES are the host's, as the harness's `{namespaces}` says, and a view is one of
//! `ids maps caps security namespaces mounts env cwd process signals limits fds hostname network thread flags:PATH list:PATH tree:PATH`,
//! `contents:PATH`, `tcp:PORT`, `doors:PORT` and `doors`, `carried:PORT`, `unix:DIRECTORY`, `brought:DIRECTORY`, `udp:PORT`, `families`, `calls:ARGUMENTS`,
//! or one of the adversary's: `escape:KIND:WORDS`, see [`escape`], and `race:…`, see [`race`].

pub(crate) mod calls;
mod doors;
pub(crate) mod escape;
mod files;
mod process;
pub(crate) mod race;
mod sockets;

use std::io::Write;
use std::process::ExitCode;

/// Runs what the words say.
pub(crate) fn run(words: &[String]) -> ExitCode {
    if let Some(("with-key", rest)) = words.split_first().map(|(first, rest)| (first.as_str(), rest)) {
        return escape::misc::with_key(rest);
    }
    let host = words.first().map_or("", String::as_str);
    let mut text = String::new();
    for view in words.iter().skip(1) {
        let lines = show(view, host);
        // What an adversary is given differs from run to run.
        let name = view.strip_prefix("escape:").and_then(|view| view.split(':').next()).unwrap_or(view);
        for line in [format!("[{name}]")].into_iter().chain(lines) {
            text.push_str(&line);
            text.push('\n');
        }
    }
    if std::io::stdout().write_all(text.as_bytes()).is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn show(view: &str, host: &str) -> Vec<String> {
    match view {
        "ids" => process::ids(),
        "maps" => process::maps(),
        "caps" => process::capabilities(),
        "security" => process::security(),
        "namespaces" => process::namespaces(host),
        "mounts" => files::mounts(),
        "env" => process::environment(),
        "cwd" => files::working_directory(),
        "process" => process::relations(),
        "signals" => process::signals(),
        "limits" => process::limits(),
        "fds" => files::descriptors(),
        "hostname" => process::host_name(),
        "network" => process::network(),
        "thread" => process::thread(),
        "doors" => doors::filtered(),
        "families" => sockets::families(),
        _ => match view.split_once(':') {
            Some(("escape", what)) => escape::run(what),
            Some(("race", what)) => race::run(what),
            Some(("flags", path)) => files::flags(path),
            Some(("calls", args)) => calls::all(args),
            Some(("tcp", port)) => process::tcp(port),
            Some(("doors", port)) => doors::all(port),
            Some(("carried", port)) => doors::carried(port),
            Some(("unix", dir)) => sockets::unix(dir),
            Some(("brought", dir)) => sockets::brought(dir),
            Some(("udp", port)) => sockets::udp(port),
            Some(("list", path)) => files::list(path, false),
            Some(("tree", path)) => files::list(path, true),
            Some(("contents", path)) => files::contents(path),
            _ => vec!["no such view".to_owned()],
        },
    }
}
