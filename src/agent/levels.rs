//! The levels of a session as people write them, and which models know which thinking levels.
//!
//! Words that are no level give `None`; the caller says what would have been one.

/// Models that think harder than `high`.
const XHIGH: [(&str, &str); 3] = [
    ("openai", "gpt-5.2"),
    ("openai-codex", "gpt-5.2-codex"),
    ("openai-codex", "gpt-5.1-codex"),
];

/// Said of `xhigh` for any other model.
pub const XHIGH_ONLY: &str =
    "openai/gpt-5.2, openai-codex/gpt-5.2-codex or openai-codex/gpt-5.1-codex";

pub fn knows_xhigh(provider: &str, model: &str) -> bool {
    let same =
        |(p, m): &(&str, &str)| p.eq_ignore_ascii_case(provider) && m.eq_ignore_ascii_case(model);
    XHIGH.iter().any(same)
}

/// The thinking levels to offer for a model. `zai` only knows on and off.
pub fn thinking_choices(provider: &str, model: &str) -> &'static str {
    if provider == "zai" {
        "off|on"
    } else if knows_xhigh(provider, model) {
        "off|minimal|low|medium|high|xhigh"
    } else {
        "off|minimal|low|medium|high"
    }
}

/// Thinking levels, least first.
const THINKING: [&str; 6] = ["off", "minimal", "low", "medium", "high", "xhigh"];

/// The level to ask with instead, when a service says which levels it knows: the next one below
/// `current`, else the next above; none that was `tried`.
pub fn supported_instead(error: &str, current: &str, tried: &[&str]) -> Option<&'static str> {
    let lower = error.to_ascii_lowercase();
    let marks = ["supported values are:", "supported values:"];
    let after = marks.iter().find_map(|mark| lower.split(mark).nth(1))?;
    let list = after.split(['\n', '.']).next()?;
    let words = list.split(|c: char| !c.is_ascii_alphanumeric());
    let known: Vec<usize> = words
        .filter_map(|word| {
            let word = if word == "none" { "off" } else { word };
            THINKING.iter().position(|level| *level == word)
        })
        .filter(|at| !tried.contains(&THINKING[*at]))
        .collect();
    let now = THINKING.iter().position(|level| *level == current)?;
    let below = known.iter().filter(|at| **at < now).max();
    let above = known.iter().filter(|at| **at > now).min();
    below.or(above).map(|at| THINKING[*at])
}

pub fn verbose(word: &str) -> Option<&'static str> {
    match word.trim().to_ascii_lowercase().as_str() {
        "off" | "false" | "no" | "0" => Some("off"),
        "full" | "all" | "everything" => Some("full"),
        "on" | "minimal" | "true" | "yes" | "1" => Some("on"),
        _ => None,
    }
}

pub fn reasoning(word: &str) -> Option<&'static str> {
    match word.trim().to_ascii_lowercase().as_str() {
        "off" | "false" | "no" | "0" | "hide" | "hidden" | "disable" | "disabled" => Some("off"),
        "on" | "true" | "yes" | "1" | "show" | "visible" | "enable" | "enabled" => Some("on"),
        "stream" | "streaming" | "draft" | "live" => Some("stream"),
        _ => None,
    }
}

pub fn elevated(word: &str) -> Option<&'static str> {
    match word.trim().to_ascii_lowercase().as_str() {
        "off" | "false" | "no" | "0" => Some("off"),
        "full" | "auto" | "auto-approve" | "autoapprove" => Some("full"),
        "ask" | "prompt" | "approval" | "approve" => Some("ask"),
        "on" | "true" | "yes" | "1" => Some("on"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_for_levels_are_understood_in_any_case() {
        assert_eq!(verbose(" Everything"), Some("full"));
        assert_eq!(verbose("minimal"), Some("on"));
        assert_eq!(verbose("quiet"), None);
        assert_eq!(reasoning("HIDDEN"), Some("off"));
        assert_eq!(reasoning("draft"), Some("stream"));
        assert_eq!(reasoning("none"), None);
        assert_eq!(elevated("auto-approve"), Some("full"));
        assert_eq!(elevated("prompt"), Some("ask"));
        assert_eq!(elevated("always"), None);
    }

    #[test]
    fn a_level_the_service_does_not_know_becomes_the_next_lower_one_it_knows() {
        let error = "400 Unsupported value: 'xhigh' is not supported with this model. \
            Supported values are: 'low', 'medium', and 'high'. Try one.";
        assert_eq!(supported_instead(error, "xhigh", &["xhigh"]), Some("high"));
        let tried = ["xhigh", "high"];
        assert_eq!(supported_instead(error, "high", &tried), Some("medium"));
        assert_eq!(
            supported_instead(error, "minimal", &["minimal"]),
            Some("low")
        );
        let all = ["low", "medium", "high"];
        assert_eq!(supported_instead(error, "low", &all), None);
        let none = "supported values: \"none\"";
        assert_eq!(supported_instead(none, "low", &["low"]), Some("off"));
        assert_eq!(supported_instead("401 no", "low", &[]), None);
    }

    #[test]
    fn the_offered_thinking_levels_follow_the_model() {
        assert!(thinking_choices("openai", "gpt-5.2").ends_with("|xhigh"));
        assert!(thinking_choices("openai", "gpt-5").ends_with("|high"));
        assert_eq!(thinking_choices("zai", "glm-4.7"), "off|on");
    }
}
