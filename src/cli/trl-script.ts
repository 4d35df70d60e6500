/**
 * The text of the scripts that repeat a run with TRL: one in Python per run, and one in sh for a run in stages. Their input
 * files are written by `trl-export.ts`; nothing is run here.
 */
import { TRL_SCRIPT } from './trl-parts.ts';
import type { TrlTrainer } from './trl-trainers.ts';

export interface ScriptOptions {
  /** Whether an adapter is trained, rather than all weights. */
  hasAdapter: boolean;
  /** Whether token ids are given, to be used instead of TRL's own. */
  hasIds: boolean;
  /** The file of settings. */
  settings: string;
  /** Whether the script continues the run instead of repeating it: its plan and the moments are in the script's folder. */
  goesOn?: boolean;
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
    # The token ids of the run, instead of TRL's own tokenization.
    trainer.train_dataset = rows("train.ids.jsonl")
    trainer.eval_dataset = rows("eval.ids.jsonl")`;

const SAMPLES = (
  settings: string,
) => `Settings are in ${settings}. Write the rewards in rewards.py first. TRL samples its own completions, so its numbers differ
from webalign's.`;

const REPEATS = (
  settings: string,
) => `Settings are in ${settings}. The numbers of the first steps equal webalign's if its run used the order of the file
(--no-shuffle-dataset); otherwise the two shuffle differently.`;

const GOES_ON = (
  settings: string,
) => `Settings are in ${settings}. plan.json has the rows and the learning rate of each remaining step, in webalign's order.
moments.safetensors has both moments of AdamW, and plan.json the number of its steps, so that the optimizer continues; without
moments.safetensors it starts again. A run has no other state. Use one process: several would take every step several times.`;

const GOING_ON = (prefix: string) => `

class GoingOn(${prefix}Trainer):
    """Takes the remaining steps."""

    plan = json.loads((HERE / "plan.json").read_text(encoding="utf-8"))

    def get_train_dataloader(self):
        if self.accelerator.num_processes > 1:
            raise RuntimeError("launch one process: accelerate launch --num_processes 1")
        return DataLoader(self.train_dataset, batch_sampler=self.plan["batches"], collate_fn=self.data_collator)

    def create_optimizer(self, *given):
        optimizer = super().create_optimizer(*given)
        moments = HERE / "moments.safetensors"
        if not moments.exists():
            return optimizer
        kept = load_file(moments)
        for name, parameter in self.model.named_parameters():
            key = name.replace(".default.", ".")
            if parameter.requires_grad:
                first, second = (kept[f"{which}/{key}"].view_as(parameter) for which in ("first", "second"))
                optimizer.state[parameter] = {
                    "step": torch.tensor(float(self.plan["step"])),
                    "exp_avg": first.to(parameter.device),
                    "exp_avg_sq": second.to(parameter.device),
                }
        return optimizer

    def create_scheduler(self, num_training_steps, optimizer=None):
        rates, peak = self.plan["learning_rates"], self.args.learning_rate
        shares = [rate / peak if peak > 0 else 0.0 for rate in rates]
        self.lr_scheduler = LambdaLR(optimizer or self.optimizer, lambda step: shares[min(step, len(shares) - 1)])
        return self.lr_scheduler
`;

const EVALUATION = `    evaluation = rows("eval.jsonl")`;
const EVALUATED = `
    if evaluation is not None:
        print(json.dumps(trainer.evaluate()))`;
const REWARDS = `    sys.path.insert(0, str(HERE))
    from rewards import REWARDS
`;

/** Comes after the trainer's construction, because its reference is the initial adapter of the run. */
const AS_TRAINED = `
    set_peft_model_state_dict(trainer.model, load_file(HERE / "trained" / "adapter_model.safetensors"))`;

export function trainingScript(
  name: string,
  { module, prefix, model: { loader, options }, hasRewards = false }: TrlTrainer,
  { hasAdapter, hasIds, settings, goesOn = false }: ScriptOptions,
): string {
  const imports = goesOn
    ? 'from peft import PeftModel, set_peft_model_state_dict\nfrom safetensors.torch import load_file\nfrom torch.optim.lr_scheduler import LambdaLR\nfrom torch.utils.data import DataLoader\n'
    : hasAdapter
      ? 'from peft import PeftModel\n'
      : '';
  return `"""A run of \`webalign ${name}\` with TRL: ${goesOn ? 'continues with the same' : 'the same'} model, rows and settings.

    pip install -r requirements.txt
    accelerate launch ${goesOn ? '--num_processes 1 ' : ''}${TRL_SCRIPT}

${(goesOn ? GOES_ON : hasRewards ? SAMPLES : REPEATS)(settings)}
"""

import argparse
import json
${hasRewards ? 'import sys\n' : ''}from pathlib import Path

import torch
from datasets import Dataset
${imports}from transformers import ${loader}, AutoTokenizer
from ${module} import ${prefix}Config, ${prefix}Trainer

HERE = Path(__file__).resolve().parent


def rows(name):
    path = HERE / name
    if not path.exists():
        return None
    return Dataset.from_list([json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()])
${goesOn ? GOING_ON(prefix) : ''}

def main():
    settings = json.loads((HERE / "${settings}").read_text(encoding="utf-8"))
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default=settings["model"], help="folder or name of the model")
    parser.add_argument("--revision", default=settings["revision"], help="revision of a Hub model")${hasAdapter ? ADAPTER_ARGUMENTS : ''}
    parser.add_argument("--out", default=str(HERE / "out"))
    parser.add_argument("--cpu", action="store_true", help="run without a GPU")
    given = parser.parse_args()

    model = ${loader}.from_pretrained(given.model, revision=given.revision, dtype=torch.float32${options})${hasAdapter ? ADAPTERS : ''}
    tokenizer = AutoTokenizer.from_pretrained(given.model, revision=given.revision)
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
${hasRewards ? REWARDS : EVALUATION}
    trainer = ${goesOn ? 'GoingOn' : `${prefix}Trainer`}(
        model=model,
        args=${prefix}Config(output_dir=given.out, use_cpu=given.cpu, **settings["args"]),
        train_dataset=rows("train.jsonl"),
        ${hasRewards ? 'reward_funcs=REWARDS' : 'eval_dataset=evaluation'},
        processing_class=tokenizer,
    )${hasIds ? TOKEN_IDS : ''}${goesOn ? AS_TRAINED : ''}
    trainer.train()${hasRewards ? '' : EVALUATED}
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
# Runs the stages of \`webalign sacpo\` with TRL, one after the other, each on top of TRL's results for the earlier ones. You can
# also run a single stage: it then starts from webalign's results for the earlier ones.
set -e
cd "$(dirname "$0")"
${lines.join('\n')}
`;
}
