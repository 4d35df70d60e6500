"""Draws stories from a small Llama-layout teacher (stories260K) as extra training text.

Plain torch: a batch of rows starts at BOS and samples with a key/value cache; rows that end
are dropped from the batch. Finished stories are written with <|endoftext|> after them, and
stories that ran into the context's end with <|cut|>. It never reads the real stories, so
what is held out there stays held out.
"""
import argparse
import json
import time
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from tokenizers import Tokenizer


class Teacher:
    """A Llama-layout decoder, inference only, one position of every row at a time."""

    def __init__(self, folder):
        folder = Path(folder)
        self.cfg = json.loads((folder / "config.json").read_text())
        self.w = {k.removeprefix("model."): v.float() for k, v in load_file(folder / "model.safetensors").items()}
        self.heads, self.kv = self.cfg["num_attention_heads"], self.cfg["num_key_value_heads"]
        self.dim = self.cfg["hidden_size"] // self.heads
        inverse = self.cfg["rope_theta"] ** (-torch.arange(0, self.dim, 2).float() / self.dim)
        angles = torch.arange(self.cfg["max_position_embeddings"]).float()[:, None] * inverse
        self.cos, self.sin = torch.cat([angles, angles], 1).cos(), torch.cat([angles, angles], 1).sin()

    def norm(self, x, name):
        return F.rms_norm(x, (x.shape[-1],), self.w[name], self.cfg["rms_norm_eps"])

    def rotate(self, x, at):
        half = self.dim // 2
        return x * self.cos[at] + torch.cat([-x[..., half:], x[..., :half]], -1) * self.sin[at]

    def step(self, ids, at, keys, values):
        """Logits after `ids` [rows] at position `at`; keys/values [layer][rows, kv, context, dim] are filled in."""
        rows = ids.shape[0]
        x = self.w["embed_tokens.weight"][ids]
        for n in range(self.cfg["num_hidden_layers"]):
            p = f"layers.{n}."
            h = self.norm(x, p + "input_layernorm.weight")
            q = F.linear(h, self.w[p + "self_attn.q_proj.weight"]).view(rows, self.heads, self.dim)
            k = F.linear(h, self.w[p + "self_attn.k_proj.weight"]).view(rows, self.kv, self.dim)
            keys[n][:, :, at] = self.rotate(k, at)
            values[n][:, :, at] = F.linear(h, self.w[p + "self_attn.v_proj.weight"]).view(rows, self.kv, self.dim)
            q = self.rotate(q, at).view(rows, self.kv, self.heads // self.kv, self.dim)
            scores = q @ keys[n][:, :, : at + 1].transpose(2, 3) * self.dim**-0.5
            mixed = (scores.softmax(-1) @ values[n][:, :, : at + 1]).reshape(rows, -1)
            x = x + F.linear(mixed, self.w[p + "self_attn.o_proj.weight"])
            h = self.norm(x, p + "post_attention_layernorm.weight")
            gate = F.silu(F.linear(h, self.w[p + "mlp.gate_proj.weight"]))
            x = x + F.linear(gate * F.linear(h, self.w[p + "mlp.up_proj.weight"]), self.w[p + "mlp.down_proj.weight"])
        head = self.w.get("lm_head.weight", self.w["embed_tokens.weight"])
        return F.linear(self.norm(x, "norm.weight"), head)

    @torch.inference_mode()
    def sample(self, rows, generator, temperature=1.0, stop=(1, 2)):
        """`rows` sampled stories as (ids without BOS, finished)."""
        context = self.cfg["max_position_embeddings"]
        shape = (rows, self.kv, context, self.dim)
        keys = [torch.empty(shape) for _ in range(self.cfg["num_hidden_layers"])]
        values = [torch.empty(shape) for _ in range(self.cfg["num_hidden_layers"])]
        ids = torch.full((rows, context), self.cfg["bos_token_id"])
        alive, done = torch.ones(rows, dtype=torch.bool), []
        for at in range(context - 1):
            probs = (self.step(ids[:, at], at, keys, values) / temperature).softmax(-1)
            ids[:, at + 1] = torch.multinomial(probs, 1, generator=generator)[:, 0]
            for row in torch.nonzero(alive & torch.isin(ids[:, at + 1], torch.tensor(stop)))[:, 0].tolist():
                done.append((ids[row, 1 : at + 1].tolist(), True))
                alive[row] = False
            if alive.sum() < 0.85 * len(alive):  # drop the rows that ended
                ids = ids[alive]
                keys, values = [k[alive] for k in keys], [v[alive] for v in values]
                alive = torch.ones(len(ids), dtype=torch.bool)
        return done + [(row[1:].tolist(), False) for row in ids[alive]]


def main():
    cli = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    cli.add_argument("--teacher", default="../shared/models/stories260K")
    cli.add_argument("--out", required=True, help="text file to append to")
    cli.add_argument("--megabytes", type=float, default=10)
    cli.add_argument("--rows", type=int, default=256)
    cli.add_argument("--temperature", type=float, default=1.0)
    cli.add_argument("--threads", type=int, default=2)
    cli.add_argument("--seed", type=int, default=1)
    args = cli.parse_args()
    torch.set_num_threads(args.threads)
    teacher, tokenizer = Teacher(args.teacher), Tokenizer.from_file(f"{args.teacher}/tokenizer.json")
    generator = torch.Generator().manual_seed(args.seed)
    start, written = time.time(), 0
    with open(args.out, "a", encoding="utf-8") as out:
        while written < args.megabytes * 1e6:
            for ids, finished in teacher.sample(args.rows, generator, args.temperature):
                text = tokenizer.decode(ids).strip()
                if "\ufffd" in text or len(text) < 40:
                    continue
                written += out.write(text + ("\n<|endoftext|>\n" if finished else "\n<|cut|>\n"))
            out.flush()
            print(f"{written / 1e6:.2f} MB in {time.time() - start:.0f} s", flush=True)


if __name__ == "__main__":
    main()
