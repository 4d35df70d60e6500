"""PyTorch and TRL on the processor, on jobs of the bench: writing, a step of DPO, a step of RLOO, on the embedded model's shape.

Eager, float32, random weights, PEFT's LoRA of rank 8 on all linear layers; the trainers are TRL's, unmodified. Prints one JSON
object per line: the bench's id of the case, the median time in milliseconds, and the library. Writes no file.

    python test/bench/trl_peer.py [--only NAME] [--gguf FILE]

With --gguf and the package llama-cpp-python, llama.cpp writes too. The file must have the embedded model's shape:
`npx webalign export --format gguf` makes one.
"""

import argparse
import json
import logging
import math
import os
import random
import statistics
import tempfile
import time
import warnings
from pathlib import Path

os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
warnings.filterwarnings("ignore")
logging.disable(logging.WARNING)

import torch  # noqa: E402
import transformers  # noqa: E402
import trl  # noqa: E402
from datasets import Dataset  # noqa: E402
from peft import LoraConfig  # noqa: E402
from tokenizers import Tokenizer  # noqa: E402
from tokenizers.models import WordLevel  # noqa: E402
from tokenizers.pre_tokenizers import WhitespaceSplit  # noqa: E402

CONFIG = Path(__file__).parents[2] / "demos/align/model/config.json"
NEW_TOKENS = 32
SAMPLES = 7
TRAINED_BY = f"TRL {trl.__version__} on PyTorch {torch.__version__.split('+')[0]}"
WRITTEN_BY = f"transformers {transformers.__version__} on PyTorch {torch.__version__.split('+')[0]}"


def embedded():
    """The embedded model's shape with random weights, in float32."""
    config = transformers.LlamaConfig(**json.loads(CONFIG.read_text()))
    torch.manual_seed(1)
    return transformers.LlamaForCausalLM(config).float().eval()


def word_tokenizer(size):
    """A tokenizer with one token per word: w17 is token 17."""
    words = {"<pad>": 0, "<s>": 1, "</s>": 2, **{f"w{index}": index for index in range(3, size)}}
    tokenizer = Tokenizer(WordLevel(words, unk_token="<pad>"))
    tokenizer.pre_tokenizer = WhitespaceSplit()
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", bos_token="<s>", eos_token="</s>"
    )


def words(draw, count, size):
    return " ".join(f"w{draw.randrange(3, size)}" for _ in range(count))


class StepTimes(transformers.TrainerCallback):
    """Seconds of each optimizer step, data and rollout included."""

    def __init__(self):
        self.ends = []

    def on_train_begin(self, *_, **__):
        self.ends.append(time.perf_counter())

    def on_step_end(self, *_, **__):
        self.ends.append(time.perf_counter())

    def median(self):
        seconds = [end - begin for begin, end in zip(self.ends, self.ends[1:], strict=False)]
        # The first steps allocate.
        return statistics.median(seconds[2:])


def trained(trainer_class, config_class, rows, settings, **more):
    """Milliseconds of a step of one of TRL's trainers."""
    model = embedded()
    times = StepTimes()
    with tempfile.TemporaryDirectory() as folder:
        trainer = trainer_class(
            model=model,
            args=config_class(
                output_dir=folder,
                use_cpu=True,
                bf16=False,
                gradient_checkpointing=False,
                max_steps=2 + SAMPLES,
                learning_rate=1e-4,
                save_strategy="no",
                report_to="none",
                disable_tqdm=True,
                dataloader_pin_memory=False,
                logging_strategy="no",
                **settings,
            ),
            train_dataset=Dataset.from_list(rows),
            processing_class=word_tokenizer(model.config.vocab_size),
            peft_config=LoraConfig(
                r=8, lora_alpha=16, target_modules="all-linear", lora_dropout=0.0, task_type="CAUSAL_LM"
            ),
            callbacks=[times],
            **more,
        )
        trainer.train()
    return 1000 * times.median()


def dpo_step():
    """4 pairs, prompts and completions of 32 tokens. The reference is computed in each step, as by TRL's default."""
    draw, size = random.Random(1), embedded().config.vocab_size
    rows = [{name: words(draw, 32, size) for name in ("prompt", "chosen", "rejected")} for _ in range(64)]
    return trained(trl.DPOTrainer, trl.DPOConfig, rows, {"per_device_train_batch_size": 4, "max_length": None})


def rloo_step(group):
    """8 prompts of 8 tokens, `group` completions each of at most 40 tokens."""
    draw, size = random.Random(2), embedded().config.vocab_size
    rows = [{"prompt": words(draw, 8, size)} for _ in range(128)]
    settings = {
        "per_device_train_batch_size": 8 * group,
        "num_generations": group,
        "max_completion_length": 40,
    }

    def spread(completion_ids, **_):
        return [math.sin(sum(ids)) for ids in completion_ids]

    return trained(trl.RLOOTrainer, trl.RLOOConfig, rows, settings, reward_funcs=spread)


@torch.inference_mode()
def written(rows):
    """The likeliest 32 tokens after `rows` prompts of 16."""
    model = embedded()
    ids = torch.randint(3, model.config.vocab_size, (rows, 16), generator=torch.Generator().manual_seed(1))
    seconds = []
    for _ in range(2 + SAMPLES):
        begin = time.perf_counter()
        model.generate(ids, do_sample=False, min_new_tokens=NEW_TOKENS, max_new_tokens=NEW_TOKENS, pad_token_id=0)
        seconds.append(time.perf_counter() - begin)
    return 1000 * statistics.median(seconds[2:])


def written_by_llama(file):
    """The same by llama.cpp, one sequence at a time."""
    from llama_cpp import Llama

    model = Llama(file, n_ctx=128, verbose=False)
    draw = random.Random(3)
    seconds = []
    for _ in range(2 + SAMPLES):
        prompt = [draw.randrange(3, model.n_vocab()) for _ in range(16)]
        begin = time.perf_counter()
        model.reset()
        for count, _ in enumerate(model.generate(prompt, temp=0.0), 1):
            if count == NEW_TOKENS:
                break
        seconds.append(time.perf_counter() - begin)
    return 1000 * statistics.median(seconds[2:])


def main():
    cli = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    cli.add_argument("--only", action="append", help="part of the ids of the cases to run; may be repeated")
    cli.add_argument("--gguf", help="a model of the embedded model's shape, for llama.cpp")
    args = cli.parse_args()
    jobs = [
        ("step embedded model", TRAINED_BY, dpo_step),
        *((f"step of RLOO, 8 × {group} × 40", TRAINED_BY, lambda group=group: rloo_step(group)) for group in (4, 8)),
        *(
            (f"writing the likeliest, {rows} at a time", WRITTEN_BY, lambda rows=rows: written(rows))
            for rows in (1, 16, 64)
        ),
    ]
    if args.gguf:
        jobs.append(("writing the likeliest, 1 at a time", "llama.cpp", lambda: written_by_llama(args.gguf)))
    for name, by, measure in jobs:
        if not args.only or any(part in name for part in args.only):
            print(json.dumps({"id": name, "by": by, "milliseconds": round(measure(), 1)}), flush=True)


if __name__ == "__main__":
    main()
