/**
 * LoRA's settings, with PEFT's names in camelCase. They stand beside the adapter's files because both have them: a run is
 * given them, and `adapter_config.json` keeps them.
 */
import { boolean, names, number, type Spellings, type Values, whole } from '../base/setting.ts';

/** A larger rank is more than any layer is wide. */
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
  /** Last parts of module names (`q_proj`) or full ones. */
  targetModules: names({
    default: ['q_proj', 'k_proj', 'v_proj', 'o_proj', 'gate_proj', 'up_proj', 'down_proj'],
    group: 'lora',
    trl: 'lora_target_modules',
    aliases: ['target_modules'],
    help: 'layers to adapt, separated by commas, or all-linear',
  }),
  /** Scale α/√r (rsLoRA) in place of α/r. */
  useRslora: boolean({
    default: false,
    group: 'lora',
    trl: 'use_rslora',
    help: 'divide the scale by the root of the rank instead',
  }),
};

export interface LoraConfig extends Values<typeof LORA> {}

/** LoRA's settings as they may be given: some of them, by any of their names. */
export type LoraArgs = Partial<LoraConfig> & Spellings<typeof LORA>;
