/**
 * The settings of losses: which losses, on how long texts, how far from the reference. Options of single formulas are
 * declared in the catalogue, beside the formulas.
 */
import { own } from '../../base/lookup.ts';
import { say, setting } from '../../base/sentence.ts';
import {
  boolean,
  choice,
  declared,
  number,
  numbers,
  type Translation,
  translated,
  whole,
} from '../../base/setting.ts';
import { InputError } from '../../io/errors.ts';
import { DIVERGENCES, divergenceNamed, REVERSE_KL } from '../../losses/divergences.ts';
import type { LossType } from '../../losses/family.ts';
import { BETA } from '../../losses/loss.ts';

/** For trainers on texts of any kind. */
export const LENGTH = {
  /** Maximum tokens of prompt and completion. */
  maxLength: whole({
    default: 1024,
    range: { from: 2 },
    group: 'training',
    trl: 'max_length',
    aliases: ['max_seq_length'],
    help: 'maximum tokens of prompt and completion together',
  }),
};

/** For trainers on prompts and completions. */
export const REWARD = {
  /** How strongly the policy is pulled to the reference, and the scale of the rewards. */
  beta: number({
    default: BETA.default,
    range: { above: 0 },
    group: 'loss',
    trl: 'beta',
    help: 'how strongly the policy is pulled to the reference',
  }),
};

/** For trainers with a choice of losses. */
export const LOSS = {
  /** A loss of the catalogue by name, or a user-defined descriptor, or several whose weighted losses add up. */
  lossType: declared<LossType | readonly LossType[], Translation<'loss_type'>, never, 'loss'>(
    {
      kind: 'losses',
      type: 'names of losses, or descriptors',
      fits: (value) => [value].flat().every(isLossType),
      wayOut: 'Give the name of a loss, a descriptor with its shader and options, or a list of them',
    },
    {
      default: 'sigmoid',
      group: 'loss',
      flag: 'loss',
      trl: translated('loss_type', (settings) => {
        const types = [settings.lossType].flat();
        if (settings.useWeighting && types.includes('sft')) {
          const what = say`TRL cannot weight pairs (${setting('useWeighting')}) if sft is in the list of losses`;
          throw new InputError('settings', what, 'Train without one of them');
        }
        return { loss_type: types.length === 1 ? types[0] : types };
      }),
      help: 'the loss, by its name in TRL; several, separated by commas, add up',
    },
  ),
};

function isLossType(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return typeof value === 'string';
  return 'shader' in value && 'options' in value;
}

/** For trainers on pairs whose loss is a list of losses. */
export const LISTS = {
  /** One weight per loss; null means equal weights. */
  lossWeights: numbers({
    default: null,
    group: 'loss',
    trl: 'loss_weights',
    help: 'one weight per loss',
  }),
};

/** For trainers whose loss has a reference and whose examples are known before training. */
export const AHEAD = {
  /**
   * Whether the reference is computed before the first step; null: in runs of at least an epoch. Without a new adapter it
   * always is, because the reference is the initial state of the weights that train.
   */
  precomputeRefLogProbs: boolean({
    default: null,
    group: 'run',
    mayChange: true,
    trl: 'precompute_ref_log_probs',
    help: 'compute the reference of all examples before the first step instead of on demand; default: in runs of at least an epoch',
  }),
};

/** For trainers that can use other divergences from the reference than the reverse KL of whole sequences. */
export const REFERENCE = {
  /** The f-divergence between the policy and the reference. */
  fDivergence: choice(divergenceNames(), {
    default: REVERSE_KL.type,
    group: 'loss',
    trl: translated('f_divergence_type', ({ fDivergence }) => {
      const name = divergenceNamed(String(fDivergence)) ?? String(fDivergence);
      return { f_divergence_type: own(DIVERGENCES, name)?.alias ?? name };
    }),
    help: 'the divergence between policy and reference',
  }),
  /** α of the α-divergence. */
  fAlphaDivergenceCoef: number({
    default: REVERSE_KL.alpha,
    range: {},
    group: 'loss',
    trl: 'f_alpha_divergence_coef',
    help: 'α of the α-divergence',
  }),
  /** LD-DPO: the weight of tokens beyond the shorter completion's length; null is plain DPO. */
  ldAlpha: number({
    default: null,
    range: { from: 0, upTo: 1 },
    group: 'loss',
    trl: 'ld_alpha',
    help: "weight of tokens beyond the shorter completion's length (LD-DPO)",
  }),
  /** WPO: whether pairs are weighted by their likelihood under the policy. */
  useWeighting: boolean({
    default: false,
    group: 'loss',
    trl: 'use_weighting',
    help: 'weight pairs by their likelihood under the policy (WPO)',
  }),
};

/** For trainers whose reference can move. */
export const MOVING = {
  /** TR-DPO: whether the reference follows the policy. */
  syncRefModel: boolean({
    default: false,
    group: 'loss',
    trl: 'sync_ref_model',
    help: 'move the reference towards the policy (TR-DPO)',
  }),
  /** The policy's share in an update. */
  refModelMixupAlpha: number({
    default: 0.6,
    range: { above: 0, upTo: 1 },
    group: 'loss',
    trl: 'ref_model_mixup_alpha',
    help: "the policy's share in the new reference",
  }),
  /** Optimizer steps between two updates. */
  refModelSyncSteps: whole({
    default: 512,
    range: { from: 1 },
    group: 'loss',
    trl: 'ref_model_sync_steps',
    help: 'steps between two updates of the reference',
  }),
};

function divergenceNames(): string[] {
  return Object.entries(DIVERGENCES).flatMap(([name, { alias }]) => [name, ...(alias ? [alias] : [])]);
}

/** For supervised fine-tuning. */
export const TEXTS = {
  /** Whether to exclude prompts from learning; null: only completions are learned if there are prompts. */
  completionOnlyLoss: boolean({
    default: null,
    group: 'training',
    trl: 'completion_only_loss',
    help: 'learn completions but not their prompts',
  }),
};

/** For supervised fine-tuning on conversations; these are settings only of runs that use them. */
export const TURNS = {
  /**
   * Whether to learn only the assistant's turns of conversations: the parts between `{% generation %}` and
   * `{% endgeneration %}` in the chat template.
   */
  assistantOnlyLoss: boolean({
    default: false,
    group: 'training',
    trl: 'assistant_only_loss',
    help: "learn only the assistant's turns of conversations, marked by {% generation %} in the chat template",
  }),
};

/** Which token a reward model scores; `src/train/scored-token.ts` defines the names. */
export const SCORED_TOKENS = ['auto', 'last', 'last_non_pad'] as const;

/** For reward models. */
export const COMPARISON = {
  /**
   * Which token is scored. `last`: the last one, including an end token. `last_non_pad`: the last one other than the
   * tokenizer's pad token, or its EOS if it has no pad token (TRL). `auto`: by `pad_token_id` of the model's `config.json`, as
   * in transformers, or the last one if that is not set.
   */
  scoredToken: choice(SCORED_TOKENS, {
    default: 'auto',
    group: 'training',
    trl: null,
    help: "which token is scored: the last one, the last one other than the tokenizer's pad token, or by the model's pad_token_id",
  }),
};
