//! What confines COMMAND, one file for each mechanism of the kernel.

pub(crate) mod apparmor;
pub(crate) mod caps;
pub(crate) mod cgroup;
pub(crate) mod families;
pub(crate) mod landlock;
pub(crate) mod limits;
pub(crate) mod seccomp;
pub(crate) mod selinux;
pub(crate) mod sockets;
pub(crate) mod tcp;
pub(crate) mod udp;
