//! What a newcomer can choose from: the providers that a key opens, under the names that people,
//! command lines and the original know them by, and the model that is then the default.

use super::catalogue;
use serde_json::{Value, json};

pub struct Offer {
    /// As `--auth-choice` and scripts say it.
    pub choice: &'static str,
    pub provider: &'static str,
    /// As people say it.
    pub name: &'static str,
    /// The flag that carries the key; `None` where the original has none.
    pub flag: Option<&'static str>,
    /// The variables it is looked for in, as a complaint names them.
    pub variables: &'static str,
    /// Becomes the default model; without the provider.
    pub model: &'static str,
    /// What that model can also be called; empty: nothing.
    pub alias: &'static str,
    /// It is the default model also where another is set already, as in the original.
    pub takes_over: bool,
    /// Reached at another address than the provider usually is.
    pub base_url: Option<&'static str>,
}

const fn offer(
    choice: &'static str,
    provider: &'static str,
    name: &'static str,
    flag: &'static str,
    variables: &'static str,
    model: &'static str,
    alias: &'static str,
) -> Offer {
    Offer {
        choice,
        provider,
        name,
        flag: Some(flag),
        variables,
        model,
        alias,
        takes_over: true,
        base_url: None,
    }
}

impl Offer {
    /// The model is only a proposal.
    const fn modest(mut self) -> Offer {
        self.takes_over = false;
        self
    }

    const fn without_flag(mut self) -> Offer {
        self.flag = None;
        self.modest()
    }

    const fn at(mut self, base_url: &'static str) -> Offer {
        self.base_url = Some(base_url);
        self
    }

    /// `provider/model`.
    pub fn model_ref(&self) -> String {
        format!("{}/{}", self.provider, self.model)
    }

    /// The provider's entry below `models.providers` where it is at `base_url`.
    pub fn entry(&self, base_url: &str) -> Value {
        let known = catalogue::provider(self.provider);
        let api = known.map_or("openai-completions", |provider| provider.api);
        let model = known.and_then(|provider| provider.model(self.model));
        let model = match model {
            Some(model) => json!({
                "id": model.id,
                "name": model.name,
                "reasoning": model.reasoning,
                "input": if model.images { vec!["text", "image"] } else { vec!["text"] },
                "contextWindow": model.context_window,
                "maxTokens": model.max_tokens,
            }),
            None => json!({"id": self.model, "name": self.model}),
        };
        json!({"baseUrl": base_url, "api": api, "models": [model]})
    }
}

pub const CLOUDFLARE: &str = "cloudflare-ai-gateway-api-key";

/// In the order they are offered.
pub const OFFERS: &[Offer] = &[
    offer(
        "openai-api-key",
        "openai",
        "OpenAI",
        "openai-api-key",
        "OPENAI_API_KEY",
        "gpt-5.2",
        "",
    )
    .modest(),
    offer(
        "apiKey",
        "anthropic",
        "Anthropic",
        "anthropic-api-key",
        "ANTHROPIC_API_KEY",
        "claude-opus-4-5",
        "",
    )
    .modest(),
    offer(
        "minimax-api",
        "minimax",
        "MiniMax",
        "minimax-api-key",
        "MINIMAX_API_KEY",
        "MiniMax-M2.1",
        "Minimax",
    ),
    offer(
        "minimax-api-lightning",
        "minimax",
        "MiniMax (lightning)",
        "minimax-api-key",
        "MINIMAX_API_KEY",
        "MiniMax-M2.1-lightning",
        "Minimax",
    )
    .at("https://api.minimax.io/anthropic"),
    offer(
        "moonshot-api-key",
        "moonshot",
        "Moonshot AI",
        "moonshot-api-key",
        "MOONSHOT_API_KEY",
        "kimi-k2.5",
        "Kimi",
    ),
    offer(
        "moonshot-api-key-cn",
        "moonshot",
        "Moonshot AI (China)",
        "moonshot-api-key",
        "MOONSHOT_API_KEY",
        "kimi-k2.5",
        "Kimi",
    )
    .at("https://api.moonshot.cn/v1"),
    offer(
        "kimi-code-api-key",
        "kimi-coding",
        "Kimi Code",
        "kimi-code-api-key",
        "KIMI_API_KEY",
        "k2p5",
        "Kimi K2.5",
    ),
    offer(
        "gemini-api-key",
        "google",
        "Google",
        "gemini-api-key",
        "GEMINI_API_KEY",
        "gemini-3-pro-preview",
        "",
    ),
    offer(
        "openrouter-api-key",
        "openrouter",
        "OpenRouter",
        "openrouter-api-key",
        "OPENROUTER_API_KEY",
        "openrouter/auto",
        "OpenRouter",
    ),
    offer(
        "zai-api-key",
        "zai",
        "Z.AI",
        "zai-api-key",
        "ZAI_API_KEY",
        "glm-4.7",
        "GLM",
    ),
    offer(
        "ai-gateway-api-key",
        "vercel-ai-gateway",
        "Vercel AI Gateway",
        "ai-gateway-api-key",
        "AI_GATEWAY_API_KEY",
        "anthropic/claude-opus-4.5",
        "Vercel AI Gateway",
    ),
    offer(
        "opencode-zen",
        "opencode",
        "OpenCode Zen",
        "opencode-zen-api-key",
        "OPENCODE_API_KEY (or OPENCODE_ZEN_API_KEY)",
        "claude-opus-4-5",
        "Opus",
    ),
    offer(
        "xiaomi-api-key",
        "xiaomi",
        "Xiaomi",
        "xiaomi-api-key",
        "XIAOMI_API_KEY",
        "mimo-v2-flash",
        "Xiaomi",
    ),
    offer(
        "synthetic-api-key",
        "synthetic",
        "Synthetic",
        "synthetic-api-key",
        "SYNTHETIC_API_KEY",
        "hf:MiniMaxAI/MiniMax-M2.1",
        "MiniMax M2.1",
    ),
    offer(
        "venice-api-key",
        "venice",
        "Venice",
        "venice-api-key",
        "VENICE_API_KEY",
        "llama-3.3-70b",
        "Llama 3.3 70B",
    ),
    offer(
        CLOUDFLARE,
        "cloudflare-ai-gateway",
        "Cloudflare AI Gateway",
        "cloudflare-ai-gateway-api-key",
        "CLOUDFLARE_AI_GATEWAY_API_KEY",
        "claude-sonnet-4-5",
        "Cloudflare AI Gateway",
    ),
    offer(
        "groq-api-key",
        "groq",
        "Groq",
        "",
        "GROQ_API_KEY",
        "llama-3.3-70b-versatile",
        "",
    )
    .without_flag(),
    offer(
        "mistral-api-key",
        "mistral",
        "Mistral",
        "",
        "MISTRAL_API_KEY",
        "mistral-medium-latest",
        "",
    )
    .without_flag(),
    offer(
        "xai-api-key",
        "xai",
        "xAI",
        "",
        "XAI_API_KEY",
        "grok-4-fast",
        "",
    )
    .without_flag(),
];

pub fn find(choice: &str) -> Option<&'static Offer> {
    OFFERS.iter().find(|offer| offer.choice == choice)
}

/// The first offer of each provider that needs a key and nothing else: what is asked of people.
pub fn by_key() -> impl Iterator<Item = &'static Offer> {
    let first = |at: usize| {
        let id = OFFERS[at].provider;
        OFFERS.iter().position(|offer| offer.provider == id) == Some(at)
    };
    let simple = move |at: &usize| first(*at) && OFFERS[*at].choice != CLOUDFLARE;
    (0..OFFERS.len()).filter(simple).map(|at| &OFFERS[at])
}

pub fn of_provider(id: &str) -> Option<&'static Offer> {
    OFFERS.iter().find(|offer| offer.provider == id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_offer_is_a_provider_that_is_known_here() {
        let mut choices: Vec<&str> = OFFERS.iter().map(|offer| offer.choice).collect();
        choices.sort_unstable();
        choices.dedup();
        assert_eq!(choices.len(), OFFERS.len());
        for offer in OFFERS {
            let known = catalogue::provider(offer.provider);
            let known = known.unwrap_or_else(|| panic!("{}", offer.provider));
            let first = offer.variables.split(' ').next().unwrap();
            assert!(known.env().any(|name| name == first), "{}", offer.choice);
            assert!(offer.flag != Some(""));
        }
    }

    #[test]
    fn an_entry_at_another_address_has_what_is_known_of_its_model() {
        let entry = find("moonshot-api-key-cn").unwrap().entry("https://x/v1");
        assert_eq!(entry["api"], "openai-completions");
        assert_eq!(entry["models"][0]["contextWindow"], 256_000);
        assert_eq!(by_key().filter(|o| o.provider == "moonshot").count(), 1);
    }
}
