//! Streams through a sandbox: they are COMMAND's own, so nothing touches them.

use std::io::{Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};

use crate::crowds::ended_with;
use crate::harness::Result;
use crate::random::Random;
use crate::series::TYPICAL;
use crate::stage::{Stage, at, figure, words};

const BLOCK: usize = 1 << 20;

/// The blocks of a stream: no two are the same.
struct Blocks {
    block: Vec<u8>,
    number: u64,
}

impl Blocks {
    fn new() -> Self {
        let mut random = Random::new(3);
        let block = (0..BLOCK / 8).flat_map(|_| random.next().to_ne_bytes()).collect();
        Self { block, number: 0 }
    }

    fn next(&mut self) -> &[u8] {
        self.number += 1;
        if let Some(start) = self.block.first_chunk_mut() {
            *start = self.number.to_ne_bytes();
        }
        &self.block
    }
}

/// A stream goes in by a pipe and comes out by another one, and every byte is the same.
pub(crate) fn both_ways(stage: &mut Stage) -> Result<()> {
    let count = stage.count(64, 1024);
    for options in ["--ro-bind / /", TYPICAL] {
        let mut command = stage.bwrap(words(options));
        let mut child = at("spawn", command.arg("cat").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn())?;
        let (mut input, mut output) = (child.stdin.take().ok_or("no stdin")?, child.stdout.take().ok_or("no stdout")?);
        let writer = std::thread::spawn(move || {
            let mut blocks = Blocks::new();
            (0..count).try_for_each(|_| input.write_all(blocks.next()))
        });
        let (mut blocks, mut got) = (Blocks::new(), vec![0; BLOCK]);
        for number in 0..count {
            at("read", output.read_exact(&mut got))?;
            if blocks.next() != got {
                return Err(format!("block {number} of {count} differs"));
            }
        }
        if at("read", output.read(&mut got))? != 0 {
            return Err("more came out than went in".to_owned());
        }
        at("write", writer.join().map_err(|_| "the writer panicked")?)?;
        ended_with(&mut child, 0)?;
        stage.alone()?;
    }
    figure(&format!("{count} MiB by stdin and stdout, byte by byte the same"));
    Ok(())
}

/// Who writes to a pipe whose reader has gone gets SIGPIPE, as without a sandbox.
pub(crate) fn closed_reader(stage: &mut Stage) -> Result<()> {
    for options in [None, Some("--ro-bind / /"), Some(TYPICAL)] {
        let mut command = options.map_or_else(
            || Command::new("yes"),
            |options| {
                let mut command = stage.bwrap(words(options));
                command.arg("yes");
                command
            },
        );
        let mut child = at("spawn", command.stdout(Stdio::piped()).spawn())?;
        let mut output = child.stdout.take().ok_or("no stdout")?;
        at("read", output.read_exact(&mut [0; 4096]))?;
        drop(output);
        let status = at("wait", child.wait())?;
        let signal = options.map_or_else(|| status.signal(), |_| status.code().map(|code| code - 128));
        if signal != Some(libc::SIGPIPE) {
            return Err(format!("{options:?} should end by SIGPIPE: {status}"));
        }
        stage.alone()?;
    }
    Ok(())
}
