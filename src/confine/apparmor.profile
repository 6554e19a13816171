# AppArmor profile for bwrap on systems where only programs with a profile can create user namespaces, such as Ubuntu since 23.10. It
# restricts nothing. Copy it to /etc/apparmor.d/bwrap, with the path where bwrap is installed, and load it with
# apparmor_parser -r /etc/apparmor.d/bwrap. Requires AppArmor 4.0. If the system has its own profile for that path, keep that one.
abi <abi/4.0>,
include <tunables/global>

profile bwrap /usr/bin/bwrap flags=(unconfined) {
  userns,

  include if exists <local/bwrap>
}
