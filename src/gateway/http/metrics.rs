//! `GET /metrics`: what the gateway counts, in Prometheus' text form. An addition of ours; asks for
//! the gateway's secret.

use super::{Exchange, gate};
use crate::agent::lane;
use crate::base::time;
use crate::gateway::core::Core;
use crate::wire::control::ChildState;
use crate::wire::version;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::{Arc, Mutex, PoisonError};

const PATH: &str = "/metrics";
/// Clock ticks of `/proc` in a second, the same on every Linux.
const TICKS: f64 = 100.0;

/// Answers of the HTTP plane, by status.
#[derive(Default)]
pub struct Answers(Mutex<BTreeMap<u16, u64>>);

impl Answers {
    pub fn count(&self, status: u16) {
        *self.all().entry(status).or_default() += 1;
    }

    fn all(&self) -> std::sync::MutexGuard<'_, BTreeMap<u16, u64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub fn serve(core: &Arc<Core>, exchange: Exchange) -> Option<Exchange> {
    if exchange.path() != PATH {
        return Some(exchange);
    }
    let exchange = gate::admit(core, exchange, "GET")?;
    let body = text(core);
    exchange.respond(
        200,
        &[("Content-Type", "text/plain; version=0.0.4; charset=utf-8")],
        body.as_bytes(),
    );
    None
}

/// The page as it grows.
#[derive(Default)]
struct Page(String);

impl Page {
    fn head(&mut self, name: &str, kind: &str, help: &str) {
        let _ = write!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
    }

    fn line(&mut self, name: &str, label: Option<(&str, &str)>, value: f64) {
        let label = label.map(|(key, value)| {
            let value = value.replace('\\', "\\\\").replace('"', "\\\"");
            format!("{{{key}=\"{}\"}}", value.replace('\n', "\\n"))
        });
        let _ = writeln!(self.0, "{name}{} {value}", label.unwrap_or_default());
    }

    fn one(&mut self, name: &str, kind: &str, help: &str, value: f64) {
        self.head(name, kind, help);
        self.line(name, None, value);
    }
}

fn text(core: &Core) -> String {
    let mut page = Page::default();
    let name = "openclaw_build_info";
    page.head(name, "gauge", "The version whose behaviour this is.");
    page.line(name, Some(("version", version::PROGRAM)), 1.0);
    gateway(core, &mut page);
    http(core, &mut page);
    children(core, &mut page);
    process(core, &mut page);
    page.0
}

fn gateway(core: &Core, page: &mut Page) {
    page.one(
        "openclaw_uptime_seconds",
        "gauge",
        "Since this core started.",
        core.uptime_ms() as f64 / 1000.0,
    );
    page.one(
        "openclaw_config_in_force",
        "gauge",
        "0 while the configuration file is broken or waits for a restart.",
        f64::from(u8::from(core.config.refused().is_none())),
    );
    page.one(
        "openclaw_clients",
        "gauge",
        "Clients connected by WebSocket.",
        core.clients.count() as f64,
    );
    page.one(
        "openclaw_runs",
        "gauge",
        "Agent turns in flight, waiting ones too.",
        core.agents.runs.count() as f64,
    );
    let name = "openclaw_lane_jobs";
    page.head(name, "gauge", "Turns that run or wait, by lane.");
    for lane in [lane::MAIN, lane::SUBAGENT, lane::CRON, lane::NESTED] {
        let load = core.agents.lanes.load(lane);
        page.line(name, Some(("lane", lane)), load as f64);
    }
    if let Ok(count) = core.agents.sessions.count() {
        page.one(
            "openclaw_sessions",
            "gauge",
            "Sessions in the store.",
            count as f64,
        );
    }
}

fn http(core: &Core, page: &mut Page) {
    let name = "openclaw_http_answers_total";
    page.head(name, "counter", "HTTP answers by status, without probes.");
    for (status, count) in core.plane.answers.all().iter() {
        page.line(name, Some(("code", &status.to_string())), *count as f64);
    }
    page.one(
        "openclaw_http_requests",
        "gauge",
        "HTTP requests in work.",
        core.plane.working() as f64,
    );
    page.one(
        "openclaw_http_turns",
        "gauge",
        "Turns asked for through /v1.",
        core.plane.rooms.turns.taken() as f64,
    );
    page.one(
        "openclaw_canvas_pages",
        "gauge",
        "Canvas pages that wait for a change.",
        core.reload.pages() as f64,
    );
}

fn children(core: &Core, page: &mut Page) {
    let children = core.supervisor.children();
    let name = "openclaw_child_up";
    page.head(name, "gauge", "Whether a process beside the core runs.");
    for (id, child) in &children {
        let up = child.state == ChildState::Running;
        page.line(name, Some(("child", id)), f64::from(u8::from(up)));
    }
    let name = "openclaw_child_restarts_total";
    page.head(name, "counter", "How often it was started again.");
    for (id, child) in &children {
        page.line(name, Some(("child", id)), f64::from(child.restarts));
    }
}

/// The core, under the names every exporter uses.
fn process(core: &Core, page: &mut Page) {
    page.one(
        "process_start_time_seconds",
        "gauge",
        "When the core started, since 1970.",
        (time::now_ms() - core.uptime_ms()) as f64 / 1000.0,
    );
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    if let Some(kib) = field(&status, "VmRSS:") {
        page.one(
            "process_resident_memory_bytes",
            "gauge",
            "Memory of the core that is in RAM.",
            kib * 1024.0,
        );
    }
    if let Some(threads) = field(&status, "Threads:") {
        page.one("process_threads", "gauge", "Threads of the core.", threads);
    }
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    if let Some(ticks) = cpu(&stat) {
        page.one(
            "process_cpu_seconds_total",
            "counter",
            "Processor time of the core.",
            ticks / TICKS,
        );
    }
}

fn field(status: &str, name: &str) -> Option<f64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

/// User and system ticks. The program's name may hold spaces and stands in brackets.
fn cpu(stat: &str) -> Option<f64> {
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_whitespace().skip(11);
    let user: f64 = fields.next()?.parse().ok()?;
    let system: f64 = fields.next()?.parse().ok()?;
    Some(user + system)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateway::core::tests::core;

    #[test]
    fn every_line_is_a_comment_or_a_name_and_a_number() {
        let (core, dir) = core("{}");
        core.plane.answers.count(200);
        core.plane.answers.count(200);
        let page = text(&core);
        for line in page.lines().filter(|line| !line.starts_with('#')) {
            let (name, value) = line.rsplit_once(' ').unwrap();
            assert!(name.starts_with("openclaw_") || name.starts_with("process_"));
            assert!(value.parse::<f64>().is_ok(), "{line}");
        }
        assert!(page.contains("openclaw_http_answers_total{code=\"200\"} 2\n"));
        assert!(page.contains("# TYPE openclaw_clients gauge\nopenclaw_clients 0\n"));
        std::fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn labels_and_odd_program_names_are_read_right() {
        let mut page = Page::default();
        page.line("a", Some(("b", "c\"d\\\n")), 1.5);
        assert_eq!(page.0, "a{b=\"c\\\"d\\\\\\n\"} 1.5\n");
        let stat = "1 (a) b) S 1 1 1 0 -1 4 5 6 7 8 30 12 0 0 20";
        assert_eq!(cpu(stat), Some(42.0));
    }
}
