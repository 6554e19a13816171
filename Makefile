# Builds and installs `bwrap`, its man page and its completions; for GNU make.
#
#   make                    builds; the only step that needs Rust, and the network once for what Cargo.lock names and for Rust's
#                           library for musl, which is linked where `rustup target add` has or gets it, because a process starts
#                           sooner with it; elsewhere a static glibc is
#   make install            installs what was built; `sudo make install` after `make` as an ordinary user
#   make uninstall          removes the files that an `install` with the same variables made; directories stay, others may use them
#   make deb                a Debian package in target/make, with dpkg-deb; what it says of itself comes from Cargo.toml
#
# Variables: PREFIX (/usr/local), DESTDIR, and those below. APPARMOR=1 has the AppArmor profile installed too, into /etc/apparmor.d. It is
# for hosts where only programs with a profile may make user namespaces, and left out unless it is asked for: it lifts a restriction
# of the administrator's, AppArmor before 4.0 cannot read it, and some hosts have a profile for /usr/bin/bwrap of their own.
#
# The same sources, Cargo.lock and compiler give the same bytes, whichever the directory, the home directory and the umask.

PREFIX = /usr/local
BINDIR = $(PREFIX)/bin
MANDIR = $(PREFIX)/share/man
BASHDIR = $(PREFIX)/share/bash-completion/completions
ZSHDIR = $(PREFIX)/share/zsh/site-functions
FISHDIR = $(PREFIX)/share/fish/vendor_completions.d
# The built-in profiles, for reading: bwrap has them in itself.
PROFILEDIR = $(PREFIX)/share/bleb/profiles
APPARMORDIR = /etc/apparmor.d
APPARMOR =
CARGO = cargo
INSTALL = install
# What Rust calls the machine and the C library, where it is not what has just been said. For another machine: see CONTRIBUTING.md.
TARGET =

# Not Cargo's own directory: what `cargo build` puts there is built with other flags.
BUILD = target/make
# The same place whichever C library it is, so that installing needs no compiler that could be asked for it.
BINARY = $(BUILD)/$(if $(TARGET),$(TARGET)/)bwrap
# Panics name the sources of dependencies, which are below the home directory of whoever builds. Added to the flags in .cargo/config.toml.
CARGO_HOME ?= $(HOME)/.cargo
REMAP = target."cfg(unix)".rustflags=["--remap-path-prefix=$(CARGO_HOME)/registry/src/="]

PROFILES = $(wildcard src/profiles/*)

all: $(BINARY)

$(BINARY): $(shell find src -type f) Cargo.toml Cargo.lock .cargo/config.toml
	@set -e; target='$(TARGET)'; \
	if [ -z "$$target" ]; then \
	    target=$$(rustc -vV | sed -n 's/^host: //p'); musl=$${target%-*}-musl; \
	    if [ -d "$$(rustc --print target-libdir --target "$$musl" 2> /dev/null)" ] || rustup target add "$$musl" > /dev/null 2>&1; \
	    then target=$$musl; else echo "no Rust library for $$musl: building with glibc, which makes each start slower"; fi; \
	fi; \
	echo "building for $$target"; \
	$(CARGO) build --release --locked --target "$$target" --target-dir $(BUILD) --config '$(REMAP)'; \
	$(INSTALL) -D -m 0755 "$(BUILD)/$$target/release/bwrap" $@

# Mode 0755, never set-uid: it refuses to run that way.
install: $(BINARY)
	$(INSTALL) -D -m 0755 $(BINARY) "$(DESTDIR)$(BINDIR)/bwrap"
	$(INSTALL) -D -m 0644 man/bwrap.1 "$(DESTDIR)$(MANDIR)/man1/bwrap.1"
	$(INSTALL) -D -m 0644 completions/bwrap.bash "$(DESTDIR)$(BASHDIR)/bwrap"
	$(INSTALL) -D -m 0644 completions/_bwrap "$(DESTDIR)$(ZSHDIR)/_bwrap"
	$(INSTALL) -D -m 0644 completions/bwrap.fish "$(DESTDIR)$(FISHDIR)/bwrap.fish"
	$(INSTALL) -D -m 0644 -t "$(DESTDIR)$(PROFILEDIR)" $(PROFILES)
ifeq ($(APPARMOR),1)
	sed 's|/usr/bin/bwrap|$(BINDIR)/bwrap|' src/confine/apparmor.profile > $(BUILD)/apparmor.profile
	$(INSTALL) -D -m 0644 $(BUILD)/apparmor.profile "$(DESTDIR)$(APPARMORDIR)/bwrap"
endif

uninstall:
	rm -f "$(DESTDIR)$(BINDIR)/bwrap" "$(DESTDIR)$(MANDIR)/man1/bwrap.1" "$(DESTDIR)$(BASHDIR)/bwrap" \
	    "$(DESTDIR)$(ZSHDIR)/_bwrap" "$(DESTDIR)$(FISHDIR)/bwrap.fish" $(PROFILES:src/profiles/%="$(DESTDIR)$(PROFILEDIR)/%")
ifeq ($(APPARMOR),1)
	rm -f "$(DESTDIR)$(APPARMORDIR)/bwrap"
endif

# One `key = "value"` of Cargo.toml.
toml = $(shell sed -n 's/^$(1) = "\(.*\)"$$/\1/p' Cargo.toml | head -n 1)
ARCH_x86_64 = amd64
ARCH_aarch64 = arm64
ARCH_riscv64gc = riscv64
ARCH_riscv64 = riscv64
ARCH = $(ARCH_$(firstword $(subst -, ,$(or $(TARGET),$(shell uname -m)))))
DEB = $(BUILD)/$(call toml,name)_$(call toml,version)_$(ARCH).deb
TREE = $(dir $(BINARY))deb
# The time in the package, for dpkg-deb and for everybody who builds the same commit.
SOURCE_DATE_EPOCH ?= $(shell git log -1 --format=%ct 2> /dev/null)
ifneq ($(SOURCE_DATE_EPOCH),)
export SOURCE_DATE_EPOCH
endif

deb: $(BINARY)
	rm -rf $(TREE)
	$(MAKE) install DESTDIR=$(TREE) PREFIX=/usr ZSHDIR=/usr/share/zsh/vendor-completions APPARMOR=
	$(INSTALL) -D -m 0644 src/confine/apparmor.profile $(TREE)/usr/share/apparmor/extra-profiles/bwrap
	$(INSTALL) -D -m 0644 -t $(TREE)/usr/share/doc/bleb README.md SECURITY.md CHANGELOG.md LICENSE-APACHE
	$(INSTALL) -m 0644 LICENSE-MIT $(TREE)/usr/share/doc/bleb/copyright
	gzip -9n $(TREE)/usr/share/man/man1/bwrap.1
	$(INSTALL) -d -m 0755 $(TREE)/DEBIAN
	cd $(TREE) && find usr -type f | LC_ALL=C sort | xargs md5sum > DEBIAN/md5sums
	{ echo 'Package: $(call toml,name)'; \
	    echo 'Version: $(call toml,version)'; \
	    echo 'Architecture: $(ARCH)'; \
	    echo 'Maintainer: $(call toml,maintainer)'; \
	    echo "Installed-Size: $$(find $(TREE)/usr -type f -printf '%s\n' | awk '{ n += int(($$1 + 1023) / 1024) } END { print n }')"; \
	    echo 'Provides: $(call toml,provides)'; \
	    echo 'Conflicts: $(call toml,conflicts)'; \
	    echo 'Replaces: $(call toml,replaces)'; \
	    echo 'Section: $(call toml,section)'; \
	    echo 'Priority: $(call toml,priority)'; \
	    echo 'Description: $(call toml,description)'; \
	    echo ' $(call toml,extended-description)'; \
	} > $(TREE)/DEBIAN/control
	chmod 0644 $(TREE)/DEBIAN/control $(TREE)/DEBIAN/md5sums
	dpkg-deb --root-owner-group -Zxz --build $(TREE) $(DEB)

.PHONY: all install uninstall deb
