//! How kinds of channels are called where people read it.

pub struct Label {
    pub kind: &'static str,
    pub label: &'static str,
    /// In lists of settings.
    pub detail: &'static str,
    /// The symbol that clients on Apple's systems show.
    pub image: &'static str,
}

/// In the order in which they are shown.
pub const LABELS: &[Label] = &[
    row("telegram", "Telegram", "Telegram Bot", "paperplane"),
    row("whatsapp", "WhatsApp", "WhatsApp Web", "message"),
    row(
        "discord",
        "Discord",
        "Discord Bot",
        "bubble.left.and.bubble.right",
    ),
    row("googlechat", "Google Chat", "Google Chat", "message.badge"),
    row("slack", "Slack", "Slack Bot", "number"),
    row(
        "signal",
        "Signal",
        "Signal REST",
        "antenna.radiowaves.left.and.right",
    ),
    row("imessage", "iMessage", "iMessage", "message.fill"),
    row("irc", "IRC", "IRC", "number"),
    row("matrix", "Matrix", "Matrix", "number"),
    row(
        "mattermost",
        "Mattermost",
        "Mattermost Bot",
        "bubble.left.and.bubble.right",
    ),
    row("msteams", "MS Teams", "MS Teams", "message"),
];

const fn row(
    kind: &'static str,
    label: &'static str,
    detail: &'static str,
    image: &'static str,
) -> Label {
    Label {
        kind,
        label,
        detail,
        image,
    }
}

pub fn find(kind: &str) -> Option<&'static Label> {
    LABELS.iter().find(|row| row.kind == kind)
}

/// A kind nobody has a name for has its own, with a capital.
pub fn of(kind: &str) -> String {
    if let Some(row) = find(kind) {
        return row.label.into();
    }
    let mut label = kind.to_string();
    if let Some(first) = label.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    label
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_kind_without_a_name_is_called_by_its_own() {
        assert_eq!(super::of("imessage"), "iMessage");
        assert_eq!(super::of("pigeon"), "Pigeon");
        assert_eq!(super::of(""), "");
    }
}
