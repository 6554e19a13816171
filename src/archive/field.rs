//! Fields of headers, and the numbers in them.

use crate::archive::fault::{Fault, Reading};

/// Part of a block.
pub(crate) fn bytes(block: &[u8], start: usize, length: usize) -> &[u8] {
    block.get(start..start + length).unwrap_or_default()
}

/// A number: octal digits, or, after a byte with the highest bit, two's complement.
pub(crate) fn number(field: &[u8]) -> Option<i64> {
    let (&first, rest) = field.split_first()?;
    if first & 0x80 != 0 {
        // The highest bit marks the format, the next one is the sign.
        let start = if first & 0x40 == 0 {
            i128::from(first & 0x7f)
        } else {
            i128::from(first.cast_signed())
        };
        let mut value = start;
        for &byte in rest {
            value = value.checked_mul(256)?.checked_add(i128::from(byte))?;
        }
        return i64::try_from(value).ok();
    }
    let is_blank = |byte: &u8| matches!(byte, b' ' | 0);
    let start = field.iter().position(|byte| !is_blank(byte)).unwrap_or(field.len());
    let text = field.get(start..).unwrap_or_default();
    let end = text.iter().position(is_blank).unwrap_or(text.len());
    let (digits, rest) = text.split_at(end);
    if !rest.iter().all(is_blank) {
        return None;
    }
    digits.iter().try_fold(0_i64, |number, &digit| {
        let digit = char::from(digit).to_digit(8)?;
        number.checked_mul(8)?.checked_add(i64::from(digit))
    })
}

/// A number in decimal digits, and nothing else.
pub(crate) fn decimal(text: &[u8]) -> Option<u64> {
    let digits = std::str::from_utf8(text).ok().filter(|text| !text.is_empty())?;
    if !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    digits.parse().ok().filter(|&number| i64::try_from(number).is_ok())
}

/// The same, as a value that must be a number.
pub(crate) fn value_of(value: &[u8]) -> Reading<u64> {
    let wrong = || Fault::Bad("a pax header contains something that is not a number".to_owned());
    decimal(value).ok_or_else(wrong)
}
