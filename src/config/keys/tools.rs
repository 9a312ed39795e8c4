//! `tools`: what agents may use.

use super::kind::Kind::{Choice, List, Literals, Map, Object};
use super::kind::{ANY, BOOL, NATURAL, NON_EMPTY, POSITIVE, SCALAR, TEXT, keys, num_from};

keys! {
    WEB_SEARCH_PERPLEXITY {
        "apiKey": TEXT, "env PERPLEXITY_API_KEY / OPENROUTER_API_KEY", "key";
        "baseUrl": TEXT, "chosen by key; fallback https://openrouter.ai/api/v1", "endpoint";
        "model": TEXT, "perplexity/sonar-pro", "model";
    }
    WEB_SEARCH_BRAVE {
        "baseUrl": TEXT, "https://api.search.brave.com", "another place that speaks Brave's interface";
    }
    WEB_SEARCH_SEARXNG {
        "baseUrl": TEXT, "env SEARXNG_BASE_URL", "the SearXNG to ask; its json format must be allowed";
        "language": TEXT, "the server's", "language of the results";
        "categories": TEXT, "the server's", "comma-separated categories";
        "engines": TEXT, "the server's", "comma-separated engines";
    }
    WEB_SEARCH {
        "enabled": BOOL, "true when a key exists", "web_search tool";
        "provider": Literals(&["brave", "perplexity", "searxng"]), "brave", "search backend; searxng is ours";
        "apiKey": TEXT, "env BRAVE_API_KEY", "key";
        "maxResults": POSITIVE, "5 (1–10)", "hits";
        "timeoutSeconds": POSITIVE, "30", "limit";
        "cacheTtlMinutes": num_from(0.0), "15", "cache";
        "perplexity": Object(WEB_SEARCH_PERPLEXITY), "", "";
        "brave" ours: Object(WEB_SEARCH_BRAVE), "", "";
        "searxng" ours: Object(WEB_SEARCH_SEARXNG), "", "";
    }
    WEB_FETCH {
        "enabled": BOOL, "true", "web_fetch tool";
        "maxChars": POSITIVE, "50000", "text kept";
        "maxCharsCap": POSITIVE, "50000", "hard ceiling for the argument";
        "timeoutSeconds": POSITIVE, "30", "limit";
        "cacheTtlMinutes": num_from(0.0), "15", "cache";
        "maxRedirects": NATURAL, "3", "redirects";
        "userAgent": TEXT, "a desktop browser string", "User-Agent";
        "allowHosts" ours: List(&NON_EMPTY), "", "hosts, or host:port, that may be fetched although they are private";
        "readability" ours: BOOL, "true", "keep the main text of a page only";
        "firecrawl" ours: Map(&ANY), "", "settings of the Firecrawl service";
    }
    WEB {
        "search": Object(WEB_SEARCH), "", "";
        "fetch": Object(WEB_FETCH), "", "";
    }
    MEDIA_MODELS_DEEPGRAM {
        "detectLanguage": BOOL, "", "let Deepgram detect the language";
        "punctuate": BOOL, "", "let Deepgram punctuate";
        "smartFormat": BOOL, "", "let Deepgram format numbers and dates";
    }
    MEDIA_MODELS {
        "provider": TEXT, "", "provider id (for type provider)";
        "model": TEXT, "", "model id";
        "capabilities": List(&Literals(&["image", "audio", "video"])), "", "which of image, audio, video this entry serves";
        "type": Literals(&["provider", "cli"]), "", "a provider call or a command";
        "command": TEXT, "", "executable (for type cli)";
        "args": List(&TEXT), "", "its arguments, {{placeholders}} filled in";
        "prompt": TEXT, "", "instruction sent along";
        "maxChars": POSITIVE, "", "cut the result here";
        "maxBytes": POSITIVE, "", "skip larger files";
        "timeoutSeconds": POSITIVE, "", "limit for one item";
        "language": TEXT, "", "spoken language hint";
        "providerOptions": Map(&Map(&SCALAR)), "", "extra query fields per provider";
        "deepgram": Object(MEDIA_MODELS_DEEPGRAM), "", "";
        "baseUrl": TEXT, "", "endpoint instead of the usual one";
        "headers": Map(&TEXT), "", "extra request headers";
        "profile": TEXT, "", "auth profile to use";
        "preferredProfile": TEXT, "", "auth profile to try first";
    }
    MEDIA_IMAGE_SCOPE_RULES_MATCH {
        "channel": TEXT, "", "channel id";
        "chatType": Literals(&["direct", "group", "channel"]), "", "direct, group, channel";
        "keyPrefix": TEXT, "", "session key prefix";
    }
    MEDIA_IMAGE_SCOPE_RULES {
        "action" required: Literals(&["allow", "deny"]), "", "allow/deny";
        "match": Object(MEDIA_IMAGE_SCOPE_RULES_MATCH), "", "";
    }
    MEDIA_IMAGE_SCOPE {
        "default": Literals(&["allow", "deny"]), "allow", "when no rule matches";
        "rules": List(&Object(MEDIA_IMAGE_SCOPE_RULES)), "", "";
    }
    MEDIA_IMAGE_ATTACHMENTS {
        "mode": Literals(&["first", "all"]), "first", "first or all";
        "maxAttachments": POSITIVE, "1", "cap";
        "prefer": Literals(&["first", "last", "path", "url"]), "", "first, last, path or url";
    }
    MEDIA_IMAGE {
        "enabled": BOOL, "auto", "describe images (also audio, video with the same keys)";
        "scope": Object(MEDIA_IMAGE_SCOPE), "", "Image Understanding Scope";
        "maxBytes": POSITIVE, "image 10 MiB, audio 20 MiB, video 50 MiB", "size cap";
        "maxChars": POSITIVE, "500 (audio unlimited)", "output cap";
        "prompt": TEXT, "built in", "instruction";
        "timeoutSeconds": POSITIVE, "60 (video 120)", "limit";
        "language": TEXT, "", "spoken language hint";
        "providerOptions": Map(&Map(&SCALAR)), "", "extra query fields per provider";
        "deepgram": Object(MEDIA_MODELS_DEEPGRAM), "", "";
        "baseUrl": TEXT, "provider's", "endpoint instead of the usual one";
        "headers": Map(&TEXT), "", "extra request headers";
        "attachments": Object(MEDIA_IMAGE_ATTACHMENTS), "", "Image Understanding Attachment Policy";
        "models": List(&Object(MEDIA_MODELS)), "", "Image Understanding Models";
    }
    MEDIA_AUDIO {
        "enabled": BOOL, "", "Enable Audio Understanding";
        "scope": Object(MEDIA_IMAGE_SCOPE), "", "Audio Understanding Scope";
        "maxBytes": POSITIVE, "", "Audio Understanding Max Bytes";
        "maxChars": POSITIVE, "", "Audio Understanding Max Chars";
        "prompt": TEXT, "", "Audio Understanding Prompt";
        "timeoutSeconds": POSITIVE, "", "Audio Understanding Timeout (sec)";
        "language": TEXT, "", "spoken language hint";
        "providerOptions": Map(&Map(&SCALAR)), "", "extra query fields per provider";
        "deepgram": Object(MEDIA_MODELS_DEEPGRAM), "", "";
        "baseUrl": TEXT, "", "endpoint instead of the usual one";
        "headers": Map(&TEXT), "", "extra request headers";
        "attachments": Object(MEDIA_IMAGE_ATTACHMENTS), "", "Audio Understanding Attachment Policy";
        "models": List(&Object(MEDIA_MODELS)), "", "Audio Understanding Models";
    }
    MEDIA_VIDEO {
        "enabled": BOOL, "", "Enable Video Understanding";
        "scope": Object(MEDIA_IMAGE_SCOPE), "", "Video Understanding Scope";
        "maxBytes": POSITIVE, "", "Video Understanding Max Bytes";
        "maxChars": POSITIVE, "", "Video Understanding Max Chars";
        "prompt": TEXT, "", "Video Understanding Prompt";
        "timeoutSeconds": POSITIVE, "", "Video Understanding Timeout (sec)";
        "language": TEXT, "", "spoken language hint";
        "providerOptions": Map(&Map(&SCALAR)), "", "extra query fields per provider";
        "deepgram": Object(MEDIA_MODELS_DEEPGRAM), "", "";
        "baseUrl": TEXT, "", "endpoint instead of the usual one";
        "headers": Map(&TEXT), "", "extra request headers";
        "attachments": Object(MEDIA_IMAGE_ATTACHMENTS), "", "Video Understanding Attachment Policy";
        "models": List(&Object(MEDIA_MODELS)), "", "Video Understanding Models";
    }
    MEDIA {
        "models": List(&Object(MEDIA_MODELS)), "", "Media Understanding Shared Models";
        "concurrency": POSITIVE, "2", "parallel attachments";
        "image": Object(MEDIA_IMAGE), "", "";
        "audio": Object(MEDIA_AUDIO), "", "";
        "video": Object(MEDIA_VIDEO), "", "";
    }
    LINKS_MODELS {
        "type": Literals(&["cli"]), "cli", "only CLI";
        "command" required: NON_EMPTY, "", "binary";
        "args": List(&TEXT), "", "argv template";
        "timeoutSeconds": POSITIVE, "", "override";
    }
    LINKS {
        "enabled": BOOL, "true (needs models)", "run CLI on links in messages";
        "scope": Object(MEDIA_IMAGE_SCOPE), "", "Link Understanding Scope";
        "maxLinks": POSITIVE, "3", "links per message";
        "timeoutSeconds": POSITIVE, "30", "limit";
        "models": List(&Object(LINKS_MODELS)), "", "Link Understanding Models";
    }
    MESSAGE_CROSS_CONTEXT_MARKER {
        "enabled": BOOL, "true", "mark forwarded messages";
        "prefix": TEXT, "built in", "marker start, {channel}";
        "suffix": TEXT, "", "marker end";
    }
    MESSAGE_CROSS_CONTEXT {
        "allowWithinProvider": BOOL, "true", "other chats, same channel";
        "allowAcrossProviders": BOOL, "false", "other channels";
        "marker": Object(MESSAGE_CROSS_CONTEXT_MARKER), "", "";
    }
    MESSAGE_BROADCAST {
        "enabled": BOOL, "true", "broadcast action";
    }
    MESSAGE {
        "allowCrossContextSend": BOOL, "false", "legacy: allow sending anywhere";
        "crossContext": Object(MESSAGE_CROSS_CONTEXT), "", "";
        "broadcast": Object(MESSAGE_BROADCAST), "", "";
    }
    AGENT_TO_AGENT {
        "enabled": BOOL, "false", "agents may message each other";
        "allow": List(&TEXT), "any when enabled and empty", "agent id patterns";
    }
    EXEC {
        "host": Choice(&["sandbox", "gateway", "node"]), "sandbox", "where commands run";
        "security": Choice(&["deny", "allowlist", "full"]), "deny for sandbox host, allowlist for gateway/node", "policy";
        "ask": Choice(&["off", "on-miss", "always"]), "on-miss", "approval prompt";
        "node": TEXT, "", "default node";
        "pathPrepend": List(&TEXT), "[]", "directories put before PATH";
        "safeBins": List(&TEXT), "jq grep cut sort uniq head tail tr wc", "stdin-only binaries allowed without entry";
        "backgroundMs": POSITIVE, "10000 (10–120000)", "time before a run is backgrounded";
        "timeoutSec": POSITIVE, "1800", "kill time";
        "cleanupMs": POSITIVE, "1800000 (1 min–3 h)", "keep finished jobs";
        "notifyOnExit": BOOL, "true", "system event when a background job ends";
        "applyPatch": Object(super::agents::LIST_TOOLS_EXEC_APPLY_PATCH), "", "";
    }
    SUBAGENTS {
        "tools": Object(super::agents::LIST_TOOLS_SANDBOX_TOOLS), "", "";
    }
    SANDBOX {
        "tools": Object(super::agents::LIST_TOOLS_SANDBOX_TOOLS), "", "";
    }
    TOOLS {
        "profile": Literals(&["minimal", "coding", "messaging", "full"]), "full", "base tool set: minimal, coding, messaging, full";
        "allow": List(&TEXT), "", "global allowlist (names, group:x, *)";
        "alsoAllow": List(&TEXT), "", "additions to the profile (not together with allow)";
        "deny": List(&TEXT), "", "global denylist, always wins";
        "byProvider": Map(&Object(super::agents::LIST_TOOLS_BY_PROVIDER)), "", "Tool Policy by Provider";
        "web": Object(WEB), "", "";
        "media": Object(MEDIA), "", "";
        "links": Object(LINKS), "", "";
        "message": Object(MESSAGE), "", "";
        "agentToAgent": Object(AGENT_TO_AGENT), "", "";
        "elevated": Object(super::agents::LIST_TOOLS_ELEVATED), "", "";
        "exec": Object(EXEC), "", "";
        "subagents": Object(SUBAGENTS), "", "";
        "sandbox": Object(SANDBOX), "", "";
    }
}
