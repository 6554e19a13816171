//! Profiles: files of options that people, and `--learn`, write.
//!
//! What an option means is the table's to know; here is how a profile is found, and how its text is
//! read and written.

pub(crate) mod built_in;
pub(crate) mod here;
pub(crate) mod source;
pub(crate) mod text;
