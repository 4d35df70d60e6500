/** The trainer of each method, on data sets of token ids that are made of the judgments. */
import type { Tokenizer } from 'webalign';
import type { CheckpointStore, ReferenceCache } from 'webalign/files';
import type { Adapter, CausalLM, LoraArgs } from 'webalign/models';
import type { Reward } from 'webalign/rollouts';
import { DPOTrainer, KTOTrainer, ORPOTrainer, SFTTrainer, type Trainer } from 'webalign/trainers';
import type { MethodName } from './methods.ts';
import { examplesOf } from './online/run.ts';
import { PickTrainer } from './online/trainer.ts';
import { tokensFor } from './planning.ts';
import { policyTrainer } from './policy/trainer.ts';
import type { Judgment } from './preferences/judgment.ts';
import { labelRows, pairRows, textRows } from './preferences/rows.ts';
import { type Ending, pairIds, sequenceIds } from './tokens.ts';

/** Everything that a trainer is made of. */
export interface TrainerParts {
  model: CausalLM;
  tokenizer: Tokenizer;
  train: readonly Judgment[];
  heldOut: readonly Judgment[];
  /** Settings under TRL's names. */
  args: Readonly<Record<string, unknown>>;
  peftConfig: LoraArgs | Adapter;
  checkpoint: CheckpointStore;
  referenceCache: ReferenceCache;
  /** Scores the rollouts of a method that writes itself. */
  reward: Reward;
}

type ToIds<Ids> = (judgments: readonly Judgment[], ending: Ending) => Ids[];

/** The options of a trainer, its data sets made by `toIds`. */
function options<Ids>({ train, heldOut, tokenizer, reward: _, ...rest }: TrainerParts, toIds: ToIds<Ids>) {
  const { vocabSize, maxPositionEmbeddings: maxLength } = rest.model.config;
  const ending = { tokenizer, vocabSize, maxLength };
  const datasets = { trainDataset: toIds(train, ending), evalDataset: toIds(heldOut, ending) };
  return { ...rest, ...datasets, processingClass: tokenizer };
}

const pairs: ToIds<ReturnType<typeof pairIds>> = (judgments, ending) =>
  pairRows(judgments).map((row) => pairIds(row, ending));
const texts: ToIds<ReturnType<typeof sequenceIds>> = (judgments, ending) =>
  textRows(judgments).map((row) => sequenceIds(row, ending));
const labels: ToIds<ReturnType<typeof sequenceIds> & { desirable: boolean }> = (judgments, ending) =>
  labelRows(judgments).map((row) => ({ ...sequenceIds(row, ending), desirable: row.label }));

/** Makes a method's trainer. Throws `InputError` for settings or rows that make no sense. */
export const TRAINERS: Readonly<Record<MethodName, (parts: TrainerParts) => Trainer>> = {
  dpo: (parts) => new DPOTrainer(options(parts, pairs)),
  kto: (parts) => new KTOTrainer(options(parts, labels)),
  orpo: (parts) => new ORPOTrainer(options(parts, pairs)),
  sft: (parts) => new SFTTrainer(options(parts, texts)),
  online: ({ train: _, heldOut, tokenizer, referenceCache: __, reward: ___, ...rest }) => {
    const { model } = rest;
    return new PickTrainer({
      ...rest,
      heldOut: examplesOf({ model, tokenizer }, heldOut),
      planned: tokensFor(model.config.maxPositionEmbeddings),
    });
  },
  rloo: policyTrainer,
};
