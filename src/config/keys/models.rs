//! `auth` and `models`: credentials and model providers.

use super::kind::Kind::{List, Literals, Map, Object};
use super::kind::{ABOVE_ZERO, BOOL, NATURAL, NON_EMPTY, NUMBER, POSITIVE, TEXT, keys};

keys! {
    AUTH_PROFILES {
        "provider" required: TEXT, "", "provider id of the profile (secret itself lives in auth-profiles.json)";
        "mode" required: Literals(&["api_key", "oauth", "token"]), "", "credential kind";
        "email": TEXT, "", "account hint";
    }
    AUTH_COOLDOWNS {
        "billingBackoffHours": ABOVE_ZERO, "5", "first disable time after a billing error";
        "billingBackoffHoursByProvider": Map(&ABOVE_ZERO), "", "billing backoff, per provider";
        "billingMaxHours": ABOVE_ZERO, "24", "cap of that backoff";
        "failureWindowHours": ABOVE_ZERO, "24", "error counters reset after this quiet time";
    }
    AUTH {
        "profiles": Map(&Object(AUTH_PROFILES)), "", "known auth profiles (no secrets here)";
        "order": Map(&List(&TEXT)), "", "profile ids to try, per provider";
        "cooldowns": Object(AUTH_COOLDOWNS), "", "";
    }
    PROVIDERS_MODELS_COST {
        "input": NUMBER, "0 (written back)", "USD per million input tokens";
        "output": NUMBER, "0 (written back)", "output price";
        "cacheRead": NUMBER, "0 (written back)", "cache read price";
        "cacheWrite": NUMBER, "0 (written back)", "cache write price";
    }
    PROVIDERS_MODELS_COMPAT {
        "supportsStore": BOOL, "auto", "send store";
        "supportsDeveloperRole": BOOL, "auto", "use developer role";
        "supportsReasoningEffort": BOOL, "auto", "send reasoning_effort";
        "maxTokensField": Literals(&["max_completion_tokens", "max_tokens"]), "auto", "name of the token limit field";
    }
    PROVIDERS_MODELS {
        "id" required: NON_EMPTY, "", "model id";
        "name" required: NON_EMPTY, "", "display name";
        "api": Literals(&["openai-completions", "openai-responses", "anthropic-messages", "google-generative-ai", "github-copilot", "bedrock-converse-stream"]), "provider's", "wire protocol override";
        "reasoning": BOOL, "false (written back)", "supports thinking";
        "input": List(&Literals(&["text", "image"])), "[\"text\"] (written back)", "accepted input kinds";
        "cost": Object(PROVIDERS_MODELS_COST), "", "";
        "contextWindow": ABOVE_ZERO, "200000 (written back)", "context size";
        "maxTokens": ABOVE_ZERO, "min(8192, contextWindow) (written back)", "output cap";
        "headers": Map(&TEXT), "", "extra headers";
        "compat": Object(PROVIDERS_MODELS_COMPAT), "", "";
    }
    PROVIDERS {
        "baseUrl" required: NON_EMPTY, "", "endpoint root";
        "apiKey": TEXT, "", "literal key or env var name";
        "auth": Literals(&["api-key", "aws-sdk", "oauth", "token"]), "api-key", "how to authenticate";
        "api": Literals(&["openai-completions", "openai-responses", "anthropic-messages", "google-generative-ai", "github-copilot", "bedrock-converse-stream"]), "none: provider or model must set it, else the whole custom catalogue fails to load (a bare provider reference falls back to openai-responses)", "wire protocol";
        "headers": Map(&TEXT), "", "extra headers";
        "authHeader": BOOL, "false", "also send Bearer header";
        "models" required: List(&Object(PROVIDERS_MODELS)), "", "";
    }
    BEDROCK_DISCOVERY {
        "enabled": BOOL, "false (auto when AWS credentials exist)", "list Bedrock models";
        "region": TEXT, "AWS_REGION / AWS_DEFAULT_REGION / us-east-1", "region";
        "providerFilter": List(&TEXT), "[]", "keep only these vendors";
        "refreshInterval": NATURAL, "3600 s", "cache time";
        "defaultContextWindow": POSITIVE, "32000", "assumed context";
        "defaultMaxTokens": POSITIVE, "4096", "assumed output cap";
    }
    MODELS {
        "mode": Literals(&["merge", "replace"]), "merge", "merge with or replace the provider set kept in models.json";
        "providers": Map(&Object(PROVIDERS)), "", "";
        "bedrockDiscovery": Object(BEDROCK_DISCOVERY), "", "";
    }
}
