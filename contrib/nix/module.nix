# NixOS: imports = [ ./contrib/nix/module.nix ]; services.openclaw.enable = true;
{
  config,
  lib,
  pkgs,
  ...
}:

let
  cfg = config.services.openclaw;
in
{
  options.services.openclaw = {
    enable = lib.mkEnableOption "the OpenClaw gateway";
    package = lib.mkOption {
      type = lib.types.package;
      default = pkgs.callPackage ./package.nix { };
      description = "Whose programs run.";
    };
    environmentFile = lib.mkOption {
      type = lib.types.nullOr lib.types.path;
      default = null;
      description = "NAME=value lines for the gateway, such as a provider's key; root's own.";
    };
  };

  config = lib.mkIf cfg.enable {
    environment.systemPackages = [ cfg.package ];
    # The hardened unit of the package, started at boot.
    systemd.packages = [ cfg.package ];
    systemd.services.openclaw-gateway = {
      wantedBy = [ "multi-user.target" ];
      serviceConfig.EnvironmentFile = lib.mkIf (cfg.environmentFile != null) cfg.environmentFile;
    };
    users.groups.openclaw = { };
    users.users.openclaw = {
      isSystemUser = true;
      group = "openclaw";
      home = "/var/lib/openclaw";
    };
  };
}
