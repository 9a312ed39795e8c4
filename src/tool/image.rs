//! `image`: a question about a picture, put to the model that sees.
//!
//! The picture comes from the workspace (confined like `read`), from a data URL, or from the web,
//! where only public addresses are connected to. It is read up to a limit and known by its
//! content, not its name.

use super::files::Files;
use super::{Call, Context, Error, Output, Tool, confine, picture};
use crate::model::name::{self, Ref};
use crate::model::see::{self, QUESTION};
use crate::net::fetch::{self, Limits, Policy, Request};
use crate::wire::message::Block;
use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Map, json};
use std::io::Read;
use std::time::Duration;

/// Usual limit, and the largest anybody may ask for: bytes in memory, three times over.
const USUAL_MB: f64 = 5.0;
const MOST_MB: f64 = 20.0;
const PATIENCE: Duration = Duration::from_secs(30);

pub const TOOL: Tool = Tool {
    name: "image",
    summary: "Ask a vision model about an image",
    description: "Puts a question about a picture to a model that sees. `image` is a path, a \
        file:// or data: URL or an http(s) address; `prompt` is the question. Not needed for a \
        picture that is in the conversation when you see it yourself.",
    parameters: r#"{"type":"object","required":["image"],"properties":{
        "prompt":{"description":"The question","type":"string"},
        "image":{"description":"Path or address of the picture","type":"string"},
        "model":{"description":"Another model than the configured one","type":"string"},
        "maxBytesMb":{"description":"Largest picture, in MB","type":"number"}}}"#,
    run,
};

fn run(call: &Call, ctx: &Context) -> Result<Output, Error> {
    let given = call.first_of(&["image"]).ok_or("image required")?.trim();
    let given = given.strip_prefix('@').unwrap_or(given);
    let mb = call.number("maxBytesMb").filter(|mb| *mb > 0.0);
    let most = (mb.unwrap_or(USUAL_MB).min(MOST_MB) * 1024.0 * 1024.0) as u64;
    let bytes = match given.split_once(':') {
        Some(("data", rest)) => from_data(rest, most)?,
        Some(("http" | "https", _)) => from_web(given, most, ctx)?,
        _ => from_file(given.strip_prefix("file://").unwrap_or(given), most, ctx)?,
    };
    let Some(mime) = picture::kind(&bytes) else {
        return Err("not a picture this tool knows (jpg, png, gif, webp)".into());
    };
    if let Some(why) = picture::too_wide(&bytes) {
        return Err(Error(format!("the picture has {why}")));
    }
    let config = &ctx.config;
    let dir = name::agent_dir(&config.paths, ctx.agent_id);
    let models = match call.first_of(&["model"]) {
        Some(typed) => vec![Ref::parse(&config.config, typed)],
        None => see::chain(config, &dir, &see::default_model(config, ctx.agent_id)),
    };
    let block = Block::Image {
        data: STANDARD.encode(&bytes),
        mime_type: mime.into(),
    };
    let question = call.first_of(&["prompt"]).unwrap_or(QUESTION);
    let seen = see::ask(config, &dir, &models, question, &[block], ctx.cancel)?;
    let shown = if given.starts_with("data:") {
        "data:"
    } else {
        given
    };
    Ok(Output::text(seen.text).with_details(json!({
        "model": seen.model.to_string(),
        "image": shown,
        "attempts": seen.attempts,
    })))
}

fn too_large(most: u64) -> Error {
    let mb = most as f64 / 1024.0 / 1024.0;
    Error(format!("the picture is larger than {mb:.1} MB"))
}

fn from_data(rest: &str, most: u64) -> Result<Vec<u8>, Error> {
    let data = rest
        .split_once(";base64,")
        .ok_or("a data: URL must be base64")?
        .1;
    if data.len() as u64 / 4 * 3 > most + 2 {
        return Err(too_large(most));
    }
    STANDARD
        .decode(data.trim())
        .map_err(|_| "the data: URL is not base64".into())
}

fn from_file(path: &str, most: u64, ctx: &Context) -> Result<Vec<u8>, Error> {
    let arguments = Map::from_iter([("path".to_string(), json!(path))]);
    let files = Files::of(ctx)?;
    let target = files.target(&Call {
        id: "",
        arguments: &arguments,
    })?;
    let file = files.open(&target)?;
    let mut bytes = Vec::new();
    file.take(most + 1)
        .read_to_end(&mut bytes)
        .map_err(|err| Error(format!("{path}: {err}")))?;
    match bytes.len() as u64 > most {
        true => Err(too_large(most)),
        false => Ok(bytes),
    }
}

fn from_web(url: &str, most: u64, ctx: &Context) -> Result<Vec<u8>, Error> {
    if confine::room(ctx)?.is_some() {
        return Err("in a sandbox a picture must be a file of the workspace".into());
    }
    let request = Request {
        method: "GET",
        url,
        headers: &[("accept", "image/*")],
        body: None,
        policy: Policy::Public,
        limits: Limits::within(PATIENCE, most),
    };
    let mut response =
        fetch::send(&request, ctx.cancel).map_err(|err| Error(format!("{url}: {err}")))?;
    if response.status >= 300 {
        return Err(Error(format!("{url}: HTTP {}", response.status)));
    }
    let mut bytes = Vec::new();
    match response.read_to_end(&mut bytes) {
        Ok(_) => Ok(bytes),
        Err(err) => match fetch::Error::from(err) {
            fetch::Error::TooLarge(_) => Err(too_large(most)),
            err => Err(Error(format!("{url}: {err}"))),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_data_url_is_decoded_within_its_limit() {
        assert_eq!(from_data("image/png;base64,aGk=", 10).unwrap(), b"hi");
        assert_eq!(
            from_data("image/png,hi", 10).unwrap_err().0,
            "a data: URL must be base64"
        );
        let large = "A".repeat(4000);
        let why = from_data(&format!("image/png;base64,{large}"), 100)
            .unwrap_err()
            .0;
        assert!(
            why.starts_with("the picture is larger than 0.0 MB"),
            "{why}"
        );
    }
}
