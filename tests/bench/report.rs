//! The table, one Markdown row per figure, and the arithmetic of readings.

use std::time::Duration;

pub struct Report {
    filter: Option<String>,
    pub build: bool,
    pub turns: usize,
    /// Seconds.
    pub load: Option<u64>,
}

impl Report {
    pub fn from_args() -> Report {
        let mut report = Report {
            filter: None,
            build: false,
            turns: 2_000,
            load: None,
        };
        let mut args = std::env::args().skip(1);
        while let Some(arg) = args.next() {
            match arg.as_str() {
                // Cargo passes it to every bench.
                "--bench" => {}
                "--build" => report.build = true,
                "--turns" => {
                    let number = args.next().and_then(|n| n.parse().ok());
                    report.turns = number.expect("--turns takes a number");
                }
                "--load" => {
                    let number = args.next().and_then(|n| n.parse().ok());
                    report.load = Some(number.expect("--load takes seconds"));
                }
                word => report.filter = Some(word.to_string()),
            }
        }
        println!("| what | budget | measured |");
        println!("| --- | --- | --- |");
        report
    }

    pub fn section(&mut self, name: &str, rows: fn(&Report)) {
        let wanted = self
            .filter
            .as_deref()
            .is_none_or(|word| name.contains(word));
        if wanted {
            rows(self);
        }
    }

    pub fn row(&self, what: &str, budget: &str, measured: impl std::fmt::Display) {
        println!("| {what} | {budget} | {measured} |");
    }

    pub fn end(&self) {
        let cpus = std::thread::available_parallelism().map_or(0, usize::from);
        let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        println!(
            "\n{cpus} processors, Linux {}, {}",
            kernel.trim(),
            std::env::consts::ARCH
        );
    }
}

/// The middle reading.
pub fn median(mut readings: Vec<f64>) -> f64 {
    readings.sort_by(f64::total_cmp);
    readings
        .get(readings.len() / 2)
        .copied()
        .unwrap_or(f64::NAN)
}

pub fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

pub fn mib(kib: u64) -> f64 {
    kib as f64 / 1024.0
}
