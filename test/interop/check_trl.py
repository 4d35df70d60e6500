"""Repeats runs that were exported with `export --format trl` in TRL on the CPU: the losses of the first steps must be equal."""

import contextlib
import importlib.util
import io
import json
import os
import subprocess
import sys
from pathlib import Path

from interop import check, cli, fixture_model, main, need, pairs, work, write_lines

# Tolerance for a mean of a few log-probabilities in float32, after one or two steps with a large learning rate.
BOUND = 1e-4
SHORT = ["--no-shuffle-dataset", "--max-steps", 3, "--batch-size", 4, "--learning-rate", 0.01, "--eval-split", 4]


def labelled():
    rows = [json.loads(line) for line in pairs().read_text().splitlines()]
    return write_lines(
        work / "labelled.jsonl",
        [
            {"prompt": row["prompt"], "completion": row["chosen" if i % 2 else "rejected"], "label": bool(i % 2)}
            for i, row in enumerate(rows + rows)
        ],
    )


def texts():
    rows = [json.loads(line) for line in pairs().read_text().splitlines()]
    return write_lines(work / "texts.jsonl", [{"text": row["prompt"] + row["chosen"]} for row in rows])


def repeated(folder, *args):
    """Runs the script of `folder` in this process; returns the losses of its steps and of its evaluation."""
    spec = importlib.util.spec_from_file_location("train", folder / "train.py")
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    [name] = [name for name in vars(script) if name.endswith("Trainer")]
    made = []

    class Kept(getattr(script, name)):
        def train(self):
            made.append(self)
            return super().train()

    setattr(script, name, Kept)
    before, sys.argv = sys.argv, [str(folder / "train.py"), "--cpu", *map(str, args)]
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            script.main()
    finally:
        sys.argv = before
    log = made[0].state.log_history
    steps = [entry["loss"] for entry in log if "loss" in entry]
    held = [entry["eval_loss"] for entry in log if "eval_loss" in entry]
    return steps, held[-1]


def compared(summary, theirs):
    """Compares the losses of the first step, the last step and the held-out rows in --json with TRL's."""
    steps, held = theirs
    ours = [summary["loss"]["first"], summary["loss"]["last"], summary["eval"]["loss"]]
    # For losses above 1 the tolerance is relative: IPO's loss is near 100 here, where float32 values are 8e-6 apart.
    difference = max(abs(a - b) / max(1, abs(b)) for a, b in zip(ours, [steps[0], steps[-1], held], strict=True))
    assert difference <= BOUND, f"ours {ours}, TRL's {[steps[0], steps[-1], held]}"
    return f"first {steps[0]:.6f}, last {steps[-1]:.6f}, held out {held:.6f}, largest difference {difference:.1e}"


def exported(run, *more):
    out = Path(f"{run}-trl")
    cli("export", "--format", "trl", "--adapter", run, "--out", out, "--overwrite", *more)
    return out


TURNS = (
    "{% for m in messages %}{% if m.role == 'assistant' %}{% generation %}{{ m.content + eos_token }}{% endgeneration %}"
    "{% else %}{{ m.content }}{% endif %}{% endfor %}"
)


def conversations():
    """A file of conversations; also gives the model a template that marks the assistant's turns."""
    rows = [json.loads(line) for line in pairs().read_text().splitlines()]
    (fixture_model("tiny-llama") / "chat_template.jinja").write_text(TURNS)
    turns = lambda row: [  # noqa: E731
        {"role": role, "content": row[column]}
        for role, column in zip(["user", "assistant"] * 2, ["prompt", "chosen", "prompt", "rejected"], strict=True)
    ]
    return write_lines(work / "conversations.jsonl", [{"messages": turns(row)} for row in rows])


LD_LIST = ["--ld-alpha", 0.4, "--loss", "sigmoid,sft", "--loss-weights", "1,0.3", "--gradient-accumulation-steps", 2]
RUNS = {
    "dpo": (pairs, []),
    "dpo --ld-alpha": (pairs, LD_LIST),
    "kto": (labelled, []),
    "sft": (texts, []),
    "cpo": (pairs, []),
    "reward-model": (pairs, ["--scored-token", "last_non_pad"]),
    "sft --assistant-only-loss": (conversations, ["--assistant-only-loss"]),
}
for title, (data, more) in RUNS.items():

    @check(f"{title}: TRL computes the same losses")
    def _(method=title.split()[0], title=title, data=data, more=more):
        run = work / f"run-{title.replace(' ', '')}"
        args = ["--model", fixture_model("tiny-llama"), "--data", data(), "--out", run]
        return compared(cli(method, *args, *SHORT, *more), repeated(exported(run)))


@check("dpo --init-adapter: TRL computes the same losses, with the initial adapter as the reference")
def _():
    model, run = fixture_model("tiny-llama"), work / "run-continued"
    args = ["--model", model, "--init-adapter", model / "adapter", "--data", pairs(), "--out", run]
    return compared(cli("dpo", *args, *SHORT), repeated(exported(run)))


@check("dpo --token-ids: TRL trains on the exported ids")
def _():
    run = work / "run-dpo"
    assert run.exists(), "the run of dpo was not found: its check has to run first"
    folder = exported(run, "--token-ids")
    before = repeated(folder)
    # The same ids with other text: the losses must not depend on the text.
    write_lines(folder / "train.jsonl", [{"prompt": "the", "chosen": " end", "rejected": " sky"}] * 4)
    assert repeated(folder) == before
    return f"first {before[0][0]:.6f}"


@check("sacpo: TRL computes the same losses in both stages, the second one on webalign's adapter of the first")
def _():
    stage = {"maxSteps": 3, "perDeviceTrainBatchSize": 4, "learningRate": 0.01, "evalSplit": 4, "shuffleDataset": False}
    stages = [
        {"name": "reward", "data": str(pairs()), **stage},
        {"name": "safety", "data": str(pairs()), "lossType": "ipo", "lambda": 2, "seed": 3, **stage},
    ]
    (work / "stages.json").write_text(json.dumps({"stages": stages}))
    run = work / "run-sacpo"
    told = cli("sacpo", "--model", fixture_model("tiny-llama"), "--stages", work / "stages.json", "--out", run)
    folder = exported(run)
    figures = [
        compared(summary, repeated(folder / f"{i + 1}-{summary['name']}")) for i, summary in enumerate(told["stages"])
    ]
    # The second stage once more, on the adapter that TRL trained in the first.
    steps, _ = repeated(folder / "2-safety", "--below", folder / "1-reward/out")
    assert abs(steps[0] - told["stages"][1]["loss"]["first"]) <= BOUND, steps
    return "; then ".join(figures)


@check("align: TRL computes the same losses for the embedded model")
def _():
    run = work / "run-align"
    summary = cli("align", "--quick", "--no-shuffle-dataset", "--out", run)
    return compared(summary, repeated(exported(run)))


@check("online-dpo: TRL samples and trains once the reward functions are filled in")
def _():
    rows = [{"prompt": json.loads(line)["prompt"], "length": i} for i, line in enumerate(pairs().read_text().splitlines())]
    data, run = write_lines(work / "prompts.jsonl", rows), work / "run-online-dpo"
    given = ["--model", fixture_model("tiny-llama"), "--data", data, "--out", run, "--reward", "sentiment"]
    cli("online-dpo", *given, *SHORT, "--max-completion-length", 5)
    folder = exported(run)
    spec = importlib.util.spec_from_file_location("train", folder / "train.py")
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    before, sys.argv = sys.argv, [str(folder / "train.py"), "--cpu"]
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            try:
                script.main()
            except NotImplementedError as error:
                assert "sentiment" in str(error), error
            else:
                raise AssertionError("train.py ran although the reward is not implemented")
            sys.modules["rewards"].REWARDS[:] = [
                lambda prompts, completions, length, **_: [float(len(text) + n) for text, n in zip(completions, length, strict=True)]
            ]
            script.main()
    finally:
        sys.argv = before
    written = folder / "out/adapter_model.safetensors"
    assert written.exists(), "no adapter was written"


@check("accelerate launch train.py works as documented")
def _():
    need("accelerate")
    folder = exported(work / "run-dpo")
    command = [sys.executable, "-m", "accelerate.commands.launch", "--cpu", "train.py", "--cpu"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    assert done.returncode == 0, done.stderr[-1500:]
    written = folder / "out/adapter_model.safetensors"
    assert written.exists(), "no adapter was written"


main(__name__)
