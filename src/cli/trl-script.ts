/**
 * The text of the scripts that repeat a run with TRL: one in Python per run, and one in sh for a run in stages. Their input
 * files are written by `trl-export.ts`; nothing is run here.
 */
import type { TrlTrainer } from './method.ts';
import { TRL_SCRIPT } from './run-folder.ts';

export interface ScriptOptions {
  /** Whether an adapter is trained, rather than all weights. */
  hasAdapter: boolean;
  /** Whether token ids are given, to be used instead of TRL's own. */
  hasIds: boolean;
  /** The file of settings. */
  settings: string;
}

/** The lines that only some runs need. */
const ADAPTER_ARGUMENTS = `
    parser.add_argument("--adapter", default="start", help="start: before the first step; trained: after the run")
    below = sorted(map(str, (HERE / "below").glob("*")))
    parser.add_argument("--below", nargs="*", default=below, help="adapters to merge into the model first")`;

const ADAPTERS = `
    for folder in given.below:
        model = PeftModel.from_pretrained(model, folder).merge_and_unload()
    model = PeftModel.from_pretrained(model, HERE / given.adapter, is_trainable=True)`;

const TOKEN_IDS = `
    # The ids that the run was trained on, whatever TRL has made of the text.
    trainer.train_dataset = rows("train.ids.jsonl")
    trainer.eval_dataset = rows("eval.ids.jsonl")`;

export function trainingScript(
  name: string,
  { module, prefix, model: { loader, options } }: TrlTrainer,
  { hasAdapter, hasIds, settings }: ScriptOptions,
): string {
  return `"""A run of \`webalign ${name}\` with TRL: the same model, rows and settings.

    pip install -r requirements.txt
    accelerate launch ${TRL_SCRIPT}

Settings are in ${settings}. The numbers of the first steps are those of webalign where its rows were taken in the order of
the file (--no-shuffle-dataset); each shuffles in its own way.
"""

import argparse
import json
from pathlib import Path

import torch
from datasets import Dataset
${hasAdapter ? 'from peft import PeftModel\n' : ''}from transformers import ${loader}, AutoTokenizer
from ${module} import ${prefix}Config, ${prefix}Trainer

HERE = Path(__file__).resolve().parent


def rows(name):
    path = HERE / name
    if not path.exists():
        return None
    return Dataset.from_list([json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()])


def main():
    settings = json.loads((HERE / "${settings}").read_text(encoding="utf-8"))
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default=settings["model"], help="folder or name of the model")
    parser.add_argument("--revision", default=settings["revision"], help="of a Hub model")${hasAdapter ? ADAPTER_ARGUMENTS : ''}
    parser.add_argument("--out", default=str(HERE / "out"))
    parser.add_argument("--cpu", action="store_true", help="run without a GPU")
    given = parser.parse_args()

    model = ${loader}.from_pretrained(given.model, revision=given.revision, dtype=torch.float32${options})${hasAdapter ? ADAPTERS : ''}
    tokenizer = AutoTokenizer.from_pretrained(given.model, revision=given.revision)
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    evaluation = rows("eval.jsonl")
    trainer = ${prefix}Trainer(
        model=model,
        args=${prefix}Config(output_dir=given.out, use_cpu=given.cpu, **settings["args"]),
        train_dataset=rows("train.jsonl"),
        eval_dataset=evaluation,
        processing_class=tokenizer,
    )${hasIds ? TOKEN_IDS : ''}
    trainer.train()
    if evaluation is not None:
        print(json.dumps(trainer.evaluate()))
    trainer.save_model(given.out)


if __name__ == "__main__":
    main()
`;
}

/** Runs every stage on top of TRL's results for the earlier ones. */
export function stagesScript(stages: readonly string[]): string {
  const lines = stages.map((stage, i) => {
    const below = stages.slice(0, i).map((name) => ` ${name}/out`);
    return `accelerate launch ${stage}/${TRL_SCRIPT}${below.length > 0 ? ` --below${below.join('')}` : ''} "$@"`;
  });
  return `#!/bin/sh
# The stages of \`webalign sacpo\` with TRL, one after the other, each on top of TRL's results for the earlier ones. Each can
# be run by itself too: then those before are as webalign left them.
set -e
cd "$(dirname "$0")"
${lines.join('\n')}
`;
}
