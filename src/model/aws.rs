//! Who we are to AWS: access keys from the environment or a profile of `~/.aws/credentials`, and the
//! signature (version 4) they make. Never asks the network: no instance metadata, no SSO.

use crate::base::hex;
use crate::base::secret::Secret;
use crate::config::Env;
use ring::hmac;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Names a section of the credentials file.
pub const PROFILE: &str = "AWS_PROFILE";
const KEY_ID: &str = "AWS_ACCESS_KEY_ID";
const REGION: &str = "us-east-1";
/// A file of credentials with thousands of profiles is none.
const MAX_FILE: u64 = 256 * 1024;

#[derive(Clone, Debug)]
pub struct Credentials {
    pub id: String,
    pub secret: Secret,
    /// Of temporary credentials.
    pub session: Option<Secret>,
    pub region: String,
}

/// The region the environment names.
pub fn region(env: &Env) -> Option<&str> {
    env.get("AWS_REGION").or(env.get("AWS_DEFAULT_REGION"))
}

/// `base` in `region`, where it is the service's address in the region nobody chose.
pub fn place(base: &str, region: &str) -> String {
    match base.trim_end_matches('/') {
        "https://bedrock-runtime.us-east-1.amazonaws.com" => {
            format!("https://bedrock-runtime.{region}.amazonaws.com")
        }
        base => base.to_string(),
    }
}

/// The credentials, and the variable they come from or that names their profile.
pub fn find(env: &Env) -> Option<(Credentials, &'static str)> {
    let region = || region(env).map(str::to_string);
    let secret = |name: &str| env.get(name).map(Secret::new);
    if let (Some(id), Some(secret_key)) = (env.get(KEY_ID), secret("AWS_SECRET_ACCESS_KEY")) {
        let credentials = Credentials {
            id: id.to_string(),
            secret: secret_key,
            session: secret("AWS_SESSION_TOKEN"),
            region: region().unwrap_or_else(|| REGION.into()),
        };
        return Some((credentials, KEY_ID));
    }
    let file = match env.get("AWS_SHARED_CREDENTIALS_FILE") {
        Some(path) => PathBuf::from(path),
        None => Path::new(env.get("HOME")?).join(".aws/credentials"),
    };
    let mut text = String::new();
    let file = std::fs::File::open(file).ok()?;
    file.take(MAX_FILE).read_to_string(&mut text).ok()?;
    let mut credentials = section(&text, env.get(PROFILE).unwrap_or("default"))?;
    if let Some(region) = region() {
        credentials.region = region;
    }
    Some((credentials, PROFILE))
}

fn section(text: &str, profile: &str) -> Option<Credentials> {
    let mut within = false;
    let (mut id, mut secret, mut session, mut region) = (None, None, None, None);
    for line in text.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix('[').and_then(|l| l.strip_suffix(']')) {
            within = name.trim() == profile;
        } else if within && !line.starts_with(['#', ';']) {
            let Some((key, value)) = line.split_once('=') else {
                continue;
            };
            let value = Some(value.trim()).filter(|value| !value.is_empty());
            match key.trim() {
                "aws_access_key_id" => id = value,
                "aws_secret_access_key" => secret = value,
                "aws_session_token" => session = value,
                "region" => region = value,
                _ => {}
            }
        }
    }
    Some(Credentials {
        id: id?.to_string(),
        secret: Secret::new(secret?),
        session: session.map(Secret::new),
        region: region.unwrap_or(REGION).to_string(),
    })
}

/// What is signed.
pub(super) struct Signed<'a> {
    pub method: &'a str,
    /// As it stands in the URL, escaped once.
    pub path: &'a str,
    pub service: &'a str,
    /// Lower-case names, sorted; with `host` and `x-amz-date`.
    pub headers: &'a [(&'a str, &'a str)],
    pub body: &'a [u8],
}

impl Credentials {
    /// The value of `authorization`. `stamp` is `x-amz-date`: `20150830T123600Z`.
    pub(super) fn sign(&self, request: &Signed, stamp: &str) -> String {
        let day = stamp.get(..8).unwrap_or(stamp);
        let names: Vec<&str> = request.headers.iter().map(|(name, _)| *name).collect();
        let names = names.join(";");
        let mut canonical = format!("{}\n{}\n\n", request.method, escape(request.path, true));
        for (name, value) in request.headers {
            canonical += &format!("{name}:{}\n", value.trim());
        }
        canonical += &format!("\n{names}\n{}", hex::sha256(request.body));
        let scope = format!("{day}/{}/{}/aws4_request", self.region, request.service);
        let digest = hex::sha256(canonical.as_bytes());
        let text = format!("AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{digest}");
        let key = self.signing_key(day, request.service);
        let signature = hex::encode(mac(key.as_ref(), &text).as_ref());
        format!(
            "AWS4-HMAC-SHA256 Credential={}/{scope}, SignedHeaders={names}, Signature={signature}",
            self.id
        )
    }

    fn signing_key(&self, day: &str, service: &str) -> hmac::Tag {
        let first = format!("AWS4{}", self.secret.expose());
        let day = mac(first.as_bytes(), day);
        let region = mac(day.as_ref(), &self.region);
        let service = mac(region.as_ref(), service);
        mac(service.as_ref(), "aws4_request")
    }
}

fn mac(key: &[u8], text: &str) -> hmac::Tag {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes())
}

/// Everything but letters, digits and `-._~` as `%XX`; a slash, too, unless it is to stay.
pub(super) fn escape(text: &str, slashes: bool) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'-' | b'.' | b'_' | b'~' => out.push(char::from(byte)),
            b'/' if slashes => out.push('/'),
            byte if byte.is_ascii_alphanumeric() => out.push(char::from(byte)),
            byte => out += &format!("%{byte:02X}"),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example() -> Credentials {
        Credentials {
            id: "AKIDEXAMPLE".into(),
            secret: Secret::new("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"),
            session: None,
            region: "us-east-1".into(),
        }
    }

    #[test]
    fn signatures_are_those_of_the_published_vectors() {
        let key = example().signing_key("20150830", "iam");
        assert_eq!(
            hex::encode(key.as_ref()),
            "c4afb1cc5771d871763a393e44b703571b55cc28424d1a5e86da6ed3c154a4b9"
        );
        for (method, signature) in [
            (
                "GET",
                "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
            ),
            (
                "POST",
                "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b",
            ),
        ] {
            let request = Signed {
                method,
                path: "/",
                service: "service",
                headers: &[
                    ("host", "example.amazonaws.com"),
                    ("x-amz-date", "20150830T123600Z"),
                ],
                body: b"",
            };
            let signed = example().sign(&request, "20150830T123600Z");
            assert_eq!(
                signed,
                format!(
                    "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, SignedHeaders=host;x-amz-date, Signature={signature}"
                )
            );
        }
    }

    #[test]
    fn keys_come_from_the_environment_or_the_named_profile() {
        let dir = crate::base::id::temp_dir("aws");
        let file = dir.join("credentials");
        std::fs::write(
            &file,
            "[default]\naws_access_key_id = D\naws_secret_access_key=d=\n# x\n[work]\n\
             aws_access_key_id=W\naws_secret_access_key=w\naws_session_token=t\nregion=eu-west-1\n[empty]\n",
        )
        .unwrap();
        let file = file.to_str().unwrap();
        let found = |pairs: &[(&str, &str)]| {
            let mut all = vec![("AWS_SHARED_CREDENTIALS_FILE", file)];
            all.extend(pairs);
            find(&Env::from_pairs(&all)).map(|(c, from)| (c.id, c.region, from))
        };
        let is = |id: &str, region: &str, from| Some((id.to_string(), region.to_string(), from));
        assert_eq!(found(&[]), is("D", "us-east-1", PROFILE));
        assert_eq!(found(&[(PROFILE, "work")]), is("W", "eu-west-1", PROFILE));
        assert_eq!(found(&[(PROFILE, "empty")]), None);
        let keys = [
            (KEY_ID, "E"),
            ("AWS_SECRET_ACCESS_KEY", "e"),
            ("AWS_REGION", "r"),
        ];
        assert_eq!(found(&keys), is("E", "r", KEY_ID));
        std::fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn the_default_address_moves_to_the_region_and_others_stay() {
        let default = "https://bedrock-runtime.us-east-1.amazonaws.com";
        let placed = place(default, "eu-west-1");
        assert_eq!(placed, "https://bedrock-runtime.eu-west-1.amazonaws.com");
        assert_eq!(
            place("http://127.0.0.1:1", "eu-west-1"),
            "http://127.0.0.1:1"
        );
        assert_eq!(escape("a:b/c", false), "a%3Ab%2Fc");
    }
}
