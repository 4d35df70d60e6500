/**
 * Which judgments are held out for evaluation: decided by the prompt alone, so that a prompt never changes sides while judgments
 * are added, in whichever tab or browser, and nothing that is trained on is evaluated on.
 */
import { sha256 } from '@noble/hashes/sha2.js';
import type { Judgment, Prompt } from './judgment.ts';

/** Share of the prompts that is held out unless told otherwise. */
export const HELD_OUT = 0.2;

/** A chat is known by its first user turn, so that all turns of a conversation stay together. */
function keyOf(prompt: Prompt): string {
  const text =
    typeof prompt === 'string'
      ? prompt
      : ((prompt.find(({ role }) => role === 'user') ?? prompt[0])?.content ?? '');
  return text.normalize().replace(/\s+/g, ' ').trim();
}

/** Whether the prompt belongs to the held-out share, by its hash. White space does not matter. */
export function isHeldOut(prompt: Prompt, fraction = HELD_OUT): boolean {
  const digest = sha256(new TextEncoder().encode(keyOf(prompt)));
  return new DataView(digest.buffer, digest.byteOffset).getUint32(0) / 2 ** 32 < fraction;
}

/** Both parts keep the order. With few prompts either may be empty. */
export function split(
  judgments: readonly Judgment[],
  fraction = HELD_OUT,
): { train: Judgment[]; heldOut: Judgment[] } {
  const train: Judgment[] = [];
  const heldOut: Judgment[] = [];
  for (const judgment of judgments) (isHeldOut(judgment.prompt, fraction) ? heldOut : train).push(judgment);
  return { train, heldOut };
}
