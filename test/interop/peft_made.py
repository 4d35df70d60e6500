"""Helpers for the adapter checks: models in transformers, and adapters made and saved by PEFT."""

import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM


def load(folder):
    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()


def logits_of(model, sequences):
    """Logits (tokens, V); the tokens of all sequences are concatenated."""
    with torch.no_grad():
        return torch.cat([model(torch.tensor([ids])).logits[0] for ids in sequences]).numpy()


def peft_made(base, seed=11, **settings):
    """An adapter made by PEFT, with random nonzero A and B."""
    adapted = get_peft_model(base, LoraConfig(task_type="CAUSAL_LM", lora_dropout=0.0, **settings))
    numbers = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for key, parameter in sorted(adapted.named_parameters()):
            if "lora_" in key:
                scale = parameter.shape[1] ** -0.5 if "lora_A" in key else 0.3
                parameter.copy_(torch.randn(parameter.shape, generator=numbers) * scale)
    return adapted.eval()


LLAMA = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
MADE = {
    "a list of modules": ("tiny-llama", {"r": 4, "lora_alpha": 8, "target_modules": ["q_proj", "down_proj"]}),
    "rsLoRA": ("tiny-llama", {"r": 8, "lora_alpha": 4, "use_rslora": True, "target_modules": LLAMA}),
    "a regular expression": ("tiny-llama", {"r": 4, "target_modules": r".*layers\.[12]\..*(q|up)_proj"}),
    "layers_to_transform": ("qwen3", {"r": 4, "target_modules": ["v_proj"], "layers_to_transform": [1]}),
    "all-linear": ("gemma3", {"r": 3, "lora_alpha": 5, "target_modules": "all-linear"}),
    "ranks and alphas by pattern": (
        "tiny-llama",
        {
            "r": 4, "lora_alpha": 8, "target_modules": LLAMA,
            "rank_pattern": {r".*\.0\.self_attn\.q_proj": 2, "down_proj": 6},
            "alpha_pattern": {"up_proj": 3, "layers.1.mlp.down_proj": 20},
        },
    ),
    "patterns with rsLoRA": (
        "qwen2",
        {"r": 4, "use_rslora": True, "target_modules": LLAMA, "rank_pattern": {"v_proj": 9}, "alpha_pattern": {"v_proj": 5}},
    ),
    "fan_in_fan_out": ("gpt2", {"r": 4, "target_modules": ["c_attn", "c_fc", "c_proj"], "fan_in_fan_out": True}),
}
