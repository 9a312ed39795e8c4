//! `media` and the legacy `audio`.

use super::kind::Kind::{List, Object};
use super::kind::{BOOL, POSITIVE, TEXT, keys};

keys! {
    AUDIO_TRANSCRIPTION {
        "command" required: List(&TEXT), "", "legacy CLI transcriber argv";
        "timeoutSeconds": POSITIVE, "", "limit";
    }
    AUDIO {
        "transcription": Object(AUDIO_TRANSCRIPTION), "", "";
    }
    MEDIA {
        "preserveFilenames": BOOL, "false", "keep original names when saving media";
    }
}
