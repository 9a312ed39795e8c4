//! The shared secret: who has proven it, who has not, and what a client is told then.
//!
//! Secrets are compared in constant time. A source of wrong ones is not heard for a while
//! (`failures`), so nothing here may be asked before that.

use super::connect::Connect;
use super::core::Core;
use super::failures::Source;
use super::origin::Origin;
use crate::base::secret::Secret;
use crate::base::secret::constant_time_eq;
use crate::config::listen::{Auth, AuthMode};
use std::time::{Duration, Instant};

/// Why the shared secret was not proven.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    TokenMissing,
    TokenMismatch,
    TokenNotConfigured,
    PasswordMissing,
    PasswordMismatch,
    PasswordNotConfigured,
    /// Too many wrong ones came from there: this one was not looked at.
    Later(Duration),
}

/// Who asks, as far as the socket and the headers tell.
pub struct Asker {
    pub origin: Origin,
    /// Under what its failures are counted; the owner's own programs are not.
    pub source: Option<Source>,
}

impl Asker {
    /// `page`: a browser sent it, so somebody's web page may be behind it.
    pub fn new(origin: Origin, page: bool) -> Asker {
        Asker {
            source: Source::of(&origin, page),
            origin,
        }
    }

    /// Compares what was offered, unless too many wrong ones came from here.
    pub fn proves(
        &self,
        core: &Core,
        token: Option<&str>,
        password: Option<&str>,
    ) -> Result<(), Refusal> {
        let Some(source) = &self.source else {
            return check(&core.listen.auth, token, password);
        };
        if let Some(wait) = core.failures.wait(source, Instant::now()) {
            return Err(Refusal::Later(wait));
        }
        let checked = check(&core.listen.auth, token, password);
        if checked.is_ok() {
            core.failures.passed(source);
        }
        checked
    }

    /// Nothing else proved it either.
    pub fn failed(&self, core: &Core, refusal: Refusal) {
        if let (Some(source), true) = (&self.source, refusal.is_wrong()) {
            core.failures.failed(source, Instant::now());
        }
    }
}

/// Compares what was offered with the secret of the active mode; the other mode counts for nothing.
pub fn check(auth: &Auth, token: Option<&str>, password: Option<&str>) -> Result<(), Refusal> {
    let (secret, offered, refusals) = match auth.mode {
        AuthMode::Token => (
            &auth.token,
            token,
            [
                Refusal::TokenNotConfigured,
                Refusal::TokenMissing,
                Refusal::TokenMismatch,
            ],
        ),
        AuthMode::Password => (
            &auth.password,
            password,
            [
                Refusal::PasswordNotConfigured,
                Refusal::PasswordMissing,
                Refusal::PasswordMismatch,
            ],
        ),
    };
    let [unconfigured, missing, mismatch] = refusals;
    let secret = given(secret).ok_or(unconfigured)?;
    let offered = offered.filter(|o| !o.is_empty()).ok_or(missing)?;
    if constant_time_eq(secret.as_bytes(), offered.as_bytes()) {
        Ok(())
    } else {
        Err(mismatch)
    }
}

fn given(secret: &Option<Secret>) -> Option<&str> {
    secret
        .as_ref()
        .map(|s| s.expose().trim())
        .filter(|s| !s.is_empty())
}

impl Refusal {
    /// A secret was offered, and it is another one.
    fn is_wrong(self) -> bool {
        matches!(self, Refusal::TokenMismatch | Refusal::PasswordMismatch)
    }

    /// For the log.
    pub fn brief(self) -> &'static str {
        match self {
            Refusal::TokenMissing => "token missing",
            Refusal::TokenMismatch => "token mismatch",
            Refusal::TokenNotConfigured => "token not configured",
            Refusal::PasswordMissing => "password missing",
            Refusal::PasswordMismatch => "password mismatch",
            Refusal::PasswordNotConfigured => "password not configured",
            Refusal::Later(_) => "too many failed attempts",
        }
    }

    /// What the client is told: the fix depends on which program it is.
    pub fn text(self, connect: &Connect) -> String {
        let page = connect.is_browser();
        let cli = connect.client.mode == "cli";
        let token_fix = if cli {
            "set gateway.remote.token to match gateway.auth.token"
        } else if page {
            "open a tokenized dashboard URL or paste token in Control UI settings"
        } else {
            "provide gateway auth token"
        };
        let password_fix = if cli {
            "set gateway.remote.password to match gateway.auth.password"
        } else if page {
            "enter the password in Control UI settings"
        } else {
            "provide gateway auth password"
        };
        let (what, fix) = match self {
            Refusal::Later(wait) => {
                return format!(
                    "unauthorized: too many failed attempts (try again in {} s)",
                    wait.as_secs() + 1
                );
            }
            Refusal::TokenMissing => ("token missing", token_fix),
            Refusal::TokenMismatch => ("token mismatch", token_fix),
            Refusal::PasswordMissing => ("password missing", password_fix),
            Refusal::PasswordMismatch => ("password mismatch", password_fix),
            Refusal::TokenNotConfigured => {
                ("token not configured on gateway", "set gateway.auth.token")
            }
            Refusal::PasswordNotConfigured => (
                "password not configured on gateway",
                "set gateway.auth.password",
            ),
        };
        format!("unauthorized: gateway {what} ({fix})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn auth(mode: AuthMode) -> Auth {
        Auth {
            mode,
            token: Some(Secret::new("tok")),
            password: None,
            allow_tailscale: false,
        }
    }

    #[test]
    fn only_the_active_mode_counts() {
        let token = auth(AuthMode::Token);
        assert_eq!(check(&token, Some("tok"), None), Ok(()));
        assert_eq!(check(&token, None, Some("tok")), Err(Refusal::TokenMissing));
        assert_eq!(check(&token, Some("no"), None), Err(Refusal::TokenMismatch));
        let password = auth(AuthMode::Password);
        assert_eq!(
            check(&password, Some("tok"), Some("x")),
            Err(Refusal::PasswordNotConfigured)
        );
    }
}
