"""The Llama-architecture decoder in plain torch, with Hugging Face's parameter names.

Half-split rotary embedding, RMSNorm, SwiGLU, grouped key/value heads, tied embedding and
head. Shared by train.py and evaluate.py; it reads and writes no files.
"""
import torch
import torch.nn.functional as F
from torch import nn


class Attention(nn.Module):
    def __init__(self, cfg):
        super().__init__()
        width, self.heads, self.kv = cfg["hidden_size"], cfg["num_attention_heads"], cfg["num_key_value_heads"]
        self.dim = cfg.get("head_dim", width // self.heads)
        self.q_proj = nn.Linear(width, self.heads * self.dim, bias=False)
        self.k_proj = nn.Linear(width, self.kv * self.dim, bias=False)
        self.v_proj = nn.Linear(width, self.kv * self.dim, bias=False)
        self.o_proj = nn.Linear(self.heads * self.dim, width, bias=False)

    def forward(self, x, cos, sin):
        rows, length, _ = x.shape
        q = self.q_proj(x).view(rows, length, self.heads, self.dim)
        k = self.k_proj(x).view(rows, length, self.kv, self.dim)
        v = self.v_proj(x).view(rows, length, self.kv, self.dim).transpose(1, 2)
        q, k = rotate(q, cos, sin).transpose(1, 2), rotate(k, cos, sin).transpose(1, 2)
        repeat = self.heads // self.kv
        k, v = k.repeat_interleave(repeat, 1), v.repeat_interleave(repeat, 1)
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.o_proj(mixed.transpose(1, 2).reshape(rows, length, -1))


class MLP(nn.Module):
    def __init__(self, cfg):
        super().__init__()
        width, inner = cfg["hidden_size"], cfg["intermediate_size"]
        self.gate_proj = nn.Linear(width, inner, bias=False)
        self.up_proj = nn.Linear(width, inner, bias=False)
        self.down_proj = nn.Linear(inner, width, bias=False)

    def forward(self, x):
        return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))


class Block(nn.Module):
    def __init__(self, cfg):
        super().__init__()
        self.input_layernorm = nn.RMSNorm(cfg["hidden_size"], eps=cfg["rms_norm_eps"])
        self.self_attn = Attention(cfg)
        self.post_attention_layernorm = nn.RMSNorm(cfg["hidden_size"], eps=cfg["rms_norm_eps"])
        self.mlp = MLP(cfg)

    def forward(self, x, cos, sin):
        x = x + self.self_attn(self.input_layernorm(x), cos, sin)
        return x + self.mlp(self.post_attention_layernorm(x))


class Llama(nn.Module):
    def __init__(self, cfg):
        super().__init__()
        self.embed_tokens = nn.Embedding(cfg["vocab_size"], cfg["hidden_size"])
        self.layers = nn.ModuleList(Block(cfg) for _ in range(cfg["num_hidden_layers"]))
        self.norm = nn.RMSNorm(cfg["hidden_size"], eps=cfg["rms_norm_eps"])
        dim = self.layers[0].self_attn.dim
        inverse = cfg["rope_theta"] ** (-torch.arange(0, dim, 2).float() / dim)
        angles = torch.arange(cfg["max_position_embeddings"]).float()[:, None] * inverse
        self.register_buffer("cos", angles.cos()[:, None, :], persistent=False)
        self.register_buffer("sin", angles.sin()[:, None, :], persistent=False)

    def start(self, generator):
        """Initial weights: normal, smaller where a matrix writes to the residual stream."""
        for name, weight in self.named_parameters():
            if weight.dim() == 2:
                depth = (2 * len(self.layers)) ** -0.5 if "o_proj" in name or "down_proj" in name else 1.0
                std = 0.04 if "embed" in name else depth * weight.shape[1] ** -0.5
                nn.init.normal_(weight, std=std, generator=generator)

    def hidden(self, ids):
        """What the head multiplies: the final norm's output."""
        x = self.embed_tokens(ids)
        cos, sin = self.cos[: ids.shape[1]], self.sin[: ids.shape[1]]
        for layer in self.layers:
            x = layer(x, cos, sin)
        return self.norm(x)

    def forward(self, ids):
        return F.linear(self.hidden(ids), self.embed_tokens.weight)


def rotate(x, cos, sin):
    """Rotary embedding of [rows, length, heads, dim], halves paired."""
    a, b = x.chunk(2, -1)
    return torch.cat([a * cos - b * sin, b * cos + a * sin], -1)
