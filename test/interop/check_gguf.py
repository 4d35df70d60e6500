"""Models of transformers with adapters of PEFT, merged here into GGUF, in llama.cpp: the same logits, the same tokens."""

import json
import shutil

import numpy as np
import torch
from peft import PeftModel
from tokenizers import Tokenizer
from transformers import AutoModelForCausalLM, AutoTokenizer

from interop import ARCHITECTURES, agree, check, cli, fixture_model, main, need, token_ids, work

# llama.cpp has no windows for these architectures: sequences that fit into the narrowest.
SEQUENCES = token_ids(4, 5, 97)
# Bytes and merges, fewer than the fixtures' models have embeddings.
TEXT = "ab ab  c123.<s> ab"
MERGES = ["a b", "Ġ ab", "Ġ Ġ", "1 2", "12 3"]
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
    """The fixture's model with a tokenizer of merges, and where llama.cpp takes queries' scale for granted, with that one."""
    folder = work / f"{name}-for-llama"
    if not folder.exists():
        shutil.copytree(fixture_model(name), folder)
        tokenizer(folder)
        config = json.loads((folder / "config.json").read_text())
        if "query_pre_attn_scalar" in config:
            config["query_pre_attn_scalar"] = config["head_dim"]
        (folder / "config.json").write_text(json.dumps(config))
    return folder


def llama_cpp(path):
    """The model in llama.cpp, and its logits of every token."""
    need("llama_cpp")
    from llama_cpp import Llama

    model = Llama(str(path), n_ctx=64, logits_all=True, verbose=False, n_threads=1)
    rows = []
    for ids in SEQUENCES:
        model.reset()
        model.eval(ids)
        rows.append(np.array(model.scores[: len(ids)]))
    return model, np.concatenate(rows)


def their_logits(model):
    with torch.no_grad():
        return np.concatenate([model(torch.tensor([ids])).logits[0].numpy() for ids in SEQUENCES])


def load(folder):
    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()


def exported(name):
    """The model with its adapter as GGUF, and its logits by transformers and PEFT."""
    model, out = model_for_llama(name), work / f"{name}-gguf"
    cli("export", "--format", "merged-gguf", "--model", model, "--adapter", model / "adapter", "--out", out, "--overwrite")
    merged = PeftModel.from_pretrained(load(model), model / "adapter").merge_and_unload().eval()
    return out / "model.gguf", their_logits(merged)


for name in ARCHITECTURES:

    @check(f"{name}: merged here into GGUF, the same logits and tokens in llama.cpp")
    def _(name=name):
        file, expected = exported(name)
        there, found = llama_cpp(file)
        model = model_for_llama(name)
        ids = Tokenizer.from_file(str(model / "tokenizer.json")).encode(TEXT).ids
        assert there.tokenize(TEXT.encode(), special=True) == ids
        # Weights and activations are rounded to halves there.
        return agree(found, expected, 5e-3)

    @check(f"{name}: from that GGUF to a folder again, the same logits and tokens in transformers")
    def _(name=name):
        file, expected = exported(name)
        out, adapter = work / f"{name}-from-gguf", model_for_llama(name) / "adapter"
        cli("export", "--format", "merged", "--model", file, "--adapter", adapter, "--q", 0, "--out", out)
        ids = Tokenizer.from_file(str(model_for_llama(name) / "tokenizer.json")).encode(TEXT).ids
        assert AutoTokenizer.from_pretrained(out)(TEXT).input_ids == ids
        # Weights are rounded to halves.
        return agree(their_logits(load(out)), expected, 2e-3)


main(__name__)
