/**
 * The training methods as data: data, settings and trainer of each. Every row makes a command `webalign NAME`;
 * no other code depends on the method.
 */
import type { SliceOptions } from '../base/slices.ts';
import { COMPARISONS } from '../data/comparison-dataset.ts';
import { LABELLED } from '../data/labelled-dataset.ts';
import { PREFERENCES } from '../data/preference-dataset.ts';
import { PROMPTS } from '../data/prompt-dataset.ts';
import { TEXTS } from '../data/text-dataset.ts';
import { A2POTrainer } from '../rollout/a2po-trainer.ts';
import { GRPOTrainer } from '../rollout/grpo-trainer.ts';
import { OnlineDPOTrainer } from '../rollout/online-dpo-trainer.ts';
import { PPOTrainer } from '../rollout/ppo-trainer.ts';
import { RLOOTrainer } from '../rollout/rloo-trainer.ts';
import {
  A2PO_DEFAULTS,
  GRPO_DEFAULTS,
  ONLINE_DPO_DEFAULTS,
  PPO_DEFAULTS,
  RLOO_DEFAULTS,
} from '../train/config.ts';
import { CPOTrainer } from '../train/cpo-trainer.ts';
import { DPOTrainer } from '../train/dpo-trainer.ts';
import { KTOTrainer } from '../train/kto-trainer.ts';
import { ORPOTrainer } from '../train/orpo-trainer.ts';
import { RewardTrainer } from '../train/reward-trainer.ts';
import { TRAINERS } from '../train/settings/trainers.ts';
import { SFTTrainer } from '../train/sft-trainer.ts';
import type { Trainer } from '../train/trainer.ts';
import type { DataOptions } from '../train/training-task.ts';
import type { Method } from './method.ts';
import { loadRewards } from './rewards.ts';
import { TRL_TRAINERS } from './trl-trainers.ts';

const SHARED =
  "Settings have TRL's and PEFT's names and defaults. A tenth of the data is held out to measure the " +
  'effect. After Ctrl-C or a crash, --resume continues the run.';

/** Checks that the parts of a row fit together; the list below does not depend on the type of the data. */
function method<Args, Row>(
  row: Omit<Method<Row>, 'trainer'> & {
    Trainer: { create(options: DataOptions<Args, readonly Row[]>, slices: SliceOptions): Promise<Trainer> };
  },
): Method {
  const { Trainer: Made, ...rest } = row;
  const trainer = (options: DataOptions<Args, readonly Row[]>, slices: SliceOptions) =>
    Made.create(options, slices);
  return { ...rest, trainer } as unknown as Method;
}

/** The option --reward, which loads the reward functions of a trainer on rollouts. */
function rewarded({
  maxCompletionLength: usual,
}: {
  readonly maxCompletionLength: number;
}): NonNullable<Method['extra']> {
  return {
    options: ['reward'],
    load: async ({ reward = [], maxCompletionLength = usual }, context) => ({
      rewardFuncs: await loadRewards(reward, { maxCompletionLength }, context),
    }),
  };
}

export const DPO = method({
  name: 'dpo',
  summary: 'train on preference pairs, with DPO or a related loss',
  description:
    'Trains a LoRA adapter on preference pairs with DPO (Rafailov et al. 2023), or with the loss that --loss names, ' +
    `and writes it as PEFT files. ${SHARED}`,
  example:
    'dpo --model HuggingFaceTB/SmolLM2-135M --data pairs.jsonl --out adapter --loss ipo --learning-rate 1e-4 --epochs 1',
  rows: 'pairs',
  judged: 'log-ratios',
  settings: TRAINERS.dpo,
  trl: TRL_TRAINERS.dpo,
  form: PREFERENCES,
  Trainer: DPOTrainer,
});

export const METHODS: readonly Method[] = [
  method({
    name: 'sft',
    summary: 'fine-tune on texts, conversations, or prompts and completions',
    description: `Trains a LoRA adapter to imitate the texts of the data, and writes it as PEFT files. ${SHARED}`,
    example: 'sft --model HuggingFaceTB/SmolLM2-135M --data instructions.jsonl --out adapter --epochs 1',
    rows: 'texts',
    judged: 'likelihood',
    settings: TRAINERS.sft,
    trl: TRL_TRAINERS.sft,
    form: TEXTS,
    Trainer: SFTTrainer,
  }),
  DPO,
  method({
    name: 'kto',
    summary: 'train on completions labeled good or bad',
    description:
      'Trains a LoRA adapter with KTO (Ethayarajh et al. 2024) on rows of prompt, completion and label, and writes it as ' +
      `PEFT files. Pairs work too. ${SHARED}`,
    example:
      'kto --model HuggingFaceTB/SmolLM2-135M --data labels.jsonl --out adapter --desirable-weight 1.2',
    rows: 'completions',
    judged: 'log-ratios',
    settings: TRAINERS.kto,
    trl: TRL_TRAINERS.kto,
    form: LABELLED,
    Trainer: KTOTrainer,
  }),
  method({
    name: 'reward-model',
    summary: 'learn a reward from preference pairs (Bradley–Terry)',
    description:
      'Trains a LoRA adapter and a scalar head on preference pairs, so that the chosen side of each scores higher than the rejected one, ' +
      'and writes both as PEFT files (SEQ_CLS). An optional column "margin" says by how much. Use the result as a reward for rloo ' +
      `(--reward FOLDER), or to rate texts with score. ${SHARED}`,
    example: 'reward-model --model HuggingFaceTB/SmolLM2-135M --data pairs.jsonl --out reward --epochs 1',
    rows: 'pairs',
    judged: 'scores',
    settings: TRAINERS.reward,
    trl: TRL_TRAINERS['reward-model'],
    form: COMPARISONS,
    Trainer: RewardTrainer,
  }),
  method({
    name: 'rloo',
    summary: 'let the model write, and learn from rewards (RLOO)',
    description:
      'Trains a LoRA adapter with REINFORCE leave-one-out (Ahmadian et al. 2024): the model writes several completions of each ' +
      'prompt, --reward rates them, and each is compared with the others. A LoRA adapter on a small model needs --learning-rate 1e-3; ' +
      `TRL's default is too small. ${SHARED}`,
    example:
      'rloo --model demos/align/model --data prompts.jsonl --out adapter --reward sentiment --num-generations 8 --batch-size 32 --max-completion-length 40 --learning-rate 1e-3',
    rows: 'prompts',
    judged: 'rewards',
    settings: TRAINERS.rloo,
    extra: rewarded(RLOO_DEFAULTS),
    others: ['logCompletions'],
    form: PROMPTS,
    Trainer: RLOOTrainer as never,
  }),
  method({
    name: 'online-dpo',
    summary: 'let the model write pairs, and learn from the better one (online DPO)',
    description:
      'Trains a LoRA adapter with online DPO (Guo et al. 2024): the model writes two completions of each prompt, --reward picks ' +
      'the better one, and DPO learns from the pair. --batch-size counts prompts. A LoRA adapter on a small model needs --learning-rate ' +
      `1e-3. ${SHARED}`,
    example:
      'online-dpo --model demos/align/model --data prompts.jsonl --out adapter --reward sentiment --max-completion-length 40 --labels sampled --beta 2 --learning-rate 1e-3',
    rows: 'prompts',
    judged: 'rewards',
    settings: TRAINERS['online-dpo'],
    trl: TRL_TRAINERS['online-dpo'],
    extra: rewarded(ONLINE_DPO_DEFAULTS),
    others: ['logCompletions'],
    form: PROMPTS,
    Trainer: OnlineDPOTrainer as never,
  }),
  method({
    name: 'a2po',
    summary: 'estimate the optimal value of each prompt, then regress on it (A*-PO)',
    description:
      'Trains a LoRA adapter with A*-PO (Brantley et al. 2025): the optimal value of every prompt is estimated once, from ' +
      '--num-value-samples completions of the reference; then the model writes one completion per prompt, and its log-ratio to the ' +
      `reference is regressed on reward minus value. A LoRA adapter on a small model needs --learning-rate 1e-3. ${SHARED}`,
    example:
      'a2po --model demos/align/model --data prompts.jsonl --out adapter --reward sentiment --max-completion-length 40 --beta1 2 --beta2 2 --learning-rate 1e-3',
    rows: 'prompts',
    judged: 'rewards',
    settings: TRAINERS.a2po,
    extra: rewarded(A2PO_DEFAULTS),
    others: ['logCompletions'],
    form: PROMPTS,
    Trainer: A2POTrainer as never,
  }),
  method({
    name: 'grpo',
    summary: 'let the model write, and learn from rewards in groups (GRPO and related losses)',
    description:
      'Trains a LoRA adapter with group-relative policy optimization (Shao et al. 2024), or with the loss that --loss names: the ' +
      'model writes several completions of each prompt, --reward rates them, and each is compared with the mean of its group. ' +
      "TRL's --beta of 0 ignores the reference. A LoRA adapter on a small model needs --learning-rate 1e-3; TRL's default " +
      `is too small. ${SHARED}`,
    example:
      'grpo --model demos/align/model --data prompts.jsonl --out adapter --reward sentiment --num-generations 8 --batch-size 32 --max-completion-length 40 --learning-rate 1e-3',
    rows: 'prompts',
    judged: 'rewards',
    settings: TRAINERS.grpo,
    extra: rewarded(GRPO_DEFAULTS),
    others: ['logCompletions'],
    form: PROMPTS,
    Trainer: GRPOTrainer as never,
  }),
  method({
    name: 'ppo',
    summary: 'let the model write, and learn from rewards with a value model (PPO)',
    description:
      'Trains a LoRA adapter with PPO (Schulman et al. 2017): the model writes a completion of each prompt, --reward rates it, and a ' +
      'second adapter with a head learns the value of every state. Tokens that lead to more than this value become more likely. A LoRA adapter on a small ' +
      `model needs --learning-rate 1e-3; TRL's default is too small. ${SHARED}`,
    example:
      'ppo --model demos/align/model --data prompts.jsonl --out adapter --reward sentiment --batch-size 32 --max-completion-length 40 --learning-rate 1e-3',
    rows: 'prompts',
    judged: 'rewards',
    settings: TRAINERS.ppo,
    extra: rewarded(PPO_DEFAULTS),
    others: ['logCompletions'],
    form: PROMPTS,
    Trainer: PPOTrainer as never,
  }),
  method({
    name: 'cpo',
    summary: 'train on preference pairs without a reference (CPO, SimPO)',
    description:
      'Trains a LoRA adapter with CPO (Xu et al. 2024), or with --loss simpo --cpo-alpha 0 with SimPO (Meng et al. 2024), and ' +
      `writes it as PEFT files. ${SHARED}`,
    example:
      'cpo --model HuggingFaceTB/SmolLM2-135M --data pairs.jsonl --out adapter --loss simpo --cpo-alpha 0 --beta 2.5',
    rows: 'pairs',
    judged: 'log-ratios',
    settings: TRAINERS.cpo,
    trl: TRL_TRAINERS.cpo,
    form: PREFERENCES,
    Trainer: CPOTrainer,
  }),
  method({
    name: 'orpo',
    summary: 'fine-tune and learn preferences in one run, without a reference (ORPO)',
    description:
      'Trains a LoRA adapter with ORPO (Hong et al. 2024): cross-entropy of the chosen completion, and its odds ratio to the ' +
      `rejected one. Writes it as PEFT files. ${SHARED}`,
    example: 'orpo --model HuggingFaceTB/SmolLM2-135M --data pairs.jsonl --out adapter',
    rows: 'pairs',
    judged: 'log-ratios',
    settings: TRAINERS.orpo,
    trl: TRL_TRAINERS.orpo,
    form: PREFERENCES,
    Trainer: ORPOTrainer,
  }),
];
