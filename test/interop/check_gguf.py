"""Compares logits and tokens after webalign merged transformers models with PEFT adapters into GGUF: llama.cpp, transformers, webalign."""

import json
import shutil

import gguf
import torch
from peft import PeftModel
from tokenizers import Tokenizer
from transformers import AutoModelForCausalLM, AutoTokenizer

from gguf_model import ARCHITECTURES as MODELS
from gguf_model import F32, llama_logits, write_gguf
from interop import (
    ARCHITECTURES,
    agree,
    check,
    cli,
    fixture_model,
    in_turn,
    main,
    need,
    token_ids,
    webalign_logits,
    work,
)
from peft_made import load, logits_of

# llama.cpp has no sliding windows for these architectures, so the sequences fit into the smallest window.
SEQUENCES = token_ids(4, 5, 97)
# Bytes and merges: fewer tokens than the fixtures' models have embeddings.
TEXT = "ab ab  c123.<s> ab"
MERGES = ["a b", "Ġ ab", "Ġ Ġ", "1 2", "12 3"]
BLOCKS = ["Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q5_1"]
LETTERS = [*"abcdefghijklmnopqrstuvwxyz0123456789", "Ġ", ".", ","]
CUT = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}


def tokenizer(folder):
    tokens = ["<pad>", "<s>", "</s>", *LETTERS, *("".join(merge.split()) for merge in MERGES)]
    special = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    whole = {
        "version": "1.0", "truncation": None, "padding": None, "normalizer": None, "post_processor": None,
        "added_tokens": [{"id": i, "content": tokens[i], **special} for i in range(3)],
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [{"type": "Digits", "individual_digits": True}, CUT]},
        "decoder": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True},
        "model": {"type": "BPE", "vocab": {token: i for i, token in enumerate(tokens)}, "merges": MERGES},
    }
    (folder / "tokenizer.json").write_text(json.dumps(whole))
    names = {"bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>", "chat_template": "{{ messages }}"}
    (folder / "tokenizer_config.json").write_text(json.dumps(names))


def model_for_llama(name):
    """The fixture's model with a BPE tokenizer, and with the query scale that llama.cpp hard-codes for some architectures."""
    folder = work / f"{name}-for-llama"
    if not folder.exists():
        shutil.copytree(fixture_model(name), folder)
        tokenizer(folder)
        config = json.loads((folder / "config.json").read_text())
        if "query_pre_attn_scalar" in config:
            config["query_pre_attn_scalar"] = config["head_dim"]
        (folder / "config.json").write_text(json.dumps(config))
    return folder


def ids_of(name):
    return Tokenizer.from_file(str(model_for_llama(name) / "tokenizer.json")).encode(TEXT).ids


def unpacked(model, stored):
    """The model with its weights quantized and dequantized by gguf-py; each row is quantized separately."""
    names = gguf.get_tensor_name_map(MODELS[model.config.model_type], model.config.num_hidden_layers)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            kind = stored[names.get_name(name, try_suffixes=(".weight", ".bias"))]
            if kind == F32:
                continue
            rows = weight.T if model.config.model_type == "gpt2" and ".h." in name else weight
            values = gguf.quants.dequantize(gguf.quants.quantize(rows.contiguous().numpy(), kind), kind)
            rows.copy_(torch.from_numpy(values))
    return model


def exported(name):
    """The model merged with its adapter as GGUF, and its logits in transformers and PEFT."""
    model, out = model_for_llama(name), work / f"{name}-gguf"
    cli("export", "--format", "merged-gguf", "--model", model, "--adapter", model / "adapter", "--out", out, "--overwrite")
    merged = PeftModel.from_pretrained(load(model), model / "adapter").merge_and_unload().eval()
    return out / "model.gguf", logits_of(merged, SEQUENCES)


for name in in_turn(ARCHITECTURES, 4):

    @check(f"{name}: a GGUF file merged by webalign gives the same logits and tokens in llama.cpp")
    def _(name=name):
        need("llama_cpp")
        from llama_cpp import Llama

        file, expected = exported(name)
        there = Llama(str(file), vocab_only=True, verbose=False)
        assert there.tokenize(TEXT.encode(), special=True) == ids_of(name)
        found = llama_logits(file, SEQUENCES)
        # llama.cpp rounds weights and activations to float16.
        return agree(found, expected, 5e-3)

    @check(f"{name}: a folder exported from that GGUF file gives the same logits and tokens in transformers")
    def _(name=name):
        file, expected = exported(name)
        out, adapter = work / f"{name}-from-gguf", model_for_llama(name) / "adapter"
        cli("export", "--format", "merged", "--model", file, "--adapter", adapter, "--q", 0, "--out", out)
        assert AutoTokenizer.from_pretrained(out)(TEXT).input_ids == ids_of(name)
        # Weights are rounded to float16.
        return agree(logits_of(load(out), SEQUENCES), expected, 2e-3)

    @check(f"{name}: webalign gives the logits of the values in float32 and quantized files of gguf-py")
    def _(name=name):
        folder = model_for_llama(name)
        figures = []
        for kinds in [[F32], [gguf.GGMLQuantizationType[kind] for kind in BLOCKS]]:
            file, stored = work / f"{name}-{len(kinds)}.gguf", {}

            def quantise(theirs, values, kinds=kinds, stored=stored):
                blocks = values.ndim == 2 and values.shape[-1] % 32 == 0
                stored[theirs] = kinds[len(stored) % len(kinds)] if blocks else F32
                return stored[theirs]

            write_gguf(folder, file, quantise)
            expected = logits_of(unpacked(load(folder), stored), SEQUENCES)
            [ours] = webalign_logits({"model": file, "sequences": SEQUENCES})
            figures.append(agree(ours, expected, 1e-5))
        return "; ".join(figures)


main(__name__)
