/** TRL's trainers, by webalign's names of the methods: the module of each, and the class that loads its model. Plain data. */

/** A trainer of TRL. */
export interface TrlTrainer {
  /** The Python module that exports it. */
  module: string;
  /** Prefix of its name and of its configuration's name. */
  prefix: string;
  /** The class of transformers that loads its model, further arguments, and whether a scalar head trains with it. */
  model: { loader: string; options: string; hasHead: boolean };
  /** Whether it samples completions and rates them with Python functions; it then does not evaluate. */
  hasRewards?: boolean;
}

const LANGUAGE_MODEL: TrlTrainer['model'] = { loader: 'AutoModelForCausalLM', options: '', hasHead: false };
const REWARD_MODEL: TrlTrainer['model'] = {
  loader: 'AutoModelForSequenceClassification',
  options: ', num_labels=1',
  hasHead: true,
};

export const TRL_TRAINERS = {
  dpo: { module: 'trl', prefix: 'DPO', model: LANGUAGE_MODEL },
  sft: { module: 'trl', prefix: 'SFT', model: LANGUAGE_MODEL },
  kto: { module: 'trl', prefix: 'KTO', model: LANGUAGE_MODEL },
  'reward-model': { module: 'trl', prefix: 'Reward', model: REWARD_MODEL },
  cpo: { module: 'trl.experimental.cpo', prefix: 'CPO', model: LANGUAGE_MODEL },
  'online-dpo': {
    module: 'trl.experimental.online_dpo',
    prefix: 'OnlineDPO',
    model: LANGUAGE_MODEL,
    hasRewards: true,
  },
  orpo: { module: 'trl.experimental.orpo', prefix: 'ORPO', model: LANGUAGE_MODEL },
} as const satisfies Readonly<Record<string, TrlTrainer>>;
