/**
 * Names of TRL, transformers and PEFT that are not settings here, or that mean something else here, with advice. Names
 * with the same meaning are in the declarations.
 */
import { say, setting, type Words } from '../../base/sentence.ts';

const FLOAT32 = say`training computes in float32; ${setting('dtype')} stores the frozen base in float16, bfloat16 or fewer bits`;
const BLOCKS = say`${setting('dtype')} q4_0 or q8_0 stores the frozen base in 4 or 8 bits`;
const TOLD =
  'the metrics of every step are always reported: as events in a program, on stderr by the commands';
const AHEAD = say`the reference is computed in batches of ${setting('perDeviceEvalBatchSize')} examples`;
const KERNELS = 'kernels are chosen for the device; on the command line with --variant and --tune';
const PACKED = 'sequences are always packed, without padding';
const LENGTHS = say`${setting('maxLength')} counts prompt and completion together; a prompt that does not fit is rejected by its row`;
const PLAIN_LORA = 'adapters are LoRA or rsLoRA without dropout, biases or other modules';
const ONE_CHECKPOINT = say`only the latest checkpoint is kept; ${setting('saveSteps')} sets how often it is written`;
const LOADER = 'rows are read and tokenized once, in one process';
const HUB = 'nothing is uploaded: a run writes files';

const WHOLE =
  'completions are sampled from the whole distribution at the temperature; otherwise log-probabilities, ratios and KL would belong to another distribution';
const ENTROPY =
  'the backward pass computes gradients of log-probabilities, not of entropies; use a KL to the reference to prevent collapse';

const K1 =
  'the KL in the rewards is log π/π_ref itself (k1); the gradient of k3 in the rewards would increase the KL';

const LOGGED =
  'events of type rollout contain completions and rewards; on the command line use --log-completions';

/** Names with the same answer. */
const ANSWERS: readonly (readonly [names: readonly string[], answer: Words])[] = [
  [['bf16', 'fp16', 'tf32', 'bf16_full_eval', 'fp16_full_eval', 'half_precision_backend'], FLOAT32],
  [['load_in_4bit', 'load_in_8bit', 'bnb_4bit_quant_type', 'use_bnb_nested_quant'], BLOCKS],
  [
    [
      'report_to',
      'run_name',
      'logging_dir',
      'logging_steps',
      'logging_strategy',
      'logging_first_step',
      'disable_tqdm',
    ],
    TOLD,
  ],
  [['precompute_ref_batch_size', 'precompute_ref_eval_batch_size'], AHEAD],
  [['optim', 'optim_args'], 'the optimizer is always AdamW'],
  [
    ['eval_strategy', 'evaluation_strategy', 'do_eval'],
    say`${setting('evalSteps')} above 0 evaluates during the run`,
  ],
  [['save_strategy'], say`${setting('saveSteps')} above 0 writes checkpoints during the run`],
  [['save_total_limit', 'load_best_model_at_end', 'metric_for_best_model'], ONE_CHECKPOINT],
  [
    ['train_sampling_strategy', 'group_by_length'],
    say`${setting('shuffleDataset')} sets whether rows are shuffled`,
  ],
  [['attn_implementation', 'use_liger_kernel', 'torch_compile', 'use_cpu', 'no_cuda'], KERNELS],
  [['deepspeed', 'fsdp', 'ddp_find_unused_parameters', 'ddp_timeout', 'local_rank'], 'a run uses one device'],
  [['padding_free', 'packing', 'packing_strategy', 'label_pad_token_id'], PACKED],
  [['pad_token'], say`${PACKED}; ${setting('scoredToken')} sets which token a reward model scores`],
  [['max_prompt_length', 'truncation_mode'], LENGTHS],
  [['lora_dropout', 'lora_bias', 'lora_modules_to_save', 'lora_task_type', 'use_dora'], PLAIN_LORA],
  [
    ['use_peft'],
    'an adapter is trained unless peftConfig is null, or on the command line unless --full is given',
  ],
  [['disable_dropout', 'neftune_noise_alpha'], 'training uses neither dropout nor noise'],
  [['gradient_checkpointing_kwargs'], say`${setting('gradientCheckpointing')} has no further settings`],
  [['activation_offloading'], say`${setting('savedActivations')} float16 halves the memory of activations`],
  [
    ['rpo_alpha'],
    say`${setting('lossType')} sigmoid and sft, with ${setting('lossWeights')} 1 and the value of rpo_alpha`,
  ],
  [['reference_free'], 'the trainers without a reference are CPO, SimPO and ORPO'],
  [['dataset_num_proc', 'dataloader_num_workers', 'dataloader_drop_last', 'remove_unused_columns'], LOADER],
  [['push_to_hub', 'hub_model_id', 'hub_strategy', 'hub_token'], HUB],
  [
    ['resume_from_checkpoint'],
    'a trainer continues from the checkpoint in its store; on the command line use --resume',
  ],
  [
    ['dataset_name'],
    'in TRL this is a data set on the Hub, but webalign reads files: download it as Parquet or JSON Lines; on the command line use --data FILE',
  ],
  [
    ['datasets'],
    'in TRL each has a path and a fraction, but webalign reads files: on the command line use --data for each, and --data-weights',
  ],
  [
    ['dataset_config', 'dataset_train_split', 'dataset_test_split', 'dataset_streaming'],
    'webalign reads files: on the command line use --data, --eval-data and --eval-split',
  ],
  [['trust_remote_code'], 'code in a model folder is never run'],
  [
    ['data_seed', 'full_determinism'],
    say`${setting('seed')} seeds all random numbers, and runs are reproducible bit for bit`,
  ],
];

const ON_POLICY: typeof ANSWERS = [
  [
    [
      ...['top_k', 'top-k', 'top_p', 'top-p', 'min_p', 'min-p'],
      ...['repetition_penalty', 'repetition-penalty'],
    ],
    WHOLE,
  ],
  [
    [
      ...[
        'entropy_coef',
        'entropyCoef',
        'entropy-coef',
        'use_adaptive_entropy',
        'useAdaptiveEntropy',
        'entropy_target',
      ],
      ...['entropy_coef_delta', 'entropy_coef_min', 'entropy_coef_max'],
    ],
    ENTROPY,
  ],
  [['kl-estimator'], K1],
  [['num_completions_to_print'], LOGGED],
  [
    ['generation_batch_size', 'generationBatchSize'],
    say`${setting('stepsPerGeneration')} times ${setting('perDeviceTrainBatchSize')} completions are sampled at a time`,
  ],
  [['use_vllm', 'vllm_mode', 'vllm_importance_sampling_correction'], 'the same runtime generates and trains'],
];

export const TRL_NAMES: Readonly<Record<string, Words>> = Object.fromEntries(
  [...ANSWERS, ...ON_POLICY].flatMap(([names, answer]) => names.map((name) => [name, answer])),
);

/** The same in programs, where options of commands are not settings either. */
export const PROGRAM_NAMES: Readonly<Record<string, Words>> = {
  ...TRL_NAMES,
  topK: WHOLE,
  topP: WHOLE,
  minP: WHOLE,
  repetitionPenalty: WHOLE,
  klEstimator: K1,
  kl_estimator: K1,
  logCompletions: LOGGED,
  log_completions: LOGGED,
};
