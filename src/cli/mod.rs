//! The command line: the table of options, what their values are, and what they record.

#[cfg(test)]
pub(crate) mod docs;
pub(crate) mod listed;
pub(crate) mod options;
pub(crate) mod parse;
pub(crate) mod profiles;
pub(crate) mod record;
pub(crate) mod values;
