//! `usage.status` and `usage.cost`: results. Their params are not checked, as in the original.

use serde::Serialize;

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Cost {
    pub updated_at: u64,
    pub days: u64,
    pub daily: Vec<Day>,
    pub totals: Totals,
}

#[derive(Clone, Debug, Serialize)]
pub struct Day {
    /// `2026-11-21`, local.
    pub date: String,
    #[serde(flatten)]
    pub totals: Totals,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Totals {
    pub input: u64,
    pub output: u64,
    pub cache_read: u64,
    pub cache_write: u64,
    pub total_tokens: u64,
    /// Dollars.
    pub total_cost: f64,
    /// Model calls whose price is not known.
    pub missing_cost_entries: u64,
}

impl Totals {
    pub fn add(&mut self, other: &Totals) {
        self.input += other.input;
        self.output += other.output;
        self.cache_read += other.cache_read;
        self.cache_write += other.cache_write;
        self.total_tokens += other.total_tokens;
        self.total_cost += other.total_cost;
        self.missing_cost_entries += other.missing_cost_entries;
    }
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    pub updated_at: u64,
    pub providers: Vec<Provider>,
}

/// What a provider says of a subscription's limits.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Provider {
    pub provider: String,
    pub display_name: &'static str,
    pub windows: Vec<Window>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plan: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Window {
    pub label: String,
    pub used_percent: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reset_at: Option<u64>,
}
