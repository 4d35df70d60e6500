"""Compares fifty DPO steps with TRL's trainer, from the same adapter and token ids, on two layers of SmolLM2-135M.

The weights are those of the published four-bit model if `fetch_smollm2.py` has fetched it, and otherwise random with a fixed seed.
"""

import contextlib
import io
import json
import tempfile

import numpy as np
import torch
from datasets import Dataset
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import AutoModelForCausalLM, LlamaConfig
from trl import DPOConfig, DPOTrainer

from interop import HERE, check, main, node, work

PUBLISHED = HERE / ".cache/smollm2-135m-instruct-q4_1.gguf"
LAYERS = 2
STEPS = 50
SMOLLM2 = {
    "vocab_size": 49152,
    "hidden_size": 576,
    "intermediate_size": 1536,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": 9,
    "num_key_value_heads": 3,
    "max_position_embeddings": 64,
    "rms_norm_eps": 1e-5,
    "tie_word_embeddings": True,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": 2,
}
SETTINGS = {
    "beta": 0.1,
    "per_device_train_batch_size": 2,
    "learning_rate": 5e-4,
    "lr_scheduler_type": "linear",
    "warmup_steps": 5,
    "max_steps": STEPS,
    "max_grad_norm": 1.0,
    "max_length": 64,
    "seed": 42,
}
PARTS = {
    "attn_norm": "input_layernorm",
    "ffn_norm": "post_attention_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}


def halves(rows, heads):
    """Reorders the rows of a head from llama.cpp's rotary pairs back to halves."""
    return rows.reshape(heads, rows.shape[0] // heads // 2, 2, -1).swapaxes(1, 2).reshape(rows.shape)


def published_weights(path):
    import gguf

    wanted = {"token_embd.weight": "model.embed_tokens.weight", "output_norm.weight": "model.norm.weight"}
    for i in range(LAYERS):
        wanted |= {f"blk.{i}.{theirs}.weight": f"model.layers.{i}.{ours}.weight" for theirs, ours in PARTS.items()}
    weights = {}
    for tensor in gguf.GGUFReader(path).tensors:
        if tensor.name not in wanted:
            continue
        values = gguf.quants.dequantize(tensor.data, tensor.tensor_type).astype(np.float32)
        heads = {"attn_q": 9, "attn_k": 3}.get(tensor.name.split(".")[-2])
        weights[wanted[tensor.name]] = torch.from_numpy(np.ascontiguousarray(halves(values, heads) if heads else values))
    assert len(weights) == len(wanted), "the file does not contain all weights"
    return weights


def cut():
    """The folder of the model, and the source of its weights."""
    folder = work / "smollm2-cut"
    config = LlamaConfig(**SMOLLM2, rope_parameters={"rope_type": "default", "rope_theta": 100000.0})
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(config)
    if PUBLISHED.exists():
        missing, unexpected = model.load_state_dict(published_weights(PUBLISHED), strict=False)
        assert not unexpected and set(missing) <= {"lm_head.weight"}, (missing, unexpected)
    model.save_pretrained(folder)
    return folder, "the published weights" if PUBLISHED.exists() else "random weights"


def preference_ids(count):
    """Random prompts; most tokens of chosen completions are in the lower half of the vocabulary, of rejected ones in the upper half."""
    numbers = np.random.default_rng(7)
    middle = SMOLLM2["vocab_size"] // 2

    def draw(least, most, low, high):
        length = numbers.integers(least, most)
        return [int(numbers.integers(*((low, high) if numbers.random() < 0.75 else (3, 2 * middle)))) for _ in range(length)]

    return [
        {
            "prompt_ids": [1, *draw(4, 14, 3, 2 * middle)],
            "chosen_ids": draw(5, 14, 3, middle),
            "rejected_ids": draw(5, 14, middle, 2 * middle),
        }
        for _ in range(count)
    ]


def trl_losses(model, start, rows):
    base = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32, attn_implementation="eager")
    from fixture_trl import word_tokenizer

    with tempfile.TemporaryDirectory() as out:
        trainer = DPOTrainer(
            model=PeftModel.from_pretrained(base, start, is_trainable=True),
            args=DPOConfig(
                output_dir=out, use_cpu=True, bf16=False, gradient_checkpointing=False, optim="adamw_torch",
                train_sampling_strategy="sequential", logging_steps=1, save_strategy="no", report_to="none",
                disable_tqdm=True, dataloader_pin_memory=False, **SETTINGS,
            ),  # fmt: skip
            train_dataset=Dataset.from_list([{"prompt": "w3", "chosen": " w4", "rejected": " w5"}]),
            processing_class=word_tokenizer(100),
        )
        trainer.train_dataset = Dataset.from_list(rows)
        with contextlib.redirect_stdout(io.StringIO()):
            trainer.train()
    return [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]


@check("SmolLM2-135M's first two layers: the loss of each of 50 DPO steps is that of TRL's DPOTrainer", slow=True)
def _():
    model, weights = cut()
    start = work / "smollm2-start"
    base = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32)
    get_peft_model(base, LoraConfig(r=8, lora_alpha=16, target_modules="all-linear", task_type="CAUSAL_LM")).save_pretrained(start)
    rows = preference_ids(2 * STEPS)
    theirs = trl_losses(model, start, rows)
    job = {"model": str(model), "start": str(start), "rows": rows, "settings": SETTINGS}
    (work / "dpo.json").write_text(json.dumps(job))
    ours = json.loads(node(HERE / "dpo.mjs", work / "dpo.json"))
    assert len(ours) == len(theirs) == STEPS, (len(ours), len(theirs))
    apart = np.abs(np.subtract(ours, theirs))
    assert apart.max() <= 1e-4, f"the losses of step {apart.argmax() + 1} differ by {apart.max():.2e}"
    return f"{weights}, loss {theirs[0]:.4f} to {theirs[-1]:.4f}, difference at most {apart.max():.1e}, {apart.mean():.1e} on average"


main(__name__)
