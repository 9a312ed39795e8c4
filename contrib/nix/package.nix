# nix-build -E 'with import <nixpkgs> { }; callPackage contrib/nix/package.nix { }'
{
  lib,
  rustPlatform,
  stdenv,
}:

rustPlatform.buildRustPackage {
  pname = "openclaw";
  version = "0.1.0";

  src = lib.cleanSource ../..;
  cargoLock.lockFile = ../../Cargo.lock;

  # The tests need models, browsers and a network.
  doCheck = false;

  # What cargo installs is put aside: the programs find each other by the layout contrib/install makes.
  installPhase = ''
    runHook preInstall
    bash contrib/install prefix=$out sysconfdir=$out/etc \
      builddir="target/${stdenv.hostPlatform.rust.cargoShortTarget}/release"
    runHook postInstall
  '';

  meta = {
    description = "Self-hosted gateway for a personal AI assistant";
    homepage = "https://github.com/openclaw/openclaw-rust";
    license = lib.licenses.mit;
    mainProgram = "openclaw";
    platforms = lib.platforms.unix;
  };
}
