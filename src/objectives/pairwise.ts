/**
 * Runs a pairwise objective: from sums of token log-probabilities to a record for each pair and the derivative that
 * starts the backward pass. Serves every descriptor of the catalogue and those of users; knows no formula.
 */
import { type Grid, type Kernel, kernels } from '../gpu/kernel.ts';
import type { Shader } from '../gpu/shader.ts';
import { checkPerRow } from '../ops/logits.ts';
import type { Tape } from '../tensor/tape.ts';
import type { Tensor } from '../tensor/tensor.ts';
import { objectiveParameters, type PairwiseObjective } from './catalogue.ts';
import { RECORD } from './record.ts';

export { RECORD };

export interface PairwiseResult {
  /** (P, 8): {@link RECORD}. Lives as long as the tape: read it before the backward pass, or copy it. */
  records: Tensor;
}

type Entry = 'forward' | 'forward_add' | 'evaluate';

const perPair: Grid = { threads: (p) => p.pairs };
const known = new WeakMap<Shader, Record<Entry, Kernel>>();

function kernelsOf({ shader }: PairwiseObjective): Record<Entry, Kernel> {
  let found = known.get(shader);
  if (!found) {
    found = kernels(shader, { forward: perPair, forward_add: perPair, evaluate: perPair });
    known.set(shader, found);
  }
  return found;
}

/**
 * sums (2P), reference (2P): log-probabilities of the completions under policy and reference, chosen before rejected;
 * offsets (2P + 1) u32: where each completion's tokens start. Where `sums` needs a gradient, `scale` (1 / pairs of
 * the optimizer step) times the derivative goes into it at once, so that `tape.backward()` continues from there. A
 * second objective on the same sums adds to the first.
 *
 * Throws a RangeError for shapes that do not fit and for unknown parameters.
 */
export function pairwiseLoss(
  tape: Tape,
  objective: PairwiseObjective,
  sums: Tensor,
  reference: Tensor,
  offsets: Tensor,
  parameters: Readonly<Record<string, number | undefined>> = {},
  scale = 2 / sums.length,
): PairwiseResult {
  const sequences = sums.length;
  if (sequences % 2 !== 0) throw new RangeError(`pairwiseLoss: ${sums} holds no whole number of pairs`);
  checkPerRow('pairwiseLoss: sums', sums, sequences, 'f32');
  checkPerRow('pairwiseLoss: reference', reference, sequences, 'f32');
  checkPerRow('pairwiseLoss: offsets', offsets, sequences + 1, 'u32');
  const pairs = sequences / 2;
  const records = tape.empty([pairs, RECORD.width], 'pair records');
  const buffers = { sums, reference, offsets, records };
  const values = Object.entries(objectiveParameters(objective, parameters));
  const params = {
    pairs,
    scale,
    ...Object.fromEntries(values.map(([name, value]) => [snakeCase(name), value])),
  };
  const { forward, forward_add, evaluate } = kernelsOf(objective);
  const slot = tape.recording ? tape.gradient(sums) : undefined;
  if (!slot) evaluate(tape.gpu, buffers, params);
  else (slot.accumulate ? forward_add : forward)(tape.gpu, { ...buffers, dsums: slot.grad }, params);
  return { records };
}

function snakeCase(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}
