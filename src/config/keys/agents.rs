//! `agents`, `bindings`, `broadcast`: who answers, and how.

use super::kind::Kind::{Choice, List, Literals, Map, Object, Union};
use super::kind::{
    ABOVE_ZERO, ANY, BOOL, NATURAL, NUMBER, POSITIVE, TEXT, TEXT_OR_NUMBER, keys, num_between,
};

keys! {
    DEFAULTS_MODEL {
        "primary": TEXT, "anthropic/claude-opus-4-5", "main model provider/model or alias";
        "fallbacks": List(&TEXT), "[]", "tried in order on failure";
    }
    DEFAULTS_IMAGE_MODEL {
        "primary": TEXT, "auto", "model for image understanding";
        "fallbacks": List(&TEXT), "[]", "its fallbacks";
    }
    DEFAULTS_MODELS {
        "alias": TEXT, "built-in alias if the key is one of six known models (written back)", "short name; the keys also act as the model allowlist";
        "params": Map(&ANY), "", "provider options (temperature, maxTokens, cacheRetention …)";
    }
    DEFAULTS_CLI_BACKENDS {
        "command" required: TEXT, "claude-cli and codex-cli built in", "external CLI used as text model";
        "args": List(&TEXT), "per backend", "fresh-run argv";
        "output": Literals(&["json", "text", "jsonl"]), "json", "stdout format";
        "resumeOutput": Literals(&["json", "text", "jsonl"]), "=output", "stdout format when resuming";
        "input": Literals(&["arg", "stdin"]), "arg", "prompt via arg or stdin";
        "maxPromptArgChars": POSITIVE, "", "switch to stdin above this";
        "env": Map(&TEXT), "", "extra env";
        "clearEnv": List(&TEXT), "per backend", "env names removed";
        "modelArg": TEXT, "per backend", "flag that takes the model";
        "modelAliases": Map(&TEXT), "per backend", "model name map";
        "sessionArg": TEXT, "per backend", "flag that takes a session id";
        "sessionArgs": List(&TEXT), "", "argv template with {sessionId}";
        "resumeArgs": List(&TEXT), "per backend", "argv when resuming";
        "sessionMode": Literals(&["always", "existing", "none"]), "always", "when to pass a session id";
        "sessionIdFields": List(&TEXT), "per backend", "JSON fields holding the session id";
        "systemPromptArg": TEXT, "per backend", "flag for the system prompt";
        "systemPromptMode": Literals(&["append", "replace"]), "append", "append or replace";
        "systemPromptWhen": Literals(&["first", "always", "never"]), "first", "when to send it";
        "imageArg": TEXT, "", "flag for image paths";
        "imageMode": Literals(&["repeat", "list"]), "repeat", "repeat the flag or join";
        "serialize": BOOL, "true", "one run at a time";
    }
    DEFAULTS_MEMORY_SEARCH_EXPERIMENTAL {
        "sessionMemory": BOOL, "false", "allow the sessions source";
    }
    DEFAULTS_MEMORY_SEARCH_REMOTE_BATCH {
        "enabled": BOOL, "true", "use batch API";
        "wait": BOOL, "true", "wait for the batch";
        "concurrency": POSITIVE, "2", "parallel batches";
        "pollIntervalMs": NATURAL, "2000", "poll";
        "timeoutMinutes": POSITIVE, "60", "give up";
    }
    DEFAULTS_MEMORY_SEARCH_REMOTE {
        "baseUrl": TEXT, "provider's", "OpenAI-compatible endpoint";
        "apiKey": TEXT, "provider's", "key";
        "headers": Map(&TEXT), "", "extra headers for the embedding endpoint";
        "batch": Object(DEFAULTS_MEMORY_SEARCH_REMOTE_BATCH), "", "";
    }
    DEFAULTS_MEMORY_SEARCH_LOCAL {
        "modelPath": TEXT, "built-in GGUF", "local model";
        "modelCacheDir": TEXT, "library default", "download cache";
    }
    DEFAULTS_MEMORY_SEARCH_STORE_VECTOR {
        "enabled": BOOL, "true", "use the vec0 extension";
        "extensionPath": TEXT, "bundled", "extension library";
    }
    DEFAULTS_MEMORY_SEARCH_STORE {
        "driver": Literals(&["sqlite"]), "sqlite", "index type";
        "path": TEXT, "$STATE/memory/<agentId>.sqlite", "index file, {agentId} allowed";
        "vector": Object(DEFAULTS_MEMORY_SEARCH_STORE_VECTOR), "", "";
    }
    DEFAULTS_MEMORY_SEARCH_CHUNKING {
        "tokens": POSITIVE, "400", "chunk size";
        "overlap": NATURAL, "80", "chunk overlap";
    }
    DEFAULTS_MEMORY_SEARCH_SYNC_SESSIONS {
        "deltaBytes": NATURAL, "100000", "transcript growth that triggers indexing";
        "deltaMessages": NATURAL, "50", "same, in lines";
    }
    DEFAULTS_MEMORY_SEARCH_SYNC {
        "onSessionStart": BOOL, "true", "refresh when a session starts";
        "onSearch": BOOL, "true", "refresh before searching when dirty";
        "watch": BOOL, "true", "watch memory files";
        "watchDebounceMs": NATURAL, "1500", "watch quiet time";
        "intervalMinutes": NATURAL, "0", "periodic refresh";
        "sessions": Object(DEFAULTS_MEMORY_SEARCH_SYNC_SESSIONS), "", "";
    }
    DEFAULTS_MEMORY_SEARCH_QUERY_HYBRID {
        "enabled": BOOL, "true", "mix vector and full-text search";
        "vectorWeight": num_between(0.0, 1.0), "0.7", "weights are normalised to sum 1";
        "textWeight": num_between(0.0, 1.0), "0.3", "see above";
        "candidateMultiplier": POSITIVE, "4 (1–20)", "candidate pool factor";
    }
    DEFAULTS_MEMORY_SEARCH_QUERY {
        "maxResults": POSITIVE, "6", "hits";
        "minScore": num_between(0.0, 1.0), "0.35", "cut-off";
        "hybrid": Object(DEFAULTS_MEMORY_SEARCH_QUERY_HYBRID), "", "";
    }
    DEFAULTS_MEMORY_SEARCH_CACHE {
        "enabled": BOOL, "true", "cache embeddings";
        "maxEntries": POSITIVE, "unlimited", "cache size";
    }
    DEFAULTS_MEMORY_SEARCH {
        "enabled": BOOL, "true", "semantic memory tools";
        "sources": List(&Literals(&["memory", "sessions"])), "[\"memory\"]", "memory files and/or session transcripts";
        "extraPaths": List(&TEXT), "[]", "more files/directories (defaults + agent are joined)";
        "experimental": Object(DEFAULTS_MEMORY_SEARCH_EXPERIMENTAL), "", "";
        "provider": Literals(&["openai", "local", "gemini"]), "auto", "embedding provider";
        "remote": Object(DEFAULTS_MEMORY_SEARCH_REMOTE), "", "";
        "fallback": Literals(&["openai", "gemini", "local", "none"]), "none", "second provider";
        "model": TEXT, "text-embedding-3-small / gemini-embedding-001", "embedding model";
        "local": Object(DEFAULTS_MEMORY_SEARCH_LOCAL), "", "";
        "store": Object(DEFAULTS_MEMORY_SEARCH_STORE), "", "";
        "chunking": Object(DEFAULTS_MEMORY_SEARCH_CHUNKING), "", "";
        "sync": Object(DEFAULTS_MEMORY_SEARCH_SYNC), "", "";
        "query": Object(DEFAULTS_MEMORY_SEARCH_QUERY), "", "";
        "cache": Object(DEFAULTS_MEMORY_SEARCH_CACHE), "", "";
    }
    DEFAULTS_CONTEXT_PRUNING_TOOLS {
        "allow": List(&TEXT), "all", "tools that may be trimmed";
        "deny": List(&TEXT), "none", "tools never trimmed";
    }
    DEFAULTS_CONTEXT_PRUNING_SOFT_TRIM {
        "maxChars": NATURAL, "4000", "results above this are trimmed";
        "headChars": NATURAL, "1500", "kept start";
        "tailChars": NATURAL, "1500", "kept end";
    }
    DEFAULTS_CONTEXT_PRUNING_HARD_CLEAR {
        "enabled": BOOL, "true", "replace old results";
        "placeholder": TEXT, "fixed English sentence", "replacement text";
    }
    DEFAULTS_CONTEXT_PRUNING {
        "mode": Literals(&["off", "cache-ttl"]), "cache-ttl if Anthropic auth is detected, else off", "trim old tool results in memory";
        "ttl": TEXT, "1h if set by the loader, else 5m", "age before trimming";
        "keepLastAssistants": NATURAL, "3", "protected tail";
        "softTrimRatio": num_between(0.0, 1.0), "0.3", "context share that starts soft trimming";
        "hardClearRatio": num_between(0.0, 1.0), "0.5", "share that starts clearing";
        "minPrunableToolChars": NATURAL, "50000", "minimum total size";
        "tools": Object(DEFAULTS_CONTEXT_PRUNING_TOOLS), "", "";
        "softTrim": Object(DEFAULTS_CONTEXT_PRUNING_SOFT_TRIM), "", "";
        "hardClear": Object(DEFAULTS_CONTEXT_PRUNING_HARD_CLEAR), "", "";
    }
    DEFAULTS_COMPACTION_MEMORY_FLUSH {
        "enabled": BOOL, "true", "silent memory-writing turn before compaction";
        "softThresholdTokens": NATURAL, "4000", "distance to the limit that triggers it";
        "prompt": TEXT, "built in", "its user prompt";
        "systemPrompt": TEXT, "built in", "its system prompt";
    }
    DEFAULTS_COMPACTION {
        "mode": Literals(&["default", "safeguard"]), "safeguard (set by the loader)", "default = plain summary, safeguard = chunked summary";
        "reserveTokensFloor": NATURAL, "20000", "free tokens kept";
        "maxHistoryShare": num_between(0.1, 0.9), "0.5 [D]", "history share kept in safeguard mode";
        "memoryFlush": Object(DEFAULTS_COMPACTION_MEMORY_FLUSH), "", "";
    }
    DEFAULTS_BLOCK_STREAMING_CHUNK {
        "minChars": POSITIVE, "800", "block size";
        "maxChars": POSITIVE, "1200", "block size";
        "breakPreference": Literals(&["paragraph", "newline", "sentence"]), "paragraph", "preferred cut";
    }
    DEFAULTS_BLOCK_STREAMING_COALESCE {
        "minChars": POSITIVE, "= chunk min", "join small blocks";
        "maxChars": POSITIVE, "= chunk max", "join limit";
        "idleMs": NATURAL, "1000", "wait before sending";
    }
    DEFAULTS_HUMAN_DELAY {
        "mode": Literals(&["off", "natural", "custom"]), "off", "pause between blocks: natural or custom";
        "minMs": NATURAL, "800", "shortest pause";
        "maxMs": NATURAL, "2500", "longest pause";
    }
    DEFAULTS_HEARTBEAT_ACTIVE_HOURS {
        "start": TEXT, "", "HH:MM window start";
        "end": TEXT, "", "HH:MM window end, 24:00 allowed";
        "timezone": TEXT, "user", "user, local or IANA";
    }
    DEFAULTS_HEARTBEAT {
        "every": TEXT, "30m (1h with Anthropic OAuth); 0m disables", "heartbeat period, bare numbers are minutes";
        "activeHours": Object(DEFAULTS_HEARTBEAT_ACTIVE_HOURS), "", "";
        "model": TEXT, "agent model", "model override";
        "session": TEXT, "main", "session key used";
        "includeReasoning": BOOL, "false", "also send reasoning";
        "target": TEXT, "last", "last, none or a channel id";
        "to": TEXT, "", "recipient override";
        "accountId": TEXT, "", "account override";
        "prompt": TEXT, "built in", "prompt text";
        "ackMaxChars": NATURAL, "300", "text allowed beside HEARTBEAT_OK before it is delivered";
    }
    DEFAULTS_SUBAGENTS {
        "maxConcurrent": POSITIVE, "8 (written back)", "parallel sub-agent runs";
        "archiveAfterMinutes": POSITIVE, "60", "age at which finished sub-agent sessions are deleted";
        "model": Union(&[TEXT, Object(DEFAULTS_MODEL)]), "parent's", "model for sub-agents (string or object)";
        "thinking": TEXT, "parent's", "thinking level";
    }
    DEFAULTS_SANDBOX_DOCKER_ULIMITS {
        "soft": NATURAL, "", "object form";
        "hard": NATURAL, "", "object form";
    }
    DEFAULTS_SANDBOX_DOCKER {
        "image": TEXT, "openclaw-sandbox:bookworm-slim", "image";
        "containerPrefix": TEXT, "openclaw-sbx-", "name prefix";
        "workdir": TEXT, "/workspace", "cwd inside";
        "readOnlyRoot": BOOL, "true", "read-only root fs";
        "tmpfs": List(&TEXT), "/tmp, /var/tmp, /run", "tmpfs mounts";
        "network": TEXT, "none", "network mode";
        "user": TEXT, "image", "user";
        "capDrop": List(&TEXT), "[\"ALL\"]", "dropped capabilities";
        "env": Map(&TEXT), "LANG=C.UTF-8", "environment";
        "setupCommand": TEXT, "", "one-off shell command after creation";
        "pidsLimit": POSITIVE, "", "process limit";
        "memory": TEXT_OR_NUMBER, "", "memory limit";
        "memorySwap": TEXT_OR_NUMBER, "", "swap limit";
        "cpus": ABOVE_ZERO, "", "CPU limit";
        "ulimits": Map(&Union(&[TEXT, NUMBER, Object(DEFAULTS_SANDBOX_DOCKER_ULIMITS)])), "", "number, \"soft:hard\" or object";
        "seccompProfile": TEXT, "", "seccomp file";
        "apparmorProfile": TEXT, "", "AppArmor profile";
        "dns": List(&TEXT), "", "resolvers";
        "extraHosts": List(&TEXT), "", "hosts entries";
        "binds": List(&TEXT), "[] (defaults + agent joined)", "extra mounts";
    }
    DEFAULTS_SANDBOX_BROWSER {
        "enabled": BOOL, "false", "browser container";
        "image": TEXT, "openclaw-sandbox-browser:bookworm-slim", "image";
        "containerPrefix": TEXT, "openclaw-sbx-browser-", "name prefix";
        "cdpPort": POSITIVE, "9222", "CDP port inside";
        "vncPort": POSITIVE, "5900", "VNC port";
        "noVncPort": POSITIVE, "6080", "noVNC port";
        "headless": BOOL, "false", "no display";
        "enableNoVnc": BOOL, "true", "expose noVNC";
        "allowHostControl": BOOL, "false", "let sandboxed agents drive the host browser";
        "autoStart": BOOL, "true", "start on demand";
        "autoStartTimeoutMs": POSITIVE, "12000", "start wait";
    }
    DEFAULTS_SANDBOX_PRUNE {
        "idleHours": NATURAL, "24", "remove idle containers";
        "maxAgeDays": NATURAL, "7", "remove old containers";
    }
    DEFAULTS_SANDBOX {
        "mode": Literals(&["off", "non-main", "all"]), "off", "which sessions run in a container";
        "workspaceAccess": Literals(&["none", "ro", "rw"]), "none", "none, ro or rw mount of the real workspace";
        "sessionToolsVisibility": Literals(&["spawned", "all"]), "spawned", "sessions a sandboxed agent may see";
        "scope": Literals(&["session", "agent", "shared"]), "agent", "one container per session, agent or shared";
        "perSession": BOOL, "", "legacy: true = session, false = shared";
        "workspaceRoot": TEXT, "~/.openclaw/sandboxes (HOME-based)", "sandbox copies";
        "docker": Object(DEFAULTS_SANDBOX_DOCKER), "", "";
        "browser": Object(DEFAULTS_SANDBOX_BROWSER), "", "";
        "prune": Object(DEFAULTS_SANDBOX_PRUNE), "", "";
    }
    DEFAULTS {
        "model": Object(DEFAULTS_MODEL), "", "";
        "imageModel": Object(DEFAULTS_IMAGE_MODEL), "", "";
        "models": Map(&Object(DEFAULTS_MODELS)), "", "model catalogue and allowlist, with aliases and parameters";
        "workspace": TEXT, "~/.openclaw/workspace (…/workspace-<profile>)", "working directory of the default agent";
        "repoRoot": TEXT, "detected from workspace", "repository root shown in the prompt";
        "skipBootstrap": BOOL, "false", "do not create bootstrap files";
        "bootstrapMaxChars": POSITIVE, "20000", "cut per injected workspace file";
        "userTimezone": TEXT, "host zone", "zone used for the user";
        "timeFormat": Literals(&["auto", "12", "24"]), "auto", "12/24 h in prompts";
        "envelopeTimezone": TEXT, "local", "zone in message envelopes: utc, local, user or IANA";
        "envelopeTimestamp": Literals(&["on", "off"]), "on", "absolute time in envelopes";
        "envelopeElapsed": Literals(&["on", "off"]), "on", "elapsed time in envelopes";
        "contextTokens": POSITIVE, "model's window, else 200000", "context budget override";
        "cliBackends": Map(&Object(DEFAULTS_CLI_BACKENDS)), "", "external CLI programs used as text models";
        "memorySearch": Object(DEFAULTS_MEMORY_SEARCH), "", "semantic search over memory files";
        "contextPruning": Object(DEFAULTS_CONTEXT_PRUNING), "", "";
        "compaction": Object(DEFAULTS_COMPACTION), "", "";
        "thinkingDefault": Literals(&["off", "minimal", "low", "medium", "high", "xhigh"]), "low if the model reasons, else off", "thinking level";
        "verboseDefault": Literals(&["off", "on", "full"]), "off", "tool progress messages";
        "elevatedDefault": Literals(&["off", "on", "ask", "full"]), "on (only where elevated is allowed)", "elevated exec level";
        "blockStreamingDefault": Literals(&["off", "on"]), "off", "send finished blocks early";
        "blockStreamingBreak": Literals(&["text_end", "message_end"]), "text_end", "when a block counts as finished";
        "blockStreamingChunk": Object(DEFAULTS_BLOCK_STREAMING_CHUNK), "", "";
        "blockStreamingCoalesce": Object(DEFAULTS_BLOCK_STREAMING_COALESCE), "", "";
        "humanDelay": Object(DEFAULTS_HUMAN_DELAY), "", "";
        "timeoutSeconds": POSITIVE, "600", "limit for one agent run";
        "mediaMaxMb": ABOVE_ZERO, "— (loader: images 6 MB; WhatsApp replies 5 MB)", "media size cap for the image tool and WhatsApp replies";
        "typingIntervalSeconds": POSITIVE, "6", "typing indicator refresh";
        "typingMode": Literals(&["never", "instant", "thinking", "message"]), "instant (DM/mention), message (unmentioned group)", "when typing starts";
        "heartbeat": Object(DEFAULTS_HEARTBEAT), "", "";
        "maxConcurrent": POSITIVE, "4 (written back)", "parallel agent runs";
        "subagents": Object(DEFAULTS_SUBAGENTS), "", "";
        "sandbox": Object(DEFAULTS_SANDBOX), "", "";
    }
    LIST_IDENTITY {
        "name": TEXT, "IDENTITY.md", "persona name";
        "theme": TEXT, "IDENTITY.md", "persona theme";
        "emoji": TEXT, "IDENTITY.md", "emoji, also default ack reaction";
        "avatar": TEXT, "", "workspace-relative file, http(s) URL or data URI";
    }
    LIST_GROUP_CHAT {
        "mentionPatterns": List(&TEXT), "messages.groupChat, then derived from identity", "regexes that count as a mention";
        "historyLimit": POSITIVE, "50", "group context messages";
    }
    LIST_SUBAGENTS {
        "allowAgents": List(&TEXT), "[] (own id only)", "agents it may spawn, * = any";
        "model": Union(&[TEXT, Object(DEFAULTS_MODEL)]), "defaults", "model for its sub-agents";
        "thinking": TEXT, "defaults", "thinking level";
    }
    LIST_TOOLS_BY_PROVIDER {
        "allow": List(&TEXT), "", "per provider or provider/model";
        "alsoAllow": List(&TEXT), "", "additions";
        "deny": List(&TEXT), "", "removals";
        "profile": Literals(&["minimal", "coding", "messaging", "full"]), "", "base set";
    }
    LIST_TOOLS_ELEVATED {
        "enabled": BOOL, "true", "both global and agent must allow";
        "allowFrom": Map(&List(&TEXT_OR_NUMBER)), "", "senders per channel";
    }
    LIST_TOOLS_EXEC_APPLY_PATCH {
        "enabled": BOOL, "false", "apply_patch tool";
        "allowModels": List(&TEXT), "", "models allowed to use it";
    }
    LIST_TOOLS_EXEC {
        "host": Choice(&["sandbox", "gateway", "node"]), "sandbox", "where commands run";
        "security": Choice(&["deny", "allowlist", "full"]), "deny for sandbox host, allowlist for gateway/node", "policy";
        "ask": Choice(&["off", "on-miss", "always"]), "on-miss", "approval prompt";
        "node": TEXT, "", "default node";
        "pathPrepend": List(&TEXT), "[]", "directories put before PATH";
        "safeBins": List(&TEXT), "jq grep cut sort uniq head tail tr wc", "stdin-only binaries allowed without entry";
        "backgroundMs": POSITIVE, "10000 (10–120000)", "time before a run is backgrounded";
        "timeoutSec": POSITIVE, "1800", "kill time";
        "approvalRunningNoticeMs": NATURAL, "10000", "wait before a still-running notice (only settable per agent)";
        "cleanupMs": POSITIVE, "1800000 (1 min–3 h)", "keep finished jobs";
        "notifyOnExit": BOOL, "true", "system event when a background job ends";
        "applyPatch": Object(LIST_TOOLS_EXEC_APPLY_PATCH), "", "";
    }
    LIST_TOOLS_SANDBOX_TOOLS {
        "allow": List(&TEXT), "global", "sandbox tool policy";
        "alsoAllow": List(&TEXT), "", "additions";
        "deny": List(&TEXT), "global", "removals";
    }
    LIST_TOOLS_SANDBOX {
        "tools": Object(LIST_TOOLS_SANDBOX_TOOLS), "", "";
    }
    LIST_TOOLS {
        "profile": Literals(&["minimal", "coding", "messaging", "full"]), "global", "base tool set";
        "allow": List(&TEXT), "", "tool allowlist";
        "alsoAllow": List(&TEXT), "", "additions to the profile";
        "deny": List(&TEXT), "", "tool denylist";
        "byProvider": Map(&Object(LIST_TOOLS_BY_PROVIDER)), "", "Agent Tool Policy by Provider";
        "elevated": Object(LIST_TOOLS_ELEVATED), "", "";
        "exec": Object(LIST_TOOLS_EXEC), "global", "other exec keys as in tools.exec";
        "sandbox": Object(LIST_TOOLS_SANDBOX), "", "";
    }
    LIST {
        "id" required: TEXT, "", "agent id, normalised to [a-z0-9_-]{1,64}";
        "default": BOOL, "first entry", "default agent flag";
        "name": TEXT, "", "display name";
        "workspace": TEXT, "default agent: agents.defaults.workspace; others ~/.openclaw/workspace-<id>", "working directory";
        "agentDir": TEXT, "$STATE/agents/<id>/agent", "private directory, must be unique";
        "model": Union(&[TEXT, Object(DEFAULTS_MODEL)]), "defaults", "string or object";
        "skills": List(&TEXT), "all", "skill allowlist; empty = none";
        "memorySearch": Object(DEFAULTS_MEMORY_SEARCH), "", "semantic search over memory files";
        "humanDelay": Object(DEFAULTS_HUMAN_DELAY), "", "";
        "heartbeat": Object(DEFAULTS_HEARTBEAT), "", "";
        "identity": Object(LIST_IDENTITY), "", "";
        "groupChat": Object(LIST_GROUP_CHAT), "", "";
        "subagents": Object(LIST_SUBAGENTS), "", "";
        "sandbox": Object(DEFAULTS_SANDBOX), "", "";
        "tools": Object(LIST_TOOLS), "", "";
    }
    AGENTS {
        "defaults": Object(DEFAULTS), "", "";
        "list": List(&Object(LIST)), "", "";
    }
    BINDINGS_MATCH_PEER {
        "kind" required: Literals(&["dm", "group", "channel"]), "", "dm, group or channel";
        "id" required: TEXT, "", "peer id";
    }
    BINDINGS_MATCH {
        "channel" required: TEXT, "", "channel id";
        "accountId": TEXT, "default account only; * = any", "account";
        "peer": Object(BINDINGS_MATCH_PEER), "", "";
        "guildId": TEXT, "", "Discord guild";
        "teamId": TEXT, "", "Slack/Teams team";
    }
    BINDINGS {
        "agentId" required: TEXT, "", "target agent";
        "match" required: Object(BINDINGS_MATCH), "", "";
    }
    BROADCAST {
        "strategy": Choice(&["parallel", "sequential"]), "parallel", "run order";
    }
}
