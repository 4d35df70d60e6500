"""Trains the default model from random weights and writes it as a Hugging Face folder.

Rows are packed pieces of shuffled stories (BOS story EOS ...), drawn from the real training
stories and from sampled ones in a fixed proportion. Muon moves the matrices, Adam the
embedding and the norms; the rate is held, then falls to zero over the last --decay steps.
The state before that fall is kept in --state, so that a longer run can go on from there.
It never trains on the held-out stories: they only give the bits per byte that it prints.
"""
import argparse
import json
import math
import time
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from tokenizers import Tokenizer

from evaluate import bits_per_byte
from model import Llama
from stories import real_stories, sampled_stories


class Pieces:
    """Endless rows of `length` + 1 ids from one set of stories, reshuffled on every pass."""

    def __init__(self, tokenizer, stories, length, generator, bos=1, eos=2):
        encoded = tokenizer.encode_batch([s for s, _ in stories], add_special_tokens=False)
        self.stories = [torch.tensor([bos] + e.ids + [eos] * ended) for e, (_, ended) in zip(encoded, stories)]
        self.tokens, self.length, self.generator = sum(map(len, self.stories)), length, generator
        self.rows, self.at, self.passes = torch.empty(0, length + 1), 0, 0

    def take(self, count):
        if self.at + count > len(self.rows):
            order = torch.randperm(len(self.stories), generator=self.generator).tolist()
            flat = torch.cat([self.stories[n] for n in order])
            flat = flat[int(torch.randint(self.length, (1,), generator=self.generator)) :]
            starts = torch.arange(0, len(flat) - self.length - 1, self.length)
            starts = starts[torch.randperm(len(starts), generator=self.generator)]
            self.rows = flat[starts[:, None] + torch.arange(self.length + 1)]
            self.at, self.passes = 0, self.passes + 1
        self.at += count
        return self.rows[self.at - count : self.at]


class Muon(torch.optim.Optimizer):
    """Momentum made orthogonal by five Newton-Schulz steps; matrices of one shape move together."""

    def __init__(self, params, lr, momentum=0.95, decay=0.0):
        super().__init__(params, {"lr": lr, "momentum": momentum, "decay": decay})

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            shapes = {}
            for p in group["params"]:
                shapes.setdefault(p.shape, []).append(p)
            for (rows, columns), params in shapes.items():
                for p in params:
                    self.state[p].setdefault("mean", torch.zeros_like(p)).lerp_(p.grad, 1 - group["momentum"])
                x = torch.stack([p.grad.lerp(self.state[p]["mean"], group["momentum"]) for p in params])
                x = x.mT if rows > columns else x
                x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)
                for _ in range(5):
                    a = x @ x.mT
                    x = 3.4445 * x + (-4.7750 * a + 2.0315 * a @ a) @ x
                x = x.mT if rows > columns else x
                for p, update in zip(params, x):
                    p.mul_(1 - group["lr"] * group["decay"])
                    p.add_(update, alpha=-group["lr"] * max(1, rows / columns) ** 0.5)


def export(model, cfg, folder):
    """The model as f16 safetensors and its two config files."""
    weights = {f"model.{k}": v.half().contiguous() for k, v in model.state_dict().items()}
    save_file(weights, Path(folder) / "model.safetensors", metadata={"format": "pt"})
    (Path(folder) / "model.safetensors").chmod(0o644)
    (Path(folder) / "config.json").write_text(json.dumps(cfg, indent=2) + "\n")
    ids = {"bos_token_id": cfg["bos_token_id"], "eos_token_id": cfg["eos_token_id"], "pad_token_id": cfg["pad_token_id"]}
    wanted = {"do_sample": True, "temperature": 0.8, "top_p": 0.95, **ids}
    (Path(folder) / "generation_config.json").write_text(json.dumps(wanted, indent=2) + "\n")


def config(args, vocab):
    return {
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "vocab_size": vocab,
        "hidden_size": args.width, "intermediate_size": args.inner, "num_hidden_layers": args.layers,
        "num_attention_heads": args.width // args.head, "num_key_value_heads": args.kv, "head_dim": args.head,
        "max_position_embeddings": 512, "rms_norm_eps": 1e-5, "rope_theta": 10000.0, "hidden_act": "silu",
        "attention_bias": False, "mlp_bias": False, "tie_word_embeddings": True,
        "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0, "torch_dtype": "float16",
    }  # fmt: skip


def part_left(args, step, start):
    """How much of the rate is left: above 1 before the fall, 0 at the end."""
    if args.minutes:
        return (args.minutes - (time.time() - start) / 60) / args.decay_minutes
    return (args.steps - step) / max(1, args.decay)


def main():
    cli = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    cli.add_argument("--stories", default="../shared/data/tinystories.txt")
    cli.add_argument("--samples", nargs="*", default=[], help="files of teacher.py")
    cli.add_argument("--out", default="demos/align/model", help="holds tokenizer.json; the model goes there")
    cli.add_argument("--state", help="file of the state before the fall; continued when it exists")
    cli.add_argument("--width", type=int, default=128)
    cli.add_argument("--inner", type=int, default=256)
    cli.add_argument("--layers", type=int, default=4)
    cli.add_argument("--head", type=int, default=32, help="width of a head")
    cli.add_argument("--kv", type=int, default=2, help="key/value heads")
    cli.add_argument("--length", type=int, default=512, help="tokens a row")
    cli.add_argument("--rows", type=int, default=8, help="rows a step")
    cli.add_argument("--steps", type=int, default=1000, help="in all, earlier ones and the fall included")
    cli.add_argument("--decay", type=int, default=250, help="steps of the fall; 0 for none")
    cli.add_argument("--minutes", type=float, help="end by the clock instead of --steps, where others share the machine")
    cli.add_argument("--decay-minutes", type=float, default=10, help="the fall's length then")
    cli.add_argument("--real", type=float, default=0.9, help="part of the rows from real stories")
    cli.add_argument("--lr", type=float, default=0.02, help="Muon's rate")
    cli.add_argument("--lr-embed", type=float, default=0.005, help="Adam's rate")
    cli.add_argument("--weight-decay", type=float, default=0.1)
    cli.add_argument("--compile", action="store_true", help="torch.compile: slower to start, then about a fifth faster")
    cli.add_argument("--threads", type=int, default=2)
    cli.add_argument("--seed", type=int, default=1)
    cli.add_argument("--every", type=int, default=250, help="steps between reports")
    args = cli.parse_args()
    torch.set_num_threads(args.threads)
    torch.set_flush_denormal(True)
    generator = torch.Generator().manual_seed(args.seed)

    tokenizer = Tokenizer.from_file(f"{args.out}/tokenizer.json")
    training, held_out = real_stories(args.stories)
    real = Pieces(tokenizer, [(s, True) for s in training], args.length, generator)
    sampled = Pieces(tokenizer, sampled_stories(args.samples), args.length, generator) if args.samples else None
    cfg = config(args, tokenizer.get_vocab_size())
    model = Llama(cfg)
    model.start(generator)
    matrices = [p for n, p in model.named_parameters() if p.dim() == 2 and "embed" not in n]
    others = [p for n, p in model.named_parameters() if p.dim() == 1 or "embed" in n]
    parts = {
        "model": model,
        "muon": Muon(matrices, args.lr, decay=args.weight_decay),
        "adam": torch.optim.AdamW(others, args.lr_embed, betas=(0.9, 0.98), weight_decay=0.0),
    }
    first = 0
    if args.state and Path(args.state).exists():
        kept = torch.load(args.state)
        for name, part in parts.items():
            part.load_state_dict(kept[name])
        first = kept["step"]
        generator.manual_seed(args.seed + first)
    hidden = torch.compile(model.hidden) if args.compile else model.hidden
    count = sum(p.numel() for p in model.parameters())
    print(f"{count} parameters; real {real.tokens}, sampled {sampled.tokens if sampled else 0} tokens", flush=True)

    def keep():
        if args.state:
            torch.save({"step": step, **{name: part.state_dict() for name, part in parts.items()}}, args.state)

    def report(stories):
        seconds, tokens = time.time() - start, (step - first) * args.rows * args.length
        print(f"step {step}: loss {sum(losses) / max(1, len(losses)):.3f}, held-out {bits_per_byte(model, tokenizer, stories):.4f} "
              f"bits per byte, {seconds:.0f} s, {tokens} tokens, real passes {real.passes}", flush=True)  # fmt: skip

    start, step, losses, held = time.time(), first, [], True
    while (left := part_left(args, step, start)) > 0:
        if held and (left < 1 or step % args.every == 0):
            keep()
        held = held and left >= 1
        rate = min(1.0, (step + 1) / 50, left)
        parts["muon"].param_groups[0]["lr"], parts["adam"].param_groups[0]["lr"] = args.lr * rate, args.lr_embed * rate
        wanted = args.real * args.rows if sampled else args.rows
        mine = math.floor(wanted * (step + 1)) - math.floor(wanted * step)
        rows = real.take(mine) if mine == args.rows else torch.cat([real.take(mine), sampled.take(args.rows - mine)])
        logits = F.linear(hidden(rows[:, :-1]).flatten(0, 1), model.embed_tokens.weight)
        loss = F.cross_entropy(logits, rows[:, 1:].flatten())
        loss.backward()
        torch.nn.utils.clip_grad_norm_(others, 1.0)
        parts["muon"].step()
        parts["adam"].step()
        model.zero_grad()
        losses.append(loss.item())
        step += 1
        if step % args.every == 0:
            report(held_out[::4])
            losses = []
    report(held_out)
    if held:
        keep()
    export(model, cfg, args.out)


if __name__ == "__main__":
    main()
