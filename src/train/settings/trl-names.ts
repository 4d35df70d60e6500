/**
 * Names of TRL, transformers and PEFT that are no settings here, or that mean something else there: what to do instead. The
 * names that mean the same are in the declarations.
 */
import { say, setting, type Words } from '../../base/sentence.ts';

const FLOAT32 = say`training computes in float32; ${setting('dtype')} keeps the frozen base in float16, bfloat16 or less`;
const BLOCKS = say`${setting('dtype')} q4_0 or q8_0 keeps the frozen base in 4 or 8 bits`;
const TOLD = 'the metrics of every step are reported: as events in a program, on stderr by the commands';
const AHEAD = say`the reference is computed ${setting('perDeviceEvalBatchSize')} examples at a time`;
const KERNELS = 'kernels are chosen for the device; on the command line by --variant and --tune';
const PACKED = 'sequences are always packed, without padding';
const LENGTHS = say`${setting('maxLength')} counts prompt and completion together; a prompt that does not fit is refused by its row`;
const PLAIN_LORA = 'adapters are LoRA or rsLoRA without dropout, biases or further modules';
const ONE_CHECKPOINT = say`the latest checkpoint is kept; ${setting('saveSteps')} says how often it is written`;
const LOADER = 'rows are read and tokenized once, in one process';
const HUB = 'nothing is uploaded: a run writes files';

const WHOLE =
  'completions are drawn from the whole distribution at the temperature: log-probabilities, ratios and KL are of that one';
const ENTROPY =
  "the backward pass gives the gradient of sampled tokens' log-probabilities, not of entropies; a KL to the reference keeps the policy from collapsing";

const K1 =
  'the KL in the rewards is log π/π_ref itself (k1); the gradient of k3 in the rewards points the wrong way';

const LOGGED =
  'events of the type rollout carry completions and rewards; on the command line give --log-completions';

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
  [['optim', 'optim_args'], 'the optimizer is AdamW'],
  [
    ['eval_strategy', 'evaluation_strategy', 'do_eval'],
    say`${setting('evalSteps')} above 0 evaluates on the way`,
  ],
  [['save_strategy'], say`${setting('saveSteps')} above 0 writes checkpoints on the way`],
  [['save_total_limit', 'load_best_model_at_end', 'metric_for_best_model'], ONE_CHECKPOINT],
  [
    ['train_sampling_strategy', 'group_by_length'],
    say`${setting('shuffleDataset')} says whether rows are shuffled`,
  ],
  [['attn_implementation', 'use_liger_kernel', 'torch_compile', 'use_cpu', 'no_cuda'], KERNELS],
  [['deepspeed', 'fsdp', 'ddp_find_unused_parameters', 'ddp_timeout', 'local_rank'], 'a run uses one device'],
  [['padding_free', 'packing', 'packing_strategy', 'label_pad_token_id'], PACKED],
  [['pad_token'], say`${PACKED}; ${setting('scoredToken')} says which token a reward model scores`],
  [['max_prompt_length', 'truncation_mode'], LENGTHS],
  [['lora_dropout', 'lora_bias', 'lora_modules_to_save', 'lora_task_type', 'use_dora'], PLAIN_LORA],
  [
    ['use_peft'],
    'an adapter is trained unless peftConfig is null; on the command line unless there is --full',
  ],
  [['disable_dropout', 'neftune_noise_alpha'], 'there is neither dropout nor noise'],
  [['gradient_checkpointing_kwargs'], say`${setting('gradientCheckpointing')} has no further settings`],
  [
    ['activation_offloading'],
    say`${setting('savedActivations')} float16 halves what waits for the backward pass`,
  ],
  [
    ['rpo_alpha'],
    say`${setting('lossType')} sigmoid and sft, with ${setting('lossWeights')} 1 and the old rpo_alpha`,
  ],
  [['reference_free'], 'the trainers without a reference are CPO, SimPO and ORPO'],
  [['dataset_num_proc', 'dataloader_num_workers', 'dataloader_drop_last', 'remove_unused_columns'], LOADER],
  [['push_to_hub', 'hub_model_id', 'hub_strategy', 'hub_token'], HUB],
  [
    ['resume_from_checkpoint'],
    'a trainer goes on from the checkpoint in its store; on the command line give --resume',
  ],
  [
    ['dataset_name'],
    'there it is a data set on the hub, here data are files: download it as Parquet or JSON Lines, on the command line for --data FILE',
  ],
  [
    ['datasets'],
    'there each has a path and a fraction, here data are files: on the command line --data for each and --data-weights',
  ],
  [
    ['dataset_config', 'dataset_train_split', 'dataset_test_split', 'dataset_streaming'],
    'data are files, on the command line for --data, --eval-data and --eval-split',
  ],
  [['trust_remote_code'], 'no code of a model is ever run'],
  [
    ['data_seed', 'full_determinism'],
    say`${setting('seed')} decides everything random, and runs repeat bit for bit`,
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
    say`${setting('stepsPerGeneration')} times ${setting('perDeviceTrainBatchSize')} completions are written at a time`,
  ],
  [['use_vllm', 'vllm_mode', 'vllm_importance_sampling_correction'], 'one runtime writes and trains'],
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
