//! Where the gateway's certificate is, when `gateway.tls` asks for TLS.

use super::Snapshot;
use std::path::PathBuf;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    pub cert: PathBuf,
    pub key: PathBuf,
    /// Certificates between ours and an authority.
    pub ca: Option<PathBuf>,
    /// Make a self-signed pair when neither file is there.
    pub generate: bool,
}

/// `None` when the gateway speaks plainly.
pub fn of(snapshot: &Snapshot) -> Option<Tls> {
    let tls = &snapshot.config.gateway.tls;
    if tls.get("enabled") != Some(&true.into()) {
        return None;
    }
    let folder = snapshot.paths.state.join("gateway/tls");
    let named = |key: &str| {
        let path = tls.get(key)?.as_str()?.trim();
        (!path.is_empty()).then(|| PathBuf::from(path))
    };
    Some(Tls {
        cert: named("certPath").unwrap_or_else(|| folder.join("gateway-cert.pem")),
        key: named("keyPath").unwrap_or_else(|| folder.join("gateway-key.pem")),
        ca: named("caPath"),
        generate: tls.get("autoGenerate") != Some(&false.into()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Env, Paths, load};

    #[test]
    fn the_pair_lies_in_the_state_folder_unless_the_file_says_otherwise() {
        let dir = crate::base::id::temp_dir("tls");
        let home = dir.to_str().unwrap();
        let env = Env::from_pairs(&[("HOME", home), ("OPENCLAW_STATE_DIR", home)]);
        let paths = Paths::resolve(&env, None);
        let of = |text: &str| {
            std::fs::write(&paths.config, text).unwrap();
            of(&load::load(&paths, &env))
        };
        assert_eq!(of("{gateway:{tls:{certPath:'/c'}}}"), None);
        let tls = of("{gateway:{tls:{enabled:true}}}").unwrap();
        assert_eq!(tls.cert, dir.join("gateway/tls/gateway-cert.pem"));
        assert_eq!(tls.key, dir.join("gateway/tls/gateway-key.pem"));
        assert!(tls.generate && tls.ca.is_none());
        let tls = of("{gateway:{tls:{enabled:true,keyPath:'~/k',autoGenerate:false}}}").unwrap();
        assert_eq!(tls.key, dir.join("k"));
        assert!(!tls.generate);
        std::fs::remove_dir_all(dir).unwrap();
    }
}
