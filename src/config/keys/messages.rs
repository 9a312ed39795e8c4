//! `messages`, `commands`, `approvals`: chats in and out.

use super::kind::Kind::{Choice, List, Literals, Map, Object};
use super::kind::{
    BOOL, BOOL_OR_AUTO, NATURAL, NON_EMPTY, POSITIVE, TEXT, TEXT_OR_NUMBER, int_between, int_from,
    keys, num_between,
};

keys! {
    QUEUE_BY_CHANNEL {
        "whatsapp": Literals(&["steer", "followup", "collect", "steer-backlog", "steer+backlog", "queue", "interrupt"]), "", "queue mode there";
        "telegram": Literals(&["steer", "followup", "collect", "steer-backlog", "steer+backlog", "queue", "interrupt"]), "", "queue mode there";
        "discord": Literals(&["steer", "followup", "collect", "steer-backlog", "steer+backlog", "queue", "interrupt"]), "", "queue mode there";
        "slack": Literals(&["steer", "followup", "collect", "steer-backlog", "steer+backlog", "queue", "interrupt"]), "", "queue mode there";
        "mattermost": Literals(&["steer", "followup", "collect", "steer-backlog", "steer+backlog", "queue", "interrupt"]), "", "queue mode there";
        "signal": Literals(&["steer", "followup", "collect", "steer-backlog", "steer+backlog", "queue", "interrupt"]), "", "queue mode there";
        "imessage": Literals(&["steer", "followup", "collect", "steer-backlog", "steer+backlog", "queue", "interrupt"]), "", "queue mode there";
        "msteams": Literals(&["steer", "followup", "collect", "steer-backlog", "steer+backlog", "queue", "interrupt"]), "", "queue mode there";
        "webchat": Literals(&["steer", "followup", "collect", "steer-backlog", "steer+backlog", "queue", "interrupt"]), "", "queue mode there";
    }
    QUEUE {
        "mode": Literals(&["steer", "followup", "collect", "steer-backlog", "steer+backlog", "queue", "interrupt"]), "collect", "what to do with messages during a run";
        "byChannel": Object(QUEUE_BY_CHANNEL), "", "per channel: whatsapp telegram discord slack mattermost signal imessage msteams webchat";
        "debounceMs": NATURAL, "1000", "wait before a follow-up";
        "debounceMsByChannel": Map(&NATURAL), "", "per channel";
        "cap": POSITIVE, "20", "queue length";
        "drop": Literals(&["old", "new", "summarize"]), "summarize", "overflow policy";
    }
    INBOUND {
        "debounceMs": NATURAL, "0", "join rapid messages of one sender";
        "byChannel": Map(&NATURAL), "", "per channel";
    }
    TTS_MODEL_OVERRIDES {
        "enabled": BOOL, "true", "let the model steer speech tags";
        "allowText": BOOL, "true", "let the model change the spoken text";
        "allowProvider": BOOL, "true", "let the model choose the engine";
        "allowVoice": BOOL, "true", "let the model choose the voice";
        "allowModelId": BOOL, "true", "let the model choose the speech model";
        "allowVoiceSettings": BOOL, "true", "let the model set the voice parameters";
        "allowNormalization": BOOL, "true", "let the model set text normalisation";
        "allowSeed": BOOL, "true", "let the model set the seed";
    }
    TTS_ELEVENLABS_VOICE_SETTINGS {
        "stability": num_between(0.0, 1.0), "0.5", "steadiness of the voice";
        "similarityBoost": num_between(0.0, 1.0), "0.75", "closeness to the original voice";
        "style": num_between(0.0, 1.0), "0", "exaggeration of the style";
        "useSpeakerBoost": BOOL, "true", "more likeness to the speaker";
        "speed": num_between(0.5, 2.0), "1", "speaking rate";
    }
    TTS_ELEVENLABS {
        "apiKey": TEXT, "env ELEVENLABS_API_KEY / XI_API_KEY", "key";
        "baseUrl": TEXT, "https://api.elevenlabs.io", "endpoint";
        "voiceId": TEXT, "pMsXgVXv3BLzUgSXRplE", "voice";
        "modelId": TEXT, "eleven_multilingual_v2", "model";
        "seed": int_between(0, 4294967295), "", "seed";
        "applyTextNormalization": Choice(&["auto", "on", "off"]), "", "auto/on/off";
        "languageCode": TEXT, "", "ISO code";
        "voiceSettings": Object(TTS_ELEVENLABS_VOICE_SETTINGS), "", "";
    }
    TTS_OPENAI {
        "apiKey": TEXT, "env OPENAI_API_KEY", "key";
        "model": TEXT, "gpt-4o-mini-tts", "model";
        "voice": TEXT, "alloy", "voice";
    }
    TTS_EDGE {
        "enabled": BOOL, "true", "allow the free engine";
        "voice": TEXT, "en-US-MichelleNeural", "voice";
        "lang": TEXT, "en-US", "language";
        "outputFormat": TEXT, "audio-24khz-48kbitrate-mono-mp3", "format";
        "pitch": TEXT, "", "SSML pitch";
        "rate": TEXT, "", "SSML rate";
        "volume": TEXT, "", "SSML volume";
        "saveSubtitles": BOOL, "false", "write subtitles";
        "proxy": TEXT, "", "proxy URL";
        "timeoutMs": int_between(1000, 120000), "messages.tts.timeoutMs", "limit";
    }
    TTS {
        "auto": Choice(&["off", "always", "inbound", "tagged"]), "off", "speech mode";
        "enabled": BOOL, "", "legacy; migrated to auto";
        "mode": Choice(&["final", "all"]), "final", "final or all blocks";
        "provider": Choice(&["elevenlabs", "openai", "edge"]), "edge, or first with a key", "engine";
        "summaryModel": TEXT, "agent model", "model that shortens text";
        "modelOverrides": Object(TTS_MODEL_OVERRIDES), "", "";
        "elevenlabs": Object(TTS_ELEVENLABS), "", "";
        "openai": Object(TTS_OPENAI), "", "";
        "edge": Object(TTS_EDGE), "", "";
        "prefsPath": TEXT, "$STATE/settings/tts.json", "user preference file";
        "maxTextLength": int_from(1), "4096", "input cap";
        "timeoutMs": int_between(1000, 120000), "30000", "limit";
    }
    MESSAGES {
        "messagePrefix": TEXT, "none", "prefix on inbound text (WhatsApp)";
        "responsePrefix": TEXT, "none", "prefix on replies; template variables, auto = identity name";
        "groupChat": Object(super::agents::LIST_GROUP_CHAT), "", "";
        "queue": Object(QUEUE), "", "";
        "inbound": Object(INBOUND), "", "";
        "ackReaction": TEXT, "identity emoji, else 👀 ; \"\" disables", "reaction on receipt";
        "ackReactionScope": Choice(&["group-mentions", "group-all", "direct", "all"]), "group-mentions (written back)", "where it is sent";
        "removeAckAfterReply": BOOL, "false", "remove it afterwards";
        "tts": Object(TTS), "", "";
    }
    COMMANDS {
        "native": BOOL_OR_AUTO, "auto (written back): on for Discord and Telegram", "register slash commands";
        "nativeSkills": BOOL_OR_AUTO, "auto (written back)", "register skills as commands";
        "text": BOOL, "true", "parse /commands in text";
        "bash": BOOL, "false", "! and /bash";
        "bashForegroundMs": int_between(0, 30000), "2000", "wait before backgrounding";
        "config": BOOL, "false", "/config";
        "debug": BOOL, "false", "/debug";
        "restart": BOOL, "false", "/restart, gateway restart tool, external SIGUSR1";
        "useAccessGroups": BOOL, "true", "apply allowlists to commands";
        "ownerAllowFrom": List(&TEXT_OR_NUMBER), "", "owners (id or channel:id)";
    }
    APPROVALS_EXEC_TARGETS {
        "channel" required: NON_EMPTY, "", "channel";
        "to" required: NON_EMPTY, "", "recipient";
        "accountId": TEXT, "", "account";
        "threadId": TEXT_OR_NUMBER, "", "thread";
    }
    APPROVALS_EXEC {
        "enabled": BOOL, "false", "forward exec approvals to chats";
        "mode": Literals(&["session", "targets", "both"]), "session", "session, targets or both";
        "agentFilter": List(&TEXT), "", "only these agents";
        "sessionFilter": List(&TEXT), "", "substring/regex on session key";
        "targets": List(&Object(APPROVALS_EXEC_TARGETS)), "", "";
    }
    APPROVALS {
        "exec": Object(APPROVALS_EXEC), "", "";
    }
}
