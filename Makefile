# Builds and installs `bwrap`, its man page and its completions; for GNU make.
#
#   make                    builds; the only step that needs Rust, and the network once for what Cargo.lock names and for Rust's
#                           library for musl, which is linked where `rustup target add` has or gets it, because a process starts
#                           sooner with it; elsewhere a static glibc is
#   make install            installs what was built; `sudo make install` after `make` as an ordinary user
#   make uninstall          removes the files that an `install` with the same variables made; directories stay, others may use them
#   make deb                a Debian package in target/make, with dpkg-deb; what it says of itself comes from Cargo.toml
#   make rpm                an RPM package in target/make, with rpmbuild; in a clone
#   make dist               in target/make/dist what a release consists of: an archive for each of x86_64 and aarch64, the sources, a
#                           spec file and a PKGBUILD for them, and SHA256SUMS; in a clone, with Rust's libraries for both
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
DOCDIR = $(PREFIX)/share/doc/bleb
PAGES = README.md SECURITY.md CONTRIBUTING.md CHANGELOG.md

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

# The pages with the files that they link to, so that their links lead somewhere, and the licences of the packages that are linked in.
install-doc:
	$(INSTALL) -D -m 0644 -t "$(DESTDIR)$(DOCDIR)" $(PAGES) LICENSE-MIT LICENSE-APACHE
	@set -e; pages='$(PAGES)'; installed=' $(PAGES) '; while [ -n "$$pages" ]; do \
	    linked=; for page in $$pages; do \
	        for link in $$(grep -ohE '\]\([[:alnum:].][[:alnum:]_./-]*' $$page | sed 's/^](//; /^https*$$/d'); do \
	            case $$page in */*) link=$${page%/*}/$$link ;; esac; \
	            for file in $$(find "$$link" -type f); do \
	                case $$installed in *" $$file "*) continue ;; esac; \
	                $(INSTALL) -D -m 0644 "$$file" "$(DESTDIR)$(DOCDIR)/$$file"; \
	                installed="$$installed$$file "; case $$file in *.md) linked="$$linked $$file" ;; esac; \
	            done; \
	        done; \
	    done; pages=$$linked; \
	done
	@set -e; packages=$$($(CARGO) tree --locked --edges normal,no-proc-macro --prefix none); \
	for package in $$(echo "$$packages" | sed -n 's/^\([^ ]*\) v\([^ ]*\).*/\1-\2/p' | grep -vx '$(NAME)'); do \
	    for file in "$(CARGO_HOME)"/registry/src/*/$$package/LICEN[CS]E*; do \
	        if [ -f "$$file" ]; then $(INSTALL) -D -m 0644 "$$file" "$(DESTDIR)$(DOCDIR)/licences/$$package/$${file##*/}"; fi; \
	    done; \
	done

# One `key = "value"` of Cargo.toml.
toml = $(shell sed -n 's/^$(1) = "\(.*\)"$$/\1/p' Cargo.toml | head -n 1)
NAME = $(call toml,name)-$(call toml,version)
MACHINE = $(firstword $(subst -, ,$(or $(TARGET),$(shell uname -m))))
ARCH_x86_64 = amd64
ARCH_aarch64 = arm64
ARCH_riscv64gc = riscv64
ARCH_riscv64 = riscv64
ARCH = $(ARCH_$(MACHINE))
DEB = $(BUILD)/$(call toml,name)_$(call toml,version)_$(ARCH).deb
TREE = $(dir $(BINARY))deb
# The time in the packages, the same for everybody who builds the same commit. A source archive has it as the time of its files.
SOURCE_DATE_EPOCH ?= $(or $(shell git log -1 --format=%ct 2> /dev/null),$(shell stat -c %Y Cargo.toml))
export SOURCE_DATE_EPOCH

deb: $(BINARY)
	rm -rf $(TREE)
	$(MAKE) install install-doc DESTDIR=$(TREE) PREFIX=/usr ZSHDIR=/usr/share/zsh/vendor-completions APPARMOR=
	mv $(TREE)/usr/share/doc/bleb/LICENSE-MIT $(TREE)/usr/share/doc/bleb/copyright
	$(INSTALL) -D -m 0644 src/confine/apparmor.profile $(TREE)/usr/share/apparmor/extra-profiles/bwrap
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

# fill FILE: a file of .ci/packages with what Cargo.toml says. Its version of bubblewrap is the one that packages count as.
PROVIDED = $(shell sed -n 's/^provides = "bubblewrap (= \(.*\))"$$/\1/p' Cargo.toml)
fill = sed -e 's|@NAME@|$(call toml,name)|' -e 's|@VERSION@|$(call toml,version)|' -e 's|@SUMMARY@|$(call toml,description)|' \
    -e 's|@DESCRIPTION@|$(call toml,extended-description)|' -e 's|@LICENCE@|$(call toml,license)|' -e 's|@PROVIDED@|$(PROVIDED)|' .ci/packages/$(1)

# What is built is the program of `make`, so rpm need not know where its tools come from.
RPM_TREE = $(CURDIR)/$(dir $(BINARY))rpm
rpm: $(BINARY)
	rm -rf '$(RPM_TREE)' && mkdir -p '$(RPM_TREE)'
	$(call fill,bleb.spec) > '$(RPM_TREE)/bleb.spec'
	rpmbuild -bb --quiet --nodeps --build-in-place --target $(MACHINE) $(if $(TARGET),--define 'bleb_target $(TARGET)') \
	    --define '_topdir $(RPM_TREE)' --define '_rpmdir $(RPM_TREE)' --define '_buildhost localhost' \
	    --define 'use_source_date_epoch_as_buildtime 1' --define 'clamp_mtime_to_source_date_epoch 1' '$(RPM_TREE)/bleb.spec'
	mv '$(RPM_TREE)'/$(MACHINE)/$(NAME)-*.rpm $(BUILD)/

# As little as possible of who packs, and when, is in an archive.
pack = tar --create --format=ustar --sort=name --owner=0 --group=0 --numeric-owner --mode=u=rwX,go=rX --mtime=@$(SOURCE_DATE_EPOCH)
DIST = $(BUILD)/dist
DIST_TREE = $(dir $(BINARY))dist-tree
MUSL = unknown-linux-musl

dist:
	rm -rf $(DIST) && mkdir -p $(DIST)
	$(MAKE) archive TARGET=x86_64-$(MUSL)
	$(MAKE) archive TARGET=aarch64-$(MUSL)
	git ls-files -z --cached --others --exclude-standard | LC_ALL=C sort -z | \
	    $(pack) --null --files-from=- --transform='s|^|$(NAME)/|' | gzip -9n > $(DIST)/$(NAME).tar.gz
	$(call fill,bleb.spec) > $(DIST)/bleb.spec
	$(call fill,PKGBUILD) | sed "s/@SHA256@/$$(sha256sum < $(DIST)/$(NAME).tar.gz | cut -d ' ' -f 1)/" > $(DIST)/PKGBUILD
	cd $(DIST) && LC_ALL=C sha256sum * > SHA256SUMS

# For TARGET: everything at its place below one directory, to be unpacked into /usr/local or ~/.local. Another machine than this one
# is linked for by the linker that Rust brings.
archive:
	$(if $(filter $(shell uname -m)-%,$(TARGET)),,CARGO_TARGET_$(shell echo $(TARGET) | tr a-z- A-Z_)_LINKER=rust-lld) $(MAKE) $(BINARY)
	rm -rf $(DIST_TREE)
	$(MAKE) install install-doc DESTDIR=$(DIST_TREE)/ PREFIX=$(NAME)-$(MACHINE) APPARMOR=
	$(pack) --directory=$(DIST_TREE) $(NAME)-$(MACHINE) | gzip -9n > $(DIST)/$(NAME)-$(MACHINE).tar.gz

.PHONY: all install uninstall install-doc deb rpm dist archive
