"""Helpers for the files of checks: register and run checks, run webalign, make test models.

    from interop import check, main

    @check("claim that the check tests")
    def _():
        error = ...
        assert error < 1e-4, error
        return f"relative L2 {error:.1e}"      # printed after the name

    main(__name__)

A check prints one line: `ok NAME`, `FAILED NAME: why` or `skipped NAME: why`. It is skipped if it raises Skip, if `need` finds
a package or file missing, and if it has slow=True and slow checks were not requested.
"""

import base64
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
import textwrap
import time
import traceback
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
FIXTURES = ROOT / "test/fixtures"
SHARED = ROOT.parent / "shared"
ARCHITECTURES = sorted(path.stem for path in (FIXTURES / "architectures").glob("*.json"))


def in_turn(names, a_day):
    """`a_day` of the names, different ones each day, to keep the checks short. With WEBALIGN_SLICE=all, all names."""
    if os.environ.get("WEBALIGN_SLICE") == "all":
        return list(names)
    first = int(time.time() // 86_400) * a_day
    return [names[(first + i) % len(names)] for i in range(min(a_day, len(names)))]


# The checks import helpers of the fixtures (fixture_lib, fixture_architectures).
sys.path.append(str(FIXTURES))

# Temporary folder of this process, removed at its end.
work = Path(tempfile.mkdtemp(prefix="webalign-interop-"))
_checks = []


class Skip(Exception):
    """The reason why a check cannot run."""


def need(what):
    """Skips the check if a package (a module name) or a file (a Path) is missing; returns `what`."""
    missing = not what.exists() if isinstance(what, Path) else importlib.util.find_spec(what) is None
    if missing:
        raise Skip(f"no {what}")
    return what


def check(name, slow=False):
    def collect(function):
        _checks.append((name, slow, function))
        return function

    return collect


def main(module):
    """Runs the checks of a file and exits, with code 1 if a check failed."""
    if module != "__main__":
        return
    failed = 0
    for name, slow, function in _checks:
        start = time.monotonic()
        try:
            if slow and not os.environ.get("INTEROP_SLOW"):
                raise Skip("takes minutes; run it with --slow")
            figures = function()
            print(f"ok {name}{f': {figures}' if figures else ''} ({time.monotonic() - start:.1f} s)")
        except Skip as reason:
            print(f"skipped {name}: {reason}")
        except Exception as error:
            failed += 1
            print(textwrap.indent(traceback.format_exc(), "  "), end="")
            print(f"FAILED {name}: {' '.join(str(error).split()) or type(error).__name__}")
    shutil.rmtree(work, ignore_errors=True)
    sys.exit(1 if failed else 0)


def cli(*args):
    """Runs a webalign command with --json; returns the parsed result."""
    return json.loads(node(ROOT / "dist/cli.js", *args, "--json").strip().split("\n")[-1])


def node(script, *args):
    """Runs a script in Node; returns its stdout."""
    done = subprocess.run(["node", str(script), *map(str, args)], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, f"{Path(script).name} {' '.join(map(str, args))}: {done.stdout[-2000:]}{done.stderr[-2000:]}"
    return done.stdout


def write_lines(path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    return path


def tokenizer_files():
    """A tokenizer with fewer tokens than the fixtures' models have, for commands that need one."""
    fixture = json.loads((FIXTURES / "trl-pairs.json").read_text())
    return {"tokenizer.json": fixture["tokenizer"], "tokenizer_config.json": fixture["tokenizerConfig"]}


def with_tokenizer(folder):
    for name, contents in tokenizer_files().items():
        (folder / name).write_text(json.dumps(contents))
    return folder


def fixture_model(name):
    """The folder of a fixture's model: `tiny-llama`, or one of ARCHITECTURES. It contains the folder `adapter`."""
    folder = work / name
    if folder.exists():
        return folder
    if name not in ARCHITECTURES:
        shutil.copytree(FIXTURES / name, folder)
        return with_tokenizer(folder)
    fixture = json.loads((FIXTURES / f"architectures/{name}.json").read_text())
    (folder / "adapter").mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(fixture["config"]))
    (folder / "model.safetensors").write_bytes(base64.b64decode(fixture["weights"]))
    (folder / "adapter/adapter_config.json").write_text(json.dumps(fixture["adapterConfig"]))
    (folder / "adapter/adapter_model.safetensors").write_bytes(base64.b64decode(fixture["adapterWeights"]))
    return with_tokenizer(folder)


WORDS = ["the sky", " is blue", " is red.", " the end", " a same thing", " skying", " blue blue"]


def pairs():
    """A file of preference pairs whose words the fixtures' tokenizer knows."""
    word = lambda i: WORDS[i % len(WORDS)]  # noqa: E731
    rows = [
        {"prompt": "the sky" + word(i), "chosen": word(1 + i % 3) + word(i + 2), "rejected": word(4 + i % 2) + word(i)}
        for i in range(12)
    ]
    return write_lines(work / "pairs.jsonl", rows)


def token_ids(sequences, length, vocabulary, seed=1):
    """Random sequences that begin with token 1."""
    numbers = np.random.default_rng(seed)
    return [[1, *map(int, numbers.integers(3, vocabulary, length - 1))] for _ in range(sequences)]


def webalign_logits(*jobs):
    """
    Logits (tokens, V) of each job, all computed in one process; the tokens of all sequences are concatenated. A job is
    {"model", "sequences", "adapters": [{"path", "factor"}]}. Instead of "adapters" it can have "named": {name: path} and
    "order", the names to switch to; the result then has the rows of each of them.
    """
    outs = [work / f"logits-{i}.bin" for i in range(len(jobs))]
    listed = [{**job, "model": str(job["model"]), "out": str(out)} for job, out in zip(jobs, outs, strict=True)]
    (work / "jobs.json").write_text(json.dumps(listed, default=str))
    node(HERE / "logits.mjs", work / "jobs.json")
    rows = [sum(map(len, job["sequences"])) * len(job.get("order", [0])) for job in jobs]
    return [np.fromfile(out, "<f4").reshape(count, -1) for out, count in zip(outs, rows, strict=True)]


def relative_l2(actual, expected):
    actual, expected = (np.asarray(values, np.float64) for values in (actual, expected))
    return float(np.linalg.norm(actual - expected) / np.linalg.norm(expected))


def agree(actual, expected, bound=1e-4):
    """Asserts that the relative L2 error of the logits is at most `bound` and that all top-1 tokens agree; returns the figures."""
    error = relative_l2(actual, expected)
    same = int((actual.argmax(-1) == expected.argmax(-1)).sum())
    assert error <= bound, f"relative L2 {error:.2e} is above {bound}"
    assert same == len(expected), f"top-1 tokens agree for {same} of {len(expected)} rows"
    return f"relative L2 {error:.1e}, top-1 {same}/{len(expected)}"
