//! Names and numbers of system calls here.
//!
//! They are those of the `syscalls` crate, but without its tables: whatever has a pointer in it is
//! written when the program is loaded, and its pages are then memory of the process's own.

use syscalls::Sysno;

/// The numbers are lower.
const NUMBERS_END: usize = {
    let last = Sysno::last().id();
    assert!(last >= 0 && last < 0x1000);
    last.unsigned_abs() as usize + 1
};

/// All names are shorter.
const LENGTHS_END: usize = 40;

/// How many calls there are, and how many letters.
const TOTAL: Group = {
    let (mut total, mut number) = (Group { calls: 0, letters: 0 }, 0);
    while number < NUMBERS_END {
        if let Some(call) = Sysno::new(number) {
            total.calls += 1;
            total.letters += call.name().len();
            assert!(call.name().len() < LENGTHS_END);
        }
        number += 1;
    }
    total
};

/// How many calls and letters there are before those with names of one length.
#[derive(Clone, Copy)]
struct Group {
    calls: usize,
    letters: usize,
}

/// The calls in the order of their names' lengths.
struct Calls {
    letters: [u8; TOTAL.letters],
    numbers: [u16; TOTAL.calls],
    groups: [Group; LENGTHS_END + 1],
}

static CALLS: Calls = {
    let mut all = Calls {
        letters: [0; TOTAL.letters],
        numbers: [0; TOTAL.calls],
        groups: [TOTAL; LENGTHS_END + 1],
    };
    let (mut end, mut length) = (Group { calls: 0, letters: 0 }, 0);
    while length < LENGTHS_END {
        all.groups[length] = end;
        let mut number: u16 = 0;
        while (number as usize) < NUMBERS_END {
            if let Some(call) = Sysno::new(number as usize)
                && call.name().len() == length
            {
                let (_, rest) = all.letters.split_at_mut(end.letters);
                let (place, _) = rest.split_at_mut(length);
                place.copy_from_slice(call.name().as_bytes());
                all.numbers[end.calls] = number;
                end = Group { calls: end.calls + 1, letters: end.letters + length };
            }
            number += 1;
        }
        length += 1;
    }
    all
};

/// The calls whose names have one length.
fn group(length: usize) -> impl Iterator<Item = (&'static [u8], u32)> {
    let bounds = CALLS.groups.get(length).zip(CALLS.groups.get(length + 1));
    bounds.into_iter().flat_map(move |(start, end)| {
        let letters = CALLS.letters.get(start.letters..end.letters).unwrap_or_default();
        let numbers = CALLS.numbers.get(start.calls..end.calls).unwrap_or_default();
        letters.chunks_exact(length.max(1)).zip(numbers.iter().map(|&number| u32::from(number)))
    })
}

/// The number of the call that has a name.
pub(crate) fn number(name: &str) -> Option<u32> {
    group(name.len()).find(|(known, _)| *known == name.as_bytes()).map(|(_, number)| number)
}

/// The name of the call that has a number.
pub(crate) fn name(number: u32) -> Option<&'static str> {
    let (name, _) = (1..LENGTHS_END).flat_map(group).find(|(_, known)| *known == number)?;
    std::str::from_utf8(name).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_crate() {
        for number in 0..0x1000 {
            let call = usize::try_from(number).ok().and_then(Sysno::new);
            assert_eq!(name(number), call.map(|call| call.name()), "{number}");
        }
        for call in Sysno::iter() {
            assert_eq!(super::number(call.name()), u32::try_from(call.id()).ok(), "{call:?}");
        }
        for unknown in ["", "x", "rea", "readx", "Read", &"x".repeat(LENGTHS_END), &"x".repeat(99)]
        {
            assert_eq!(super::number(unknown), None, "{unknown}");
        }
    }
}
