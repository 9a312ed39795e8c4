//! The words of `gateway.bind`, `gateway.auth.mode` and `gateway.tailscale.mode`.

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bind {
    Loopback,
    Lan,
    Tailnet,
    Auto,
    Custom,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthMode {
    Token,
    Password,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tailscale {
    Off,
    Serve,
    Funnel,
}
