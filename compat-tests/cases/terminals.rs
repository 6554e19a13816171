//! A shell and a full-screen program on a terminal: interrupts, job control, resizing.

use std::process::Command;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::harness::{Case, Field, Live, Result};

/// The cases of this file.
pub(crate) fn cases() -> Vec<Case> {
    [shells(), full_screen()].into_iter().flatten().collect()
}

/// A sandbox with its own processes on the caller's terminal.
fn on_terminal(name: &str) -> Case {
    let case =
        Case::new(name).typed().on_host().options(["--unshare-all", "--die-with-parent", "--dev", "/dev", "--proc", "/proc"]);
    case.env("TERM", "xterm").env("PS1", "prompt> ")
}

fn shells() -> Vec<Case> {
    let shell = ["bash", "--norc", "--noprofile", "-i"];
    vec![
        // Where the echo of typed words appears among the output is chance.
        on_terminal("shell").run(shell).status(6).blur(Field::Stdout, |_| String::new()).during(|live| {
            keys(live)?;
            live.write(0, b"exit 6\n");
            Ok(())
        }),
        on_terminal("shell_that_is_signalled").ours_only().options(["--forward-signals"]).run(shell).status(6).during(|live| {
            keys(live)?;
            // A shell that waits for a line runs traps only after the next command.
            live.write(0, b"trap 'came=yes' USR1; echo trap is se''t; until [ $came ]; do sleep 0.1; done; echo USR1 $came\n");
            live.wait_for_next(1, "trap is set")?;
            let monitor = Pid::from_raw(live.pid()?);
            kill(monitor, Signal::SIGUSR1).map_err(|e| format!("kill: {e}"))?;
            live.wait_for_next(1, "USR1 yes\r\n")?;
            live.write(0, b"exit 6\n");
            Ok(())
        }),
    ]
}

/// Interrupts, stops and ends programs of the shell. The typed words differ from the printed ones, so
/// that an echo is not taken for output.
fn keys(live: &mut Live) -> Result<()> {
    let program = b"sh -c 'echo be''gun; exec sleep 1000'\n";
    live.wait_for_next(1, "prompt> ")?;
    live.write(0, program);
    live.wait_for_next(1, "begun")?;
    // Ctrl-C ends the program, and not the shell.
    live.write(0, b"\x03");
    live.wait_for_next(1, "prompt> ")?;
    live.write(0, b"echo was $?\n");
    live.wait_for_next(1, "was 130")?;
    live.write(0, program);
    live.wait_for_next(1, "begun")?;
    // Ctrl-Z.
    live.write(0, b"\x1a");
    live.wait_for_next(1, "Stopped")?;
    // Where bash still takes the job for stopped, `wait` returns at once and `exit` is refused.
    live.write(0, b"kill %1; while [ \"$(jobs -s)\" ]; do sleep 0.1; done; echo it is go''ne\n");
    live.wait_for_next(1, "it is gone")
}

/// Shows its size until a `q` is typed. It polls for keys, because a signal that arrives just before
/// a wait would be noticed only with the next key.
const CURSES: &str = "
import curses
def main(screen):
    screen.timeout(100)
    while True:
        screen.clear(); screen.addstr(0, 0, \"size %d %d;\" % screen.getmaxyx()); screen.refresh()
        key = screen.getch()
        if key == curses.KEY_RESIZE: curses.update_lines_cols()
        if key == ord(\"q\"): return
curses.wrapper(main)
";

fn full_screen() -> Vec<Case> {
    let case = |name: &str, options: &[&str]| {
        let case = on_terminal(name).ours_only().needs(has_curses).options(["--forward-signals"]).options(options);
        case.run(["/usr/bin/python3", "-c", CURSES]).status(0).during(|live| {
            live.wait_for_next(1, "size")?;
            for (rows, columns) in [(30, 90), (10, 200), (24, 80)] {
                live.resize(rows, columns)?;
                live.wait_for_next(1, &format!("{rows} {columns};"))?;
            }
            live.write(0, b"q");
            Ok(())
        })
    };
    vec![case("full_screen", &[]), case("full_screen_in_a_new_session", &["--new-session"])]
}

fn has_curses() -> Result<()> {
    let there =
        Command::new("/usr/bin/python3").args(["-c", "import curses"]).output().is_ok_and(|output| output.status.success());
    if there { Ok(()) } else { Err("needs /usr/bin/python3 with curses".to_owned()) }
}
