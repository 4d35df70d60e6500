"""Adapters of PEFT on models of transformers against the same files here, and adapters trained here against both there."""

import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM

from interop import ARCHITECTURES, agree, check, cli, fixture_model, main, pairs, token_ids, webalign_logits, work

SEQUENCES = token_ids(5, 40, 97)


def their_logits(model, sequences=SEQUENCES):
    with torch.no_grad():
        return torch.cat([model(torch.tensor([ids])).logits[0] for ids in sequences]).numpy()


def load(folder):
    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()


for name in ["tiny-llama", *ARCHITECTURES]:

    @check(f"{name}: an adapter trained here gives the same logits in PEFT")
    def _(name=name):
        model, out = fixture_model(name), work / f"{name}-trained"
        # A rate at which B is far from zero after six steps.
        cli("dpo", "--model", model, "--data", pairs(), "--out", out, "--target-modules", "all-linear",
            "--lora-r", 4, "--max-steps", 6, "--batch-size", 4, "--learning-rate", 0.05, "--eval-split", 0)
        base, plain = load(model), their_logits(load(model))
        theirs = their_logits(PeftModel.from_pretrained(base, out))
        [ours] = webalign_logits({"model": model, "adapters": [{"path": out}], "sequences": SEQUENCES})
        moved = float(abs(theirs - plain).max())
        assert moved > 0.1, f"the adapter moved no logit by more than {moved}"
        return agree(ours, theirs)


main(__name__)
