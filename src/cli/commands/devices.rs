//! `openclaw devices`: which apps and browsers may connect, and the tokens they hold.

use super::super::Context;
use super::super::failure::Failure;
use super::super::output::{Colour, Column, age};
use crate::base::cmdline::{Arg, Command, Flag};
use crate::base::time::now_ms;
use crate::client::{DEFAULT_TIMEOUT, local};
use serde_json::{Value, json};

const DEVICE: Flag = Flag::value("device", "id", "The device");
const ROLE: Flag = Flag::value("role", "role", "Its role, such as operator or node");
const REQUEST: &[Arg] = &[Arg::required("request", "Id of the request")];

pub const SPEC: Command = Command {
    name: "devices",
    summary: "Let apps and browsers connect, and take that back",
    subcommands: &[
        Command {
            name: "approve",
            summary: "Let a device connect that asked for it",
            args: REQUEST,
            ..Command::NEW
        },
        Command {
            name: "list",
            summary: "List devices that wait for a word and those that may connect",
            ..Command::NEW
        },
        Command {
            name: "reject",
            summary: "Refuse a device that asked to connect",
            args: REQUEST,
            ..Command::NEW
        },
        Command {
            name: "revoke",
            summary: "Make a device's token worthless",
            flags: &[DEVICE, ROLE],
            ..Command::NEW
        },
        Command {
            name: "rotate",
            summary: "Give a device a new token, which is printed",
            flags: &[
                DEVICE,
                ROLE,
                Flag::value(
                    "scope",
                    "scope",
                    "What the token may do (default: as before)",
                )
                .repeatable(),
            ],
            ..Command::NEW
        },
    ],
    ..Command::NEW
};

pub fn list(context: &mut Context) -> Result<(), Failure> {
    let lists = ask(context, "device.pair.list", &json!({}))?;
    if context.json() {
        return Ok(context.out.json(&lists)?);
    }
    let rows = |key: &str| lists[key].as_array().cloned().unwrap_or_default();
    let (pending, paired) = (rows("pending"), rows("paired"));
    let out = &mut context.out;
    if pending.is_empty() && paired.is_empty() {
        return Ok(out.line("No device pairing entries.")?);
    }
    if !pending.is_empty() {
        let title = out.paint(Colour::Bold, "Pending");
        out.line(format!("{title} ({})", pending.len()))?;
        let now = now_ms();
        let rows: Vec<Vec<String>> = pending.iter().map(|device| waiting(device, now)).collect();
        out.table(
            &[
                Column::new("Request", 10),
                Column::flexible("Device", 16),
                Column::new("Role", 8),
                Column::new("IP", 10),
                Column::new("Age", 8),
                Column::new("Flags", 8),
            ],
            &rows,
        )?;
    }
    if !paired.is_empty() {
        let title = out.paint(Colour::Bold, "Paired");
        out.line(format!("{title} ({})", paired.len()))?;
        let rows: Vec<Vec<String>> = paired.iter().map(known).collect();
        out.table(
            &[
                Column::flexible("Device", 16),
                Column::flexible("Roles", 12),
                Column::flexible("Scopes", 12),
                Column::flexible("Tokens", 16),
                Column::new("IP", 10),
            ],
            &rows,
        )?;
    }
    Ok(())
}

fn waiting(device: &Value, now: u64) -> Vec<String> {
    let since = device["ts"].as_u64().map(|ts| now.saturating_sub(ts));
    let repair = device["isRepair"] == true;
    vec![
        text(&device["requestId"]),
        name(device),
        text(&device["role"]),
        text(&device["remoteIp"]),
        age(since),
        if repair { "repair" } else { "" }.into(),
    ]
}

fn known(device: &Value) -> Vec<String> {
    let roles = match joined(&device["roles"]) {
        roles if roles.is_empty() => text(&device["role"]),
        roles => roles,
    };
    let tokens = device["tokens"].as_array().into_iter().flatten();
    let tokens: Vec<String> = tokens
        .map(|token| match token["revokedAtMs"].is_null() {
            true => text(&token["role"]),
            false => format!("{} (revoked)", text(&token["role"])),
        })
        .collect();
    let tokens = match tokens.is_empty() {
        true => "none".into(),
        false => tokens.join(", "),
    };
    vec![
        name(device),
        roles,
        joined(&device["scopes"]),
        tokens,
        text(&device["remoteIp"]),
    ]
}

pub fn approve(context: &mut Context) -> Result<(), Failure> {
    decide(context, "device.pair.approve", "Approved")
}

pub fn reject(context: &mut Context) -> Result<(), Failure> {
    decide(context, "device.pair.reject", "Rejected")
}

fn decide(context: &mut Context, method: &str, done: &str) -> Result<(), Failure> {
    let params = json!({"requestId": context.matches.arg(0).unwrap_or_default()});
    let result = ask(context, method, &params)?;
    if context.json() {
        return Ok(context.out.json(&result)?);
    }
    let device = match &result["device"]["deviceId"] {
        Value::Null => &result["deviceId"],
        device => device,
    };
    Ok(context.out.line(format!("{done} {}", text(device)))?)
}

pub fn rotate(context: &mut Context) -> Result<(), Failure> {
    let mut params = named(context)?;
    let scopes: Vec<&str> = context.matches.all("scope").collect();
    if !scopes.is_empty() {
        params["scopes"] = json!(scopes);
    }
    let result = ask(context, "device.token.rotate", &params)?;
    Ok(context.out.json(&result)?)
}

pub fn revoke(context: &mut Context) -> Result<(), Failure> {
    let params = named(context)?;
    let result = ask(context, "device.token.revoke", &params)?;
    Ok(context.out.json(&result)?)
}

fn named(context: &Context) -> Result<Value, Failure> {
    let flag = |name| {
        context
            .matches
            .text(name)
            .map(str::trim)
            .filter(|v| !v.is_empty())
    };
    match (flag("device"), flag("role")) {
        (Some(device), Some(role)) => Ok(json!({"deviceId": device, "role": role})),
        _ => Err(Failure::said("--device and --role required")),
    }
}

fn ask(context: &Context, method: &str, params: &Value) -> Result<Value, Failure> {
    let timeout = local::timeout(&context.matches, DEFAULT_TIMEOUT)?;
    let caller = context.local.caller()?;
    Ok(caller.call(method, Some(params), timeout)?)
}

fn name(device: &Value) -> String {
    match text(&device["displayName"]) {
        name if name.trim().is_empty() => text(&device["deviceId"]),
        name => name,
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_string()
}

fn joined(list: &Value) -> String {
    let words = list
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str);
    words.collect::<Vec<_>>().join(", ")
}
