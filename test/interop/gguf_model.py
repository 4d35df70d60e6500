"""Writes a Hugging Face folder as GGUF with gguf-py: the parts of llama.cpp's converter that the fixtures' architectures need.

The checks pass token ids, so the file has a vocabulary size but no tokenizer. `quantise` takes a tensor's name and values and
returns the type to store it in; float32 by default.
"""

import json
import math

import gguf
import numpy as np
from safetensors.numpy import load_file

ARCHITECTURES = {
    "llama": gguf.MODEL_ARCH.LLAMA,
    "mistral": gguf.MODEL_ARCH.LLAMA,
    "qwen2": gguf.MODEL_ARCH.QWEN2,
    "qwen3": gguf.MODEL_ARCH.QWEN3,
    "gemma3_text": gguf.MODEL_ARCH.GEMMA3,
    "gpt2": gguf.MODEL_ARCH.GPT2,
    "granite": gguf.MODEL_ARCH.GRANITE,
    "smollm3": gguf.MODEL_ARCH.SMOLLM3,
    "olmo2": gguf.MODEL_ARCH.OLMO2,
    "phi3": gguf.MODEL_ARCH.PHI3,
    "gemma2": gguf.MODEL_ARCH.GEMMA2,
}
# Architectures for which the converter reorders rows of q and k from rotary halves to pairs.
PERMUTED = {gguf.MODEL_ARCH.LLAMA, gguf.MODEL_ARCH.GRANITE, gguf.MODEL_ARCH.SMOLLM3}
F32 = gguf.GGMLQuantizationType.F32


def permuted(rows, heads):
    """Reorders rows from rotary halves of a head to pairs, as llama.cpp's converter does for Llama's q and k."""
    return rows.reshape(heads, 2, rows.shape[0] // heads // 2, *rows.shape[1:]).swapaxes(1, 2).reshape(rows.shape)


def llama3_factors(rope, head_dim):
    """Factors by which llama.cpp divides each rotary frequency."""
    low, high = (rope["original_max_position_embeddings"] / rope[f"{end}_freq_factor"] for end in ("low", "high"))
    for i in range(0, head_dim, 2):
        wavelength = 2 * math.pi * rope["rope_theta"] ** (i / head_dim)
        smooth = (low / wavelength - 1) / (low / high - 1)
        yield 1 if wavelength < high else rope["factor"] if wavelength > low else 1 / ((1 - smooth) / rope["factor"] + smooth)


def gpt2_names(config):
    theirs = {"n_embd": "hidden_size", "n_layer": "num_hidden_layers", "n_head": "num_attention_heads"}
    theirs |= {"n_inner": "intermediate_size", "n_positions": "max_position_embeddings"}
    return {theirs.get(key, key): value for key, value in config.items()}


def write_gguf(folder, path, quantise=lambda name, values: F32):
    config = json.loads((folder / "config.json").read_text())
    kind = config["model_type"]
    if kind == "gpt2":
        config = gpt2_names(config)
    arch = ARCHITECTURES[kind]
    heads = config["num_attention_heads"]
    kv_heads = config.get("num_key_value_heads") or heads
    head_dim = config.get("head_dim") or config["hidden_size"] // heads
    layers = config["num_hidden_layers"]

    writer = gguf.GGUFWriter(path, gguf.MODEL_ARCH_NAMES[arch])
    writer.add_block_count(layers)
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(heads)
    writer.add_vocab_size(config["vocab_size"])
    writer.add_tokenizer_model("none")
    if kind == "gpt2":
        writer.add_layer_norm_eps(config["layer_norm_epsilon"])
    else:
        writer.add_head_count_kv(kv_heads)
        writer.add_key_length(head_dim)
        writer.add_value_length(head_dim)
        turned = int(head_dim * (config.get("rope_parameters") or config).get("partial_rotary_factor", 1))
        writer.add_rope_dimension_count(turned)
        writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
        add_rope(writer, config, head_dim)
    if kind == "granite":
        writer.add_attention_scale(config["attention_multiplier"])
        writer.add_embedding_scale(config["embedding_multiplier"])
        writer.add_residual_scale(config["residual_multiplier"])
        writer.add_logit_scale(config["logits_scaling"])

    names = gguf.get_tensor_name_map(arch, layers)
    for name, values in sorted(load_file(folder / "model.safetensors").items()):
        if name.endswith((".attn.bias", ".attn.masked_bias")):
            continue
        values = values.astype(np.float32)
        part = next((part for part in ("q_proj", "k_proj") if part in name), None)
        if part and arch in PERMUTED:
            values = permuted(values, heads if part == "q_proj" else kv_heads)
        if kind in ("gemma2", "gemma3_text") and name.endswith("norm.weight"):
            values = values + 1
        if kind == "gpt2" and values.ndim == 2 and ".h." in name:
            values = values.T
        theirs = names.get_name(name, try_suffixes=(".weight", ".bias"))
        assert theirs, f"gguf-py has no name for {name}"
        stored = quantise(theirs, values)
        data = gguf.quants.quantize(np.ascontiguousarray(values), stored)
        writer.add_tensor(theirs, data, raw_dtype=stored)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def add_rope(writer, config, head_dim):
    rope = config.get("rope_parameters") or {"rope_theta": config.get("rope_theta", 1e4), **(config.get("rope_scaling") or {})}
    if config["model_type"] == "gemma3_text":
        near, far = rope["sliding_attention"], rope["full_attention"]
        writer.add_sliding_window(config["sliding_window"])
        writer.add_sliding_window_pattern([kind == "sliding_attention" for kind in config["layer_types"]])
        writer.add_float32(f"{writer.arch}.rope.freq_base_swa", near["rope_theta"])
        rope = far
    writer.add_rope_freq_base(rope["rope_theta"])
    kind = rope.get("rope_type", "default")
    if kind == "linear":
        writer.add_rope_scaling_type(gguf.RopeScalingType.LINEAR)
        writer.add_rope_scaling_factor(rope["factor"])
    if config["model_type"] == "gemma2":
        writer.add_sliding_window(config["sliding_window"])
        writer.add_attn_logit_softcapping(config["attn_logit_softcapping"])
        writer.add_final_logit_softcapping(config["final_logit_softcapping"])
    if config["model_type"] == "phi3":
        original = config["original_max_position_embeddings"]
        writer.add_rope_scaling_orig_ctx_len(original)
        writer.add_sliding_window(config["sliding_window"])
    if kind == "longrope":
        stretch = config["max_position_embeddings"] / original
        writer.add_rope_scaling_attn_factors(math.sqrt(1 + math.log(stretch) / math.log(original)))
        for context in ("long", "short"):
            factors = np.array(rope[f"{context}_factor"], np.float32)
            writer.add_tensor(f"rope_factors_{context}.weight", factors)
    if kind == "llama3":
        writer.add_tensor("rope_freqs.weight", np.array(list(llama3_factors(rope, head_dim)), np.float32))


def llama_logits(path, sequences, lora=None):
    """Logits (tokens, V) of llama.cpp in float32, with a float32 KV cache."""
    import llama_cpp

    longest = max(map(len, sequences))
    model = llama_cpp.Llama(
        str(path), lora_path=lora and str(lora), logits_all=True, n_ctx=longest, n_batch=longest, n_threads=1,
        type_k=llama_cpp.GGML_TYPE_F32, type_v=llama_cpp.GGML_TYPE_F32, flash_attn=False, verbose=False,
    )  # fmt: skip
    rows = []
    for ids in sequences:
        model.reset()
        model._ctx.kv_cache_clear()
        model.eval(ids)
        rows.append(np.array(model.scores[: len(ids)], np.float32))
    model.close()
    return np.concatenate(rows)
