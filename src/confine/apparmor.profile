# AppArmor profile for bwrap where only programs with a profile may make user namespaces, as on Ubuntu since 23.10. It restricts nothing.
# Copy it to /etc/apparmor.d/bwrap, with the path where bwrap is installed, and load it: apparmor_parser -r /etc/apparmor.d/bwrap
# Needs AppArmor 4.0. Where the system has a profile for that path of its own, keep that one.
abi <abi/4.0>,
include <tunables/global>

profile bwrap /usr/bin/bwrap flags=(unconfined) {
  userns,

  include if exists <local/bwrap>
}
