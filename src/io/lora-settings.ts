/**
 * LoRA's settings, with PEFT's names in camelCase. They are defined beside the adapter's files because both use them: a run
 * has them as settings, and `adapter_config.json` stores them.
 */
import { boolean, names, number, type Spellings, type Values, whole } from '../base/setting.ts';

/** More than the width of any layer. */
export const MOST_RANK = 2 ** 16;

export const LORA = {
  /** Rank r. */
  r: whole({
    default: 16,
    range: { from: 1, upTo: MOST_RANK },
    group: 'lora',
    flag: 'lora-r',
    trl: 'lora_r',
    help: 'rank',
  }),
  /** Scale α, divided by the rank. */
  loraAlpha: number({
    default: 32,
    range: { above: 0 },
    group: 'lora',
    trl: 'lora_alpha',
    help: 'scale, divided by the rank',
  }),
  /** Suffixes of module names (`q_proj`) or full names. */
  targetModules: names({
    default: ['q_proj', 'k_proj', 'v_proj', 'o_proj', 'gate_proj', 'up_proj', 'down_proj'],
    group: 'lora',
    trl: 'lora_target_modules',
    aliases: ['target_modules'],
    help: 'layers to adapt, separated by commas, or all-linear',
  }),
  /** Scale α/√r (rsLoRA) instead of α/r. */
  useRslora: boolean({
    default: false,
    group: 'lora',
    trl: 'use_rslora',
    help: 'divide the scale by the root of the rank instead',
  }),
};

export interface LoraConfig extends Values<typeof LORA> {}

/** LoRA's settings as arguments: some of them, under any accepted name. */
export type LoraArgs = Partial<LoraConfig> & Spellings<typeof LORA>;
