"""Compares scores of reward models in webalign with PEFT and transformers: trained by either side, as adapters and merged, with a pad
token and with EOS instead of one."""

import json
import shutil

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import CONFIG_MAPPING, AutoModelForSequenceClassification

from interop import ARCHITECTURES, Skip, check, cli, fixture_model, in_turn, main, pairs, work, write_lines

BOUND = 1e-4
PADS = {"pad is another token": 0, "pad is EOS": 2}
IDS = [[1, 5, 9, 7, 2], [1, 5, 8, 2], [1, 6, 2, 2], [3, 4, 5, 6, 7, 2]]


def with_pad(name, pad):
    """The fixture's model with a pad token in its configuration."""
    source = fixture_model(name)
    folder = work / f"{name}-pad-{pad}"
    if not folder.exists():
        shutil.copytree(source, folder)
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps({**config, "pad_token_id": pad, "eos_token_id": 2}))
    return folder


def need_class(name):
    """Skips the check if transformers has no model for sequence classification."""
    kind = CONFIG_MAPPING[json.loads((fixture_model(name) / "config.json").read_text())["model_type"]]
    if kind not in AutoModelForSequenceClassification._model_mapping:
        raise Skip(f"transformers has no {kind.model_type} for sequence classification")


def base_of(folder):
    return AutoModelForSequenceClassification.from_pretrained(
        folder, num_labels=1, dtype=torch.float32, attn_implementation="eager"
    ).eval()


def their_scores(model, pad):
    width = max(map(len, IDS))
    padded = torch.tensor([ids + [pad] * (width - len(ids)) for ids in IDS])
    mask = torch.tensor([[1] * len(ids) + [0] * (width - len(ids)) for ids in IDS])
    with torch.no_grad():
        return model(padded, attention_mask=mask).logits.flatten().tolist()


def our_scores(*args):
    rows = write_lines(work / "ids.jsonl", [{"ids": ids} for ids in IDS])
    return [result["score"] for result in cli("score", "--input", rows, *args)["results"]]


def agree(ours, theirs):
    worst = max(abs(a - b) for a, b in zip(ours, theirs, strict=True))
    assert worst <= BOUND, f"webalign {ours}, transformers {theirs}"
    spread = max(theirs) - min(theirs)
    assert spread > 1e-2, f"all scores are nearly equal: {theirs}"
    return f"{worst:.1e}"


# One architecture in addition to the smallest model.
for name in ["tiny-llama", *in_turn(ARCHITECTURES, 1)]:
    for kind, pad in PADS.items():

        @check(f"{name}, {kind}: an adapter and a merged model from webalign give the same scores in transformers")
        def _(name=name, pad=pad):
            need_class(name)
            model, out, whole = with_pad(name, pad), work / f"{name}-{pad}-reward", work / f"{name}-{pad}-merged"
            cli("reward-model", "--model", model, "--data", pairs(), "--out", out, "--target-modules", "all-linear",
                "--lora-r", 4, "--max-steps", 6, "--batch-size", 4, "--learning-rate", 0.02, "--eval-split", 0)
            ours = our_scores("--model", model, "--adapter", out)
            adapted = agree(ours, their_scores(PeftModel.from_pretrained(base_of(model), out).eval(), pad))
            cli("export", "--format", "merged", "--model", model, "--adapter", out, "--out", whole)
            merged, info = AutoModelForSequenceClassification.from_pretrained(
                whole, dtype=torch.float32, attn_implementation="eager", output_loading_info=True
            )
            assert not info["missing_keys"] and not info["unexpected_keys"], info
            assert merged.config.num_labels == 1 and merged.config.pad_token_id == pad, merged.config
            theirs = their_scores(merged.eval(), pad)
            return f"adapter {adapted}, merged {agree(ours, theirs)}, merged in webalign {agree(our_scores('--model', whole), theirs)}"


for name in ["tiny-llama", "gpt2"]:

    @check(f"{name}: webalign reads, writes and merges a SEQ_CLS adapter of PEFT")
    def _(name=name):
        model, folder, written, whole = with_pad(name, 0), *(work / f"{name}-peft-{part}" for part in "abc")
        torch.manual_seed(3)
        settings = {"fan_in_fan_out": True} if name == "gpt2" else {}
        adapted = get_peft_model(
            base_of(model), LoraConfig(task_type="SEQ_CLS", r=4, target_modules="all-linear", modules_to_save=["score"], **settings)
        )
        with torch.no_grad():
            for key, parameter in sorted(adapted.named_parameters()):
                if parameter.requires_grad:
                    parameter.copy_(torch.randn(parameter.shape) * 0.2)
        adapted.eval().save_pretrained(folder)
        theirs = their_scores(adapted, 0)
        read = agree(our_scores("--model", model, "--adapter", folder), theirs)
        cli("export", "--adapter", folder, "--out", written)
        back = agree(their_scores(PeftModel.from_pretrained(base_of(model), written).eval(), 0), theirs)
        cli("export", "--format", "merged", "--model", model, "--adapter", folder, "--out", whole)
        return f"read {read}, written {back}, merged {agree(our_scores('--model', whole), theirs)}"


@check("webalign gives the scores of a full reward model saved by transformers")
def _():
    model, whole = with_pad("gemma3", 0), work / "whole"
    torch.manual_seed(5)
    made = base_of(model)
    with torch.no_grad():
        made.score.weight.normal_(0, 1)
    made.save_pretrained(whole)
    for file in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(model / file, whole)
    return agree(our_scores("--model", whole), their_scores(made, 0))


main(__name__)
