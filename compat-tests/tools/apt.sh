# shellcheck shell=sh
# Sourced by what fetches Debian packages of another release: a private apt configuration below a directory. Nothing is installed,
# no privilege is needed, and the machine's own configuration stays as it is.
#
#   private_apt_open DIR SUITE      prepares it for one suite and reads the suite's index
#   private_apt apt-get|apt-cache …
#
# With private_apt_arch=ARCH for another architecture than this machine's.
# The mirror is whichever one this machine already uses for Debian.

private_apt_open() {
    private_apt_dir=$1
    # shellcheck disable=SC2016 # apt's own variables
    mirror=${DEBIAN_MIRROR:-$(apt-get indextargets --format '$(REPO_URI) $(ORIGIN)' 'Created-By: Packages' |
        awk '$2 == "Debian" && !/security/ { print $1; exit }')}
    [ -n "$mirror" ] || { echo "no Debian mirror in the apt configuration; set DEBIAN_MIRROR" >&2; return 1; }
    mkdir -p "$1/lists/partial" "$1/archives/partial" "$1/parts"
    : > "$1/status"
    cat > "$1/sources.sources" <<SOURCES
Types: deb
URIs: $mirror
Suites: $2
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
SOURCES
    private_apt apt-get update
}

private_apt() {
    private_apt_program=$1; shift
    "$private_apt_program" -qq -o Dir::State::status="$private_apt_dir/status" -o Dir::State::Lists="$private_apt_dir/lists" \
        -o Dir::Cache="$private_apt_dir" -o Dir::Cache::archives="$private_apt_dir/archives" \
        -o Dir::Etc::SourceList="$private_apt_dir/sources.sources" -o Dir::Etc::SourceParts="$private_apt_dir/parts" \
        -o Dir::Etc::Preferences=/dev/null -o Dir::Etc::PreferencesParts="$private_apt_dir/parts" \
        ${private_apt_arch:+-o APT::Architecture="$private_apt_arch" -o APT::Architectures="$private_apt_arch"} \
        -o APT::Update::Post-Invoke::= -o APT::Sandbox::User="$(id -un)" "$@"
}
