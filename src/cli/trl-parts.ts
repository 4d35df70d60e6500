/** Parts of every folder for TRL, from the command line or from a page. Pure. */
import { exactJson } from '../io/exact-json.ts';
import { trlArguments } from '../train/settings/trl-arguments.ts';

export const TRL_SCRIPT = 'train.py';
/** Runs the scripts of a run in stages. */
export const TRL_STAGES = 'train.sh';
export const TRL_REQUIREMENTS = 'trl==1.16.0\npeft>=0.18\n';

/** The arguments of TRL's configuration class, for a method and its settings. */
export function scriptArguments(method: string, settings: object): Record<string, unknown> {
  return {
    ...trlArguments({ ...settings }),
    // KTO pairs each completion with another one of its batch, so its rows must keep their order.
    ...(method === 'kto' ? { train_sampling_strategy: 'sequential' } : {}),
    bf16: false,
    optim: 'adamw_torch',
    logging_steps: 1,
    report_to: 'none',
  };
}

/** One JSON object per line. */
export const jsonl = (rows: readonly unknown[]): Uint8Array =>
  utf8(rows.map((row) => `${exactJson(row)}\n`).join(''));

export const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);
