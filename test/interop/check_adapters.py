"""Compares logits of webalign with PEFT and transformers, for adapters made by PEFT and for adapters trained by webalign."""

import math

import torch
from peft import PeftModel
from peft.tuners.lora import LoraLayer

from interop import (
    ARCHITECTURES,
    agree,
    check,
    cli,
    fixture_model,
    in_turn,
    main,
    pairs,
    relative_l2,
    token_ids,
    webalign_logits,
    work,
)
from peft_made import LLAMA, MADE, load, logits_of, peft_made

# At most the context length of each model; with LongRoPE that is the original context length.
SEQUENCES = token_ids(5, 32, 97)


def their_logits(model):
    return logits_of(model, SEQUENCES)


for name in ["tiny-llama", *in_turn(ARCHITECTURES, 4)]:

    @check(f"{name}: an adapter trained by webalign gives the same logits in PEFT")
    def _(name=name):
        model, out = fixture_model(name), work / f"{name}-trained"
        # With this learning rate B is far from zero after six steps.
        cli("dpo", "--model", model, "--data", pairs(), "--out", out, "--target-modules", "all-linear",
            "--lora-r", 4, "--max-steps", 6, "--batch-size", 4, "--learning-rate", 0.05, "--eval-split", 0)
        base, plain = load(model), their_logits(load(model))
        theirs = their_logits(PeftModel.from_pretrained(base, out))
        [ours] = webalign_logits({"model": model, "adapters": [{"path": out}], "sequences": SEQUENCES})
        moved = float(abs(theirs - plain).max())
        assert moved > 0.1, f"the adapter moved no logit by more than {moved}"
        return agree(ours, theirs)


def merged(model, adapter, name):
    out = work / f"{name}-merged"
    cli("export", "--format", "merged", "--model", model, "--adapter", adapter, "--out", out, "--overwrite")
    return out


for name in ["tiny-llama", *in_turn(ARCHITECTURES, 4)]:

    @check(f"{name}: a model merged by webalign gives PEFT's logits, in transformers and in webalign")
    def _(name=name):
        model = fixture_model(name)
        expected = their_logits(PeftModel.from_pretrained(load(model), model / "adapter"))
        out = merged(model, model / "adapter", name)
        [ours] = webalign_logits({"model": out, "sequences": SEQUENCES})
        return f"transformers {agree(their_logits(load(out)), expected)}; here {agree(ours, expected)}"


for kind, (name, settings) in MADE.items():

    @check(f"PEFT adapter with {kind}: webalign reads, writes, merges, scales and stacks it as PEFT does")
    def _(kind=kind, name=name, settings=settings):
        model, folder = fixture_model(name), work / f"peft-{kind.replace(' ', '-')}"
        adapted = peft_made(load(model), **settings)
        adapted.save_pretrained(folder)
        expected = their_logits(adapted)
        written = work / f"{folder.name}-written"
        cli("export", "--adapter", folder, "--out", written)
        half = work / f"{folder.name}-half"
        second = model / "adapter"
        cli("export", "--adapter", second, "--adapter", folder, "--q", 0.5, "--out", half)
        again = their_logits(PeftModel.from_pretrained(load(model), written))
        with torch.no_grad():
            stack = PeftModel.from_pretrained(load(model), second, adapter_name="second")
            stack.load_adapter(folder, "first")
            stack.base_model.set_adapter(["second", "first"])
            for module in stack.modules():
                if isinstance(module, LoraLayer) and "first" in module.scaling:
                    module.scaling["first"] *= 0.5
        stacked = their_logits(stack)
        ours = webalign_logits(
            {"model": model, "adapters": [{"path": folder}], "sequences": SEQUENCES},
            {"model": merged(model, folder, folder.name), "sequences": SEQUENCES},
            {"model": model, "adapters": [{"path": second}, {"path": folder, "factor": 0.5}], "sequences": SEQUENCES},
            {"model": model, "adapters": [{"path": half}], "sequences": SEQUENCES},
        )
        figures = [agree(logits, theirs) for logits, theirs in zip(ours, [expected] * 2 + [stacked] * 2, strict=True)]
        assert relative_l2(again, expected) < 1e-6, "PEFT computes other logits from the adapter that webalign wrote"
        combined = their_logits(PeftModel.from_pretrained(load(model), half))
        return f"{figures[0]}; stacked {figures[2]}; combined, in PEFT {agree(combined, stacked)}"


@check("an adapter made by PEFT and trained further by webalign gives the same logits in PEFT")
def _():
    model, folder, out = fixture_model("tiny-llama"), work / "peft-start", work / "peft-continued"
    settings = MADE["ranks and alphas by pattern"][1]
    peft_made(load(model), **settings).save_pretrained(folder)
    summary = cli("dpo", "--model", model, "--data", pairs(), "--init-adapter", folder, "--out", out, "--max-steps", 4,
                  "--batch-size", 4, "--learning-rate", 0.02, "--eval-split", 0)
    assert abs(summary["loss"]["first"] - math.log(2)) < 1e-6, summary
    theirs = their_logits(PeftModel.from_pretrained(load(model), out))
    [ours] = webalign_logits({"model": model, "adapters": [{"path": out}], "sequences": SEQUENCES})
    start = their_logits(PeftModel.from_pretrained(load(model), folder))
    assert relative_l2(theirs, start) > 1e-2, "nothing was learned"
    return f"loss {summary['loss']['first']:.3f} to {summary['loss']['last']:.3f}; {agree(ours, theirs)}"


@check("switching adapters by name, from A to B and back, gives the logits of PEFT's set_adapter")
def _():
    model = fixture_model("tiny-llama")
    folders = [model / "adapter", work / "peft-b"]
    peft_made(load(model), seed=5, r=4, target_modules=LLAMA).save_pretrained(folders[1])
    swapped = PeftModel.from_pretrained(load(model), folders[0], adapter_name="A")
    swapped.load_adapter(folders[1], "B")
    names = ["A", "B", "A"]
    job = {"model": model, "sequences": SEQUENCES, "named": {"A": folders[0], "B": folders[1]}, "order": names}
    [ours] = webalign_logits(job)
    parts = ours.reshape(3, -1, ours.shape[-1])
    assert (parts[0] == parts[2]).all(), "the logits of A changed after the switch to B and back"
    figures = []
    for name, logits in zip(names, parts, strict=True):
        swapped.set_adapter(name)
        figures.append(agree(logits, their_logits(swapped)))
    return "; ".join(figures[:2])


main(__name__)
