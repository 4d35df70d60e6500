"""What the files of checks share: how a check is told, how webalign is asked, models to try.

    from interop import check, main

    @check("what is compared")
    def _():
        error = ...
        assert error < 1e-4, error
        return f"relative L2 {error:.1e}"      # shown behind the name

    main(__name__)

A check prints one line: `ok NAME`, `FAILED NAME: why` or `skipped NAME: why`. It is skipped by raising Skip, by `need` where
a package or file is missing, and with slow=True where nobody asked for slow ones.
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
    """`a_day` of the names, others tomorrow, so that the checks stay short; WEBALIGN_SLICE=all gives all of them."""
    if os.environ.get("WEBALIGN_SLICE") == "all":
        return list(names)
    first = int(time.time() // 86_400) * a_day
    return [names[(first + i) % len(names)] for i in range(min(a_day, len(names)))]


# The fixtures' own helpers (fixture_lib, fixture_architectures) are used as they are.
sys.path.append(str(FIXTURES))

# Of this process, removed at its end.
work = Path(tempfile.mkdtemp(prefix="webalign-interop-"))
_checks = []


class Skip(Exception):
    """Why a check cannot be made here."""


def need(what):
    """A package by its module's name, or a file by its path."""
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
    """Runs the checks of a file and ends the process: with 1 where one failed."""
    if module != "__main__":
        return
    failed = 0
    for name, slow, function in _checks:
        start = time.monotonic()
        try:
            if slow and not os.environ.get("INTEROP_SLOW"):
                raise Skip("takes minutes, ask for it with --slow")
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
    """Runs a command of webalign; what it says with --json."""
    return json.loads(node(ROOT / "dist/cli.js", *args, "--json").strip().split("\n")[-1])


def node(script, *args):
    """Runs a script in Node; its stdout."""
    done = subprocess.run(["node", str(script), *map(str, args)], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, f"{Path(script).name} {' '.join(map(str, args))}: {done.stdout[-2000:]}{done.stderr[-2000:]}"
    return done.stdout


def write_lines(path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    return path


def tokenizer_files():
    """A tokenizer of fewer tokens than the fixtures' models have, for commands that want one."""
    fixture = json.loads((FIXTURES / "trl-pairs.json").read_text())
    return {"tokenizer.json": fixture["tokenizer"], "tokenizer_config.json": fixture["tokenizerConfig"]}


def with_tokenizer(folder):
    for name, contents in tokenizer_files().items():
        (folder / name).write_text(json.dumps(contents))
    return folder


def fixture_model(name):
    """The folder of a fixture's model: `tiny-llama`, or one of ARCHITECTURES. `adapter` lies below it."""
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
    """A file of pairs in words that the fixtures' tokenizer knows."""
    word = lambda i: WORDS[i % len(WORDS)]  # noqa: E731
    rows = [
        {"prompt": "the sky" + word(i), "chosen": word(1 + i % 3) + word(i + 2), "rejected": word(4 + i % 2) + word(i)}
        for i in range(12)
    ]
    return write_lines(work / "pairs.jsonl", rows)


def token_ids(sequences, length, vocabulary, seed=1):
    """Random sequences, which begin with token 1."""
    numbers = np.random.default_rng(seed)
    return [[1, *map(int, numbers.integers(3, vocabulary, length - 1))] for _ in range(sequences)]


def webalign_logits(*jobs):
    """
    Logits (tokens, V) of each job in one process, all sequences' tokens one after the other. A job is {"model", "sequences",
    "adapters": [{"path", "factor"}]}, or has in place of the last "named": {name: path} and "order", the names to swap to,
    and then rows for each of them.
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
    """Holds logits to `bound` by relative L2, and the likeliest token of every row; tells the figures."""
    error = relative_l2(actual, expected)
    same = int((actual.argmax(-1) == expected.argmax(-1)).sum())
    assert error <= bound, f"relative L2 {error:.2e} is above {bound}"
    assert same == len(expected), f"the likeliest token is the same for {same} of {len(expected)}"
    return f"relative L2 {error:.1e}, top-1 {same}/{len(expected)}"
