"""Runs the benchmark's jobs in PyTorch: square matrix products, loss and gradient of DPO over logits, and full DPO steps with LoRA on
Llama models. PyTorch runs eagerly, in float32 with TF32 off and in bfloat16, on CUDA if available. The shapes are those of
test/bench/cases; weights and tokens are random. Prints one JSON object per line, or a table with --table. Reads and writes no files.

    python test/bench/torch_peer.py [--only NAME] [--quick] [--table]
"""

import argparse
import json
import math
import statistics
import sys
import time

import torch
from torch import nn
from torch.nn import functional as F

BETA = 0.1
RANK = 8


class Linear(nn.Module):
    """A frozen linear layer with a LoRA adapter."""

    def __init__(self, inputs, outputs, dtype, device):
        super().__init__()
        weight = torch.randn(outputs, inputs, dtype=dtype, device=device) / math.sqrt(inputs)
        self.weight = nn.Parameter(weight, requires_grad=False)
        self.a = nn.Parameter(torch.randn(RANK, inputs, device=device) / math.sqrt(inputs))
        self.b = nn.Parameter(0.05 * torch.randn(outputs, RANK, device=device))

    def forward(self, x):
        low = F.linear(F.linear(x, self.a.to(x.dtype)), self.b.to(x.dtype))
        return F.linear(x, self.weight) + 2 * low


class Layer(nn.Module):
    def __init__(self, width, inner, heads, kv_heads, dtype, device):
        super().__init__()
        self.heads, self.kv_heads, self.dim = heads, kv_heads, width // heads
        kv = kv_heads * self.dim
        make = lambda i, o: Linear(i, o, dtype, device)
        self.q, self.k, self.v, self.o = make(width, width), make(width, kv), make(width, kv), make(width, width)
        self.gate, self.up, self.down = make(width, inner), make(width, inner), make(inner, width)
        ones = lambda: nn.Parameter(torch.ones(width, dtype=dtype, device=device), requires_grad=False)
        self.before, self.between = ones(), ones()

    def forward(self, x, cos, sin):
        norm = lambda h, weight: F.rms_norm(h, weight.shape, weight, 1e-5)
        split = lambda h, count: h.unflatten(-1, (count, self.dim)).transpose(1, 2)

        def turn(h):
            left, right = h.chunk(2, -1)
            return h * cos + torch.cat((-right, left), -1) * sin

        h = norm(x, self.before)
        q, k = turn(split(self.q(h), self.heads)), turn(split(self.k(h), self.kv_heads))
        v = split(self.v(h), self.kv_heads)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=self.heads != self.kv_heads)
        x = x + self.o(y.transpose(1, 2).flatten(2))
        g = norm(x, self.between)
        return x + self.down(F.silu(self.gate(g)) * self.up(g))


class Decoder(nn.Module):
    def __init__(self, vocabulary, width, inner, layers, heads, kv_heads, dtype, device):
        super().__init__()
        self.embedding = torch.randn(vocabulary, width, dtype=dtype, device=device) / math.sqrt(width)
        self.layers = nn.ModuleList(
            Layer(width, inner, heads, kv_heads, dtype, device) for _ in range(layers)
        )
        self.norm = torch.ones(width, dtype=dtype, device=device)
        self.dim = width // heads

    def completion_logps(self, ids, targets):
        """Sum of the log-probabilities of `targets`, the last tokens of each sequence."""
        places = torch.arange(ids.shape[1], device=ids.device)[:, None]
        rates = 10_000 ** (-torch.arange(0, self.dim, 2, device=ids.device) / self.dim)
        angles = torch.cat((places * rates,) * 2, -1)
        x = F.embedding(ids, self.embedding)
        cos, sin = angles.cos().to(x.dtype), angles.sin().to(x.dtype)
        for layer in self.layers:
            x = layer(x, cos, sin)
        rows = F.rms_norm(x[:, -targets.shape[1] :], self.norm.shape, self.norm, 1e-5)
        logits = (rows @ self.embedding.T).float()
        picked = logits.gather(-1, targets[..., None])[..., 0]
        return (picked - logits.logsumexp(-1)).sum(-1)


def dpo_loss(log_ratios):
    chosen, rejected = log_ratios.view(-1, 2).unbind(1)
    return -F.logsigmoid(BETA * (chosen - rejected)).mean()


# Vocabulary, hidden size, intermediate size, layers, heads, key-value heads; pairs, prompt tokens, completion tokens.
STEPS = {
    "step tiny model": ((256, 64, 192, 2, 2, 2), (1, 4, 4)),
    "step small decoder": ((2048, 128, 384, 4, 4, 4), (2, 32, 32)),
    "step Llama 15M, 8 × 512": ((32_000, 288, 768, 6, 6, 6), (8, 256, 256)),
    "step SmolLM2-135M, 8 × 512": ((49_152, 576, 1536, 30, 9, 3), (8, 256, 256)),
}


def step(shape, batch):
    def make(dtype, device):
        vocabulary, (pairs, prompt, completion) = shape[0], batch
        model = Decoder(*shape, dtype, device)
        optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], 1e-4)
        ids = torch.randint(vocabulary, (2 * pairs, prompt + completion), device=device)
        inputs, targets = ids[:, :-1], ids[:, prompt:]
        with torch.no_grad():
            reference = model.completion_logps(inputs, targets)

        def run():
            loss = dpo_loss(model.completion_logps(inputs, targets) - reference)
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            return loss

        return run

    return make


def product(n):
    def make(dtype, device):
        a, b = (torch.randn(n, n, dtype=dtype, device=device) for _ in range(2))
        return lambda: a @ b

    return make


def logits(rows, vocabulary, length=32):
    def make(dtype, device):
        shape = (rows // length, length, vocabulary)
        policy = (8 * torch.randn(shape, device=device)).to(dtype).requires_grad_()
        reference = (8 * torch.randn(shape, device=device)).to(dtype)
        targets = torch.randint(vocabulary, shape[:2], device=device)
        logps = lambda z: z.log_softmax(-1).gather(-1, targets[..., None]).sum((1, 2)).float()

        def run():
            policy.grad = None
            with torch.no_grad():
                against = logps(reference)
            loss = dpo_loss(logps(policy) - against)
            loss.backward()
            return loss

        return run

    return make


JOBS = {
    "product nn 64³": product(64),
    **{f"product nn {n}³": product(n) for n in (256, 512, 1024, 2048)},
    "DPO and gradient 64 × 512": logits(64, 512),
    **{f"DPO and gradient {r} × {v}": logits(r, v) for r, v in ((256, 4096), (512, 16_384), (4096, 49_152))},
    **{name: step(*shapes) for name, shapes in STEPS.items()},
}
QUICK = ("product nn 64³", "DPO and gradient 64 × 512", "step tiny model")


def measure(make, dtype, device, samples):
    def wait(result):
        # Reads one number back, as the other peers do.
        return float(result.detach().flatten()[0])

    cuda = device.type == "cuda"
    run = make(dtype, device)
    if cuda:
        torch.cuda.reset_peak_memory_stats()
    for _ in range(3):
        wait(run())
    begun = time.perf_counter()
    wait(run())
    repeats = max(1, min(64, round(0.02 / (time.perf_counter() - begun))))
    times = []
    for _ in range(samples):
        begun = time.perf_counter()
        for _ in range(repeats):
            result = run()
        wait(result)
        times.append((time.perf_counter() - begun) / repeats * 1000)
    return {
        "median": statistics.median(times),
        "quartiles": statistics.quantiles(times, n=4)[::2] if samples > 1 else [times[0]] * 2,
        "peakBytes": torch.cuda.max_memory_allocated() if cuda else None,
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--only", action="append", default=[], metavar="NAME", help="run jobs whose names contain NAME; repeatable")
    parser.add_argument("--quick", action="store_true", help="run the shortest jobs, with one sample each")
    parser.add_argument("--table", action="store_true", help="print a table instead of JSON")
    options = parser.parse_args()
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    torch.manual_seed(0)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    name = torch.cuda.get_device_name() if device.type == "cuda" else "CPU"
    print(f"PyTorch {torch.__version__} on {name}", file=sys.stderr)
    for id, make in JOBS.items():
        if options.only and not any(part in id for part in options.only):
            continue
        if options.quick and id not in QUICK:
            continue
        for label, dtype in (("float32", torch.float32), ("bfloat16", torch.bfloat16)):
            found = measure(make, dtype, device, 1 if options.quick else 9)
            if options.table:
                print(f"{id:34} {label:9} {found['median']:10.3f} ms")
            else:
                print(json.dumps({"id": id, "dtype": label, **found}, ensure_ascii=False), flush=True)


if __name__ == "__main__":
    main()
