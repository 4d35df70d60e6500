/**
 * A run as a folder for TRL: the same model, rows, settings and first adapter under a short Python script, so that it can
 * be repeated, checked or scaled there. Writes files; it runs no Python.
 */
import { resolve } from 'node:path';
import { InputError } from '../io/errors.ts';
import { type LoraConfig, readAdapter, writeAdapter } from '../io/peft.ts';
import { resolveTargetModules } from '../io/target-modules.ts';
import { freshAdapter, type LinearShape } from '../model/lora.ts';
import { describeModel, linearsOf } from '../model/weights.ts';
import { folderFiles } from '../node/folder.ts';
import { DIVERGENCES, divergenceNamed } from '../objectives/divergences.ts';
import type { DPOConfig, TrainingConfig } from '../train/config.ts';
import type { Method } from './methods.ts';
import { TRL_SCRIPT } from './run-folder.ts';
import { type RunRecord, readRunRecord } from './run-record.ts';
import { readData } from './training-data.ts';

const SETTINGS = 'settings.json';

/** The folder's files, by path, for the run in the folder `run`. Throws {@link InputError} where TRL cannot do the same. */
export async function trlFiles(run: string): Promise<Record<string, Uint8Array>> {
  const { record, method } = await readRunRecord(run);
  const { model, data, evalData, evalSplit, settings, lora } = record;
  const { train, evaluation } = await readData(method, {
    data,
    evalSplit,
    seed: settings.seed,
    ...(evalData === null ? {} : { evalData }),
  });
  return {
    'train.jsonl': jsonl(train),
    ...(evaluation.length > 0 ? { 'eval.jsonl': jsonl(evaluation) } : {}),
    ...(lora ? await adapters(run, model, lora, settings.seed) : {}),
    'requirements.txt': utf8('trl==1.16.0\npeft>=0.18\n'),
    [SETTINGS]: utf8(
      `${JSON.stringify({ model: resolve(model), args: trlArguments(method, record) }, null, 2)}\n`,
    ),
    [TRL_SCRIPT]: utf8(script(method, lora !== null)),
  };
}

/** The adapter as it was before the first step, and as it was at the end. */
async function adapters(run: string, model: string, lora: LoraConfig, seed: number) {
  const { config, architecture } = await describeModel(folderFiles(model));
  const linears = linearsOf(architecture, config);
  const targets = resolveTargetModules(lora.targetModules, [...linears.keys()]);
  const shapes = new Map(targets.map((name) => [name, linears.get(name) as LinearShape]));
  const fresh = freshAdapter(lora, shapes, model, seed);
  const start = writeAdapter({ ...fresh, fanInFanOut: architecture.transposed ?? false });
  const trained = writeAdapter(await readAdapter(folderFiles(run)));
  const below = (folder: string, files: Record<string, Uint8Array>) =>
    Object.fromEntries(Object.entries(files).map(([name, bytes]) => [`${folder}/${name}`, bytes]));
  return { ...below('start', start), ...below('trained', trained) };
}

/** Settings that TRL has under another name or in another form, or not at all; the others only change their spelling. */
type Translation = (settings: TrainingConfig & Partial<DPOConfig>) => Record<string, unknown>;
const TRANSLATED: Readonly<Record<string, Translation>> = {
  shuffleDataset: ({ shuffleDataset }) => ({
    train_sampling_strategy: shuffleDataset ? 'random' : 'sequential',
  }),
  warmupSteps: ({ warmupSteps, warmupRatio }) => ({
    warmup_steps: warmupSteps > 0 ? warmupSteps : warmupRatio,
  }),
  warmupRatio: () => ({}),
  evalSteps: ({ evalSteps }) => (evalSteps > 0 ? { eval_strategy: 'steps', eval_steps: evalSteps } : {}),
  saveSteps: ({ saveSteps }) =>
    saveSteps > 0 ? { save_strategy: 'steps', save_steps: saveSteps } : { save_strategy: 'no' },
  lossType: ({ lossType }) => {
    const names = [lossType].flat();
    return { loss_type: names.length === 1 ? names[0] : names };
  },
  fDivergence: ({ fDivergence = '' }) => {
    const name = divergenceNamed(fDivergence) ?? fDivergence;
    return { f_divergence_type: DIVERGENCES[name]?.alias ?? name };
  },
  ipoTokenMean: ({ ipoTokenMean, lossType }) => {
    if (ipoTokenMean === 1 || ![lossType].flat().includes('ipo')) return {};
    throw new InputError('settings', "TRL's ipo has no sums, only token means", 'Train with ipoTokenMean 1');
  },
};

/** What the script hands to TRL's configuration class. */
function trlArguments({ name }: Method, { settings }: RunRecord): Record<string, unknown> {
  const entries = Object.entries(settings).flatMap(([setting, value]) => {
    const translate = Object.hasOwn(TRANSLATED, setting) ? TRANSLATED[setting] : undefined;
    if (translate) return Object.entries(translate(settings));
    return value === null ? [] : [[snakeCase(setting), value] as const];
  });
  return {
    ...Object.fromEntries(entries),
    // KTO pairs each completion with one of its own batch, so that its rows must stay where they are.
    ...(name === 'kto' ? { train_sampling_strategy: 'sequential' } : {}),
    bf16: false,
    optim: 'adamw_torch',
    logging_steps: 1,
    report_to: 'none',
  };
}

function script({ name, trlModule }: Method, hasAdapter: boolean): string {
  const family = name.toUpperCase();
  const adapter = hasAdapter
    ? `
    parser.add_argument("--adapter", default="start", help="start: as before the first step; trained: as the run left it")`
    : '';
  const attach = hasAdapter
    ? `
    model = PeftModel.from_pretrained(model, HERE / given.adapter, is_trainable=True)`
    : '';
  return `"""A run of \`webalign ${name}\` with TRL: the same model, rows and settings.

    pip install -r requirements.txt
    accelerate launch ${TRL_SCRIPT}

Settings are in ${SETTINGS}. The numbers of the first steps are those of webalign where its rows were taken in the order of
the file (--no-shuffle-dataset); each shuffles in its own way.
"""

import argparse
import json
from pathlib import Path

import torch
from datasets import Dataset
${hasAdapter ? 'from peft import PeftModel\n' : ''}from transformers import AutoModelForCausalLM, AutoTokenizer
from ${trlModule} import ${family}Config, ${family}Trainer

HERE = Path(__file__).resolve().parent


def rows(name):
    path = HERE / name
    if not path.exists():
        return None
    return Dataset.from_list([json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()])


def main():
    settings = json.loads((HERE / "${SETTINGS}").read_text(encoding="utf-8"))
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default=settings["model"], help="folder or name of the model")${adapter}
    parser.add_argument("--out", default=str(HERE / "out"))
    parser.add_argument("--cpu", action="store_true", help="do without a GPU")
    given = parser.parse_args()

    model = AutoModelForCausalLM.from_pretrained(given.model, dtype=torch.float32)${attach}
    tokenizer = AutoTokenizer.from_pretrained(given.model)
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    evaluation = rows("eval.jsonl")
    trainer = ${family}Trainer(
        model=model,
        args=${family}Config(output_dir=given.out, use_cpu=given.cpu, **settings["args"]),
        train_dataset=rows("train.jsonl"),
        eval_dataset=evaluation,
        processing_class=tokenizer,
    )
    trainer.train()
    if evaluation is not None:
        print(json.dumps(trainer.evaluate()))
    trainer.save_model(given.out)


if __name__ == "__main__":
    main()
`;
}

/** Rows under the names that TRL looks for: a text that nothing precedes is "text", or "messages". */
function jsonl(rows: readonly unknown[]): Uint8Array {
  const lines = rows.map((row) => {
    const { where: _, ...columns } = row as Record<string, unknown>;
    if (columns.prompt !== undefined || columns.completion === undefined) return JSON.stringify(columns);
    return JSON.stringify({
      [typeof columns.completion === 'string' ? 'text' : 'messages']: columns.completion,
    });
  });
  return utf8(`${lines.join('\n')}\n`);
}

function snakeCase(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

function utf8(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}
