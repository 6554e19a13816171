//! What is to be seen of files: mounts, directories, open fds.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use crate::sys;
use crate::text::{text, unknown};

/// Mount options that tell about the machine and not about the sandbox.
const SIZES: [&str; 3] = ["size=", "nr_inodes=", "inode64"];

/// The mounts, sorted by mount point; mounts on the same point stay in the order of mounting.
pub(super) fn mounts() -> Vec<String> {
    let text = match fs::read_to_string("/proc/self/mountinfo") {
        Ok(text) => text,
        Err(error) => return vec![unknown("mountinfo", &error)],
    };
    // What another mount covers whole cannot be reached, neither by COMMAND nor by a remount on old kernels: its flags are nobody's.
    let place = |line: &str| Some((line.split(' ').nth(1)?.to_owned(), line.split(' ').nth(4)?.to_owned()));
    let id = |line: &str| Some((line.split(' ').next()?.to_owned(), line.split(' ').nth(4)?.to_owned()));
    let covering: BTreeSet<_> = text.lines().filter_map(place).collect();
    let uncovered = text.lines().filter(|line| id(line).is_none_or(|id| !covering.contains(&id)));
    let mut lines = uncovered.filter_map(mount).collect::<Vec<_>>();
    lines.sort_by(|a, b| a.0.cmp(&b.0));
    lines.into_iter().map(|(_, line)| line).collect()
}

/// A mount point, and the line about it.
fn mount(line: &str) -> Option<(String, String)> {
    let (mount, super_block) = line.split_once(" - ")?;
    let fields = mount.split(' ').collect::<Vec<_>>();
    let [_, _, _, root, point, options, propagation @ ..] = fields.as_slice() else { return None };
    // A peer group's number means nothing, being in one does.
    let mut propagation = propagation.iter().filter_map(|field| field.split(':').next()).collect::<Vec<_>>();
    propagation.sort_unstable();
    let propagation = if propagation.is_empty() { "private".to_owned() } else { propagation.join("+") };
    let mut parts = super_block.split(' ');
    let (kind, source, settings) = (parts.next()?, parts.next()?, parts.next().unwrap_or_default());
    let mut settings = settings.split(',').filter(|s| !SIZES.iter().any(|size| s.starts_with(size))).collect::<Vec<_>>();
    settings.sort_unstable();
    let mut options = options.split(',').collect::<Vec<_>>();
    options.sort_unstable();
    let line = format!("{point} {} {propagation} {kind} {source} {root} {}", options.join(","), settings.join(","));
    Some(((*point).to_owned(), line))
}

pub(super) fn working_directory() -> Vec<String> {
    let here = std::env::current_dir().map_or_else(|e| unknown("cwd", &e), |path| text(path.as_os_str().as_bytes()));
    vec![here, format!("PWD: {:?}", std::env::var_os("PWD"))]
}

/// The open fds: number, access, what it is, whether it is closed on exec.
pub(super) fn descriptors() -> Vec<String> {
    // Looked at before anything is opened here.
    let open = (0..1024).filter_map(|fd| sys::fd_flags(fd).map(|flags| (fd, flags))).collect::<Vec<_>>();
    open.into_iter()
        .map(|(fd, (_, status))| {
            let access = match status {
                s if s & libc::O_PATH != 0 => "path",
                s if s & libc::O_ACCMODE == libc::O_RDWR => "read-write",
                s if s & libc::O_ACCMODE == libc::O_WRONLY => "write",
                _ => "read",
            };
            let target = fs::read_link(format!("/proc/self/fd/{fd}"));
            let target = target.map_or_else(|_| "?".to_owned(), |path| text(path.as_os_str().as_bytes()));
            format!("{fd}: {access} {target}")
        })
        .collect()
}

/// The flags of the mount that a path is on.
pub(super) fn flags(path: &str) -> Vec<String> {
    use nix::sys::statvfs::FsFlags;
    match nix::sys::statvfs::statvfs(path) {
        Ok(mount) => {
            let flags = mount.flags();
            let names = [(FsFlags::ST_RDONLY, "ro"), (FsFlags::ST_NOSUID, "nosuid"), (FsFlags::ST_NODEV, "nodev")];
            let set = names.into_iter().filter(|(flag, _)| flags.contains(*flag)).map(|(_, name)| name);
            vec![format!("{path}: {}", set.collect::<Vec<_>>().join(","))]
        }
        Err(error) => vec![unknown(path, &error)],
    }
}

/// A directory's entries, or all that is below it on the same file system.
pub(super) fn list(path: &str, deep: bool) -> Vec<String> {
    lines(path, deep, usize::MAX)
}

/// What is below a directory on the same file system, with what short files hold; not much of it where there is much.
pub(super) fn contents(path: &str) -> Vec<String> {
    let mut lines = lines(path, true, 200);
    for line in &mut lines {
        let Some((name, _)) = line.split_once(": file ") else { continue };
        if fs::metadata(name).is_ok_and(|meta| meta.len() > 4096) {
            continue;
        }
        let content = fs::read(name).map(|content| text(&content));
        let content = content.map_or_else(|error| error.kind().to_string(), |text| format!("{text:?}"));
        *line = format!("{line} {content}");
    }
    lines
}

fn lines(path: &str, deep: bool, most: usize) -> Vec<String> {
    let mut lines = vec![];
    let top = Path::new(path);
    match fs::symlink_metadata(top) {
        Ok(meta) => {
            lines.push(describe(top, &meta));
            add(top, deep.then_some(meta.dev()), most, &mut lines);
        }
        Err(error) => lines.push(unknown(path, &error)),
    }
    lines
}

fn add(dir: &Path, deep: Option<u64>, most: usize, lines: &mut Vec<String>) {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotADirectory => return,
        Err(error) => return lines.push(unknown(&dir.display().to_string(), &error)),
    };
    let mut paths = entries.flatten().map(|entry| entry.path()).collect::<Vec<_>>();
    paths.sort();
    for path in paths {
        if lines.len() >= most {
            return;
        }
        let Ok(meta) = fs::symlink_metadata(&path) else { continue };
        lines.push(describe(&path, &meta));
        if meta.is_dir() && deep == Some(meta.dev()) {
            add(&path, deep, most, lines);
        }
    }
}

fn describe(path: &Path, meta: &fs::Metadata) -> String {
    let name = text(path.as_os_str().as_bytes());
    let owner = format!("{:o} {}:{}", meta.mode() & 0o7777, meta.uid(), meta.gid());
    let kind = meta.file_type();
    if kind.is_symlink() {
        let target = fs::read_link(path).unwrap_or_default();
        format!("{name}: symlink to {}", text(target.as_os_str().as_bytes()))
    } else if kind.is_dir() {
        format!("{name}: directory {owner}")
    } else if kind.is_char_device() || kind.is_block_device() {
        format!("{name}: device {owner} {}:{}", libc::major(meta.rdev()), libc::minor(meta.rdev()))
    } else if kind.is_file() {
        format!("{name}: file {owner}")
    } else {
        format!("{name}: other {owner}")
    }
}
