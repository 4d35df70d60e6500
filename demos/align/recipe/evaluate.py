"""Bits per byte of a Llama-layout model folder on the held-out stories, and samples of it.

Every story is scored alone, after BOS, through the folder's own tokenizer, the end token
not counted; longer stories than the context go on with half a context of overlap. The
weights are read as they are stored (f16 stays what f16 rounds to). It never trains.
"""
import argparse
import json
import math
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from tokenizers import Tokenizer

from model import Llama
from stories import real_stories


def load(folder):
    """(model in float32, tokenizer) of a Hugging Face folder."""
    folder = Path(folder)
    model = Llama(json.loads((folder / "config.json").read_text()))
    weights = {k.removeprefix("model."): v.float() for k, v in load_file(folder / "model.safetensors").items()}
    weights.pop("lm_head.weight", None)
    model.load_state_dict(weights)
    return model.eval(), Tokenizer.from_file(str(folder / "tokenizer.json"))


def windows(ids, context):
    """(input, target, first scored position) pieces that score every token after BOS once."""
    if len(ids) <= context:
        return [(ids[:-1], ids[1:], 0)]
    pieces, scored = [], 1
    while scored < len(ids):
        start = max(0, scored - context // 2) if scored > 1 else 0
        end = min(len(ids), start + context)
        pieces.append((ids[start : end - 1], ids[start + 1 : end], scored - start - 1))
        scored = end
    return pieces


@torch.inference_mode()
def bits_per_byte(model, tokenizer, stories, batch=32, context=512):
    pieces = [p for s in stories for p in windows(tokenizer.encode(s).ids, context)]
    pieces.sort(key=lambda p: len(p[0]))
    nats = 0.0
    for at in range(0, len(pieces), batch):
        group = pieces[at : at + batch]
        width = max(len(p[0]) for p in group)
        x, y = torch.zeros(len(group), width, dtype=torch.long), torch.full((len(group), width), -1)
        for row, (given, target, first) in enumerate(group):
            x[row, : len(given)] = torch.tensor(given)
            y[row, first : len(target)] = torch.tensor(target[first:])
        nats += F.cross_entropy(model(x).flatten(0, 1).float(), y.flatten(), ignore_index=-1, reduction="sum").item()
    return nats / math.log(2) / sum(len(s.encode()) for s in stories)


@torch.inference_mode()
def sample(model, tokenizer, prompt, generator, tokens=160, temperature=0.8, top_p=0.95, eos=2):
    ids = tokenizer.encode(prompt).ids
    for _ in range(tokens):
        probs, order = (model(torch.tensor([ids]))[0, -1] / temperature).softmax(-1).sort(descending=True)
        probs[probs.cumsum(0) - probs > top_p] = 0
        pick = order[torch.multinomial(probs, 1, generator=generator)].item()
        if pick == eos:
            break
        ids.append(pick)
    return tokenizer.decode(ids)


def main():
    cli = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    cli.add_argument("folders", nargs="*", default=["demos/align/model", "../shared/models/stories260K"])
    cli.add_argument("--stories", default="../shared/data/tinystories.txt")
    cli.add_argument("--samples", type=int, default=3)
    cli.add_argument("--temperature", type=float, default=0.8)
    args = cli.parse_args()
    _, held_out = real_stories(args.stories)
    prompts = ["Once upon a time", "One day, a little girl named Lily", "Tom was sad because"]
    for folder in args.folders:
        model, tokenizer = load(folder)
        count = sum(p.numel() for p in model.parameters())
        print(f"{folder}: {count} parameters, {bits_per_byte(model, tokenizer, held_out):.4f} bits per byte", flush=True)
        generator = torch.Generator().manual_seed(1)
        for n in range(args.samples):
            print("  -", sample(model, tokenizer, prompts[n % 3], generator, temperature=args.temperature).replace("\n", " | "))


if __name__ == "__main__":
    main()
