# The package for Nix, with which everything in nixpkgs that uses bubblewrap gets this one:
#
#   nixpkgs.overlays = [ (final: prev: { bubblewrap = final.pkgsStatic.callPackage ./bleb/.ci/packages/bleb.nix { }; }) ];
#
# pkgsStatic because the program links its C library statically. The tests evaluate this file and do not build it.
{ lib, rustPlatform, installShellFiles }:
let
  manifest = (builtins.fromTOML (builtins.readFile ../../Cargo.toml)).package;
in
rustPlatform.buildRustPackage {
  pname = manifest.name;
  version = manifest.version;
  src = lib.cleanSource ../..;
  cargoLock.lockFile = ../../Cargo.lock;
  nativeBuildInputs = [ installShellFiles ];
  # The others need the original, root and namespaces.
  cargoTestFlags = [ "--bin" "bwrap" ];
  postInstall = ''
    installManPage man/bwrap.1
    installShellCompletion --name bwrap completions/bwrap.bash
    installShellCompletion completions/bwrap.fish
    installShellCompletion --zsh --name _bwrap completions/_bwrap
    install -D -m 0644 -t "$out/share/bleb/profiles" src/profiles/*
  '';
  meta = {
    description = manifest.description;
    license = with lib.licenses; [ mit asl20 ];
    mainProgram = "bwrap";
    platforms = [ "x86_64-linux" "aarch64-linux" ];
  };
}
