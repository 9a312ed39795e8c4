//! Everything the gateway tells, as JSON lines, for as long as somebody reads.

use super::super::{Context, Done};
use crate::base::cmdline::{Arg, Command, Flag};
use crate::base::time;
use crate::client::{News, Watch};
use serde_json::json;

pub const SPEC: Command = Command {
    name: "watch",
    summary: "Print events as they come, one line of JSON each",
    about: "An event is {\"event\":name,\"payload\":…,\"seq\":n}. The command's own lines are \
            {\"event\":\"connected\",\"again\":bool,\"ts\":ms} and \
            {\"event\":\"disconnected\",\"error\":text,\"retryInMs\":n,\"ts\":ms}: after the latter \
            events may have been missed. It connects again, after 1 s and then twice as long each \
            time up to 30 s, and ends only when nobody reads, when the first connection fails, or \
            when the gateway refuses it.",
    flags: &[Flag::number("count", "n", "End after so many events")],
    args: &[Arg::optional("event", "Only events of these names, such as chat or agent").many()],
    ..Command::NEW
};

pub fn run(context: &mut Context) -> Done {
    let count = context.matches.number::<u64>("count")?;
    let names = context.matches.args().to_vec();
    let mut left = count;
    let mut watch = Watch::new(context.local.caller()?);
    loop {
        let line = match watch.news()? {
            News::Connected { again } => {
                json!({"event": "connected", "again": again, "ts": time::now_ms()})
            }
            News::Lost { why, retry_in } => json!({
                "event": "disconnected",
                "error": why.brief(),
                "retryInMs": u64::try_from(retry_in.as_millis()).unwrap_or(u64::MAX),
                "ts": time::now_ms(),
            }),
            News::Event(event) => {
                if !names.is_empty() && !names.contains(&event.name) {
                    continue;
                }
                let mut line = json!({"event": event.name, "payload": event.payload});
                if let Some(seq) = event.seq {
                    line["seq"] = seq.into();
                }
                context.line_now(&line.to_string())?;
                if let Some(left) = &mut left {
                    *left = left.saturating_sub(1);
                    if *left == 0 {
                        return Ok(());
                    }
                }
                continue;
            }
        };
        context.line_now(&line.to_string())?;
    }
}
