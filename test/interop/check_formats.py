"""Compares quantized weights: webalign with --dtype, and llama.cpp with a file from gguf-py. The error of log-probabilities against
float32 must not be larger in webalign. llama.cpp rounds activations too; webalign rounds only weights."""

import gguf
import numpy as np
import torch

from interop import ROOT, SHARED, check, cli, main, need, work, write_lines
from peft_made import load, logits_of

FORMATS = {"float16": "F16", "q8_0": "Q8_0", "q4_0": "Q4_0"}
MODELS = {"stories260K": SHARED / "models/stories260K", "the embedded model": ROOT / "demos/align/model"}
TEXTS = [
    "Once upon a time, there was a little girl named Lily. She loved to play outside in the park.",
    "One day, Tom saw a big red ball. He wanted to play with it, but it was too high. He was sad.",
    "The dog ran to the tree and looked up. A small bird sat there and sang a happy song. They became good friends.",
]


def stored_as(name):
    """Stores matrices in the format, as llama.cpp's quantize does; in float16 if rows do not divide into blocks."""
    wanted = getattr(gguf.GGMLQuantizationType, name)
    block, _ = gguf.GGML_QUANT_SIZES[wanted]

    def quantise(_, values):
        if values.ndim < 2:
            return gguf.GGMLQuantizationType.F32
        return wanted if values.shape[-1] % block == 0 else gguf.GGMLQuantizationType.F16

    return quantise


def targets_of(logits, sequences):
    """Log-probabilities of all tokens except the first of each sequence."""
    logps = torch.log_softmax(torch.from_numpy(np.asarray(logits, np.float64)), -1).numpy()
    rows, at = [], 0
    for ids in sequences:
        rows.append(logps[at : at + len(ids) - 1][np.arange(len(ids) - 1), ids[1:]])
        at += len(ids)
    return np.concatenate(rows)


def rms(values):
    return float(np.sqrt(np.mean(np.square(values))))


for name, folder in MODELS.items():
    for dtype, stored in FORMATS.items():

        @check(f"{name} as {dtype}: the error of log-probabilities is at most llama.cpp's")
        def _(folder=folder, dtype=dtype, stored=stored):
            need(folder / "config.json")
            need("llama_cpp")
            from gguf_model import llama_logits, write_gguf

            texts = write_lines(work / "texts.jsonl", [{"text": text} for text in TEXTS])
            told = cli("logprobs", "--model", folder, "--dtype", dtype, "--input", texts)["results"]
            sequences = [row["ids"] for row in told]
            ours = np.concatenate([row["logprobs"] for row in told])
            exact = targets_of(logits_of(load(folder), sequences), sequences)
            file = write_gguf(folder, work / f"{stored}.gguf", stored_as(stored))
            theirs = targets_of(llama_logits(file, sequences), sequences)
            error, reference = rms(ours - exact), rms(theirs - exact)
            figures = f"{error:.1e} in webalign, {reference:.1e} in llama.cpp (root mean square, {len(exact)} tokens)"
            # With four bits nearly all of the error comes from the rounding of weights, which is the same in both.
            assert error <= 1.02 * reference, figures
            return figures


main(__name__)
