/**
 * The log-probability of one target a row. `tokenLogprobs` takes logits that exist; `headLogprobs`, which training uses,
 * takes hidden states and the head and makes the logits in vocabulary strips, so that no buffer of N × V is ever held:
 * forward keeps five numbers a row, backward makes each strip again and turns it into its own gradient.
 */
import shader from '../../shaders/logits/token-logprob.wgsl';
import { type Grid, kernels } from '../gpu/kernel.ts';
import type { BufferView } from '../gpu/pool.ts';
import type { Tape } from '../tensor/tape.ts';
import type { Tensor } from '../tensor/tensor.ts';
import { checkLogits, checkPerRow, inRowBlocks } from './logits.ts';
import { product } from './matmul.ts';

const perRow: Grid = { groups: (p) => p.rows };

export const tokenLogprobKernels = kernels(shader, {
  forward: perRow,
  finish: { threads: (p) => p.rows },
  backward: perRow,
  backward_strip: perRow,
});

export interface TokenLogprobs {
  /** (R) log p of each target; −∞ where it is masked. */
  logprobs: Tensor;
  /** (R, 2): entropy in nats, and 1 where the target is the argmax (the lowest index of the largest logit). No gradient. */
  stats: Tensor;
}

/** Numbers that the shader keeps for a row: `TargetState`. */
const STATE_WIDTH = 5;
/** A strip's buffer holds at most this many bytes, as long as that leaves it {@link STRIP_STEP} wide. */
const STRIP_BYTES = 16 * 1024 * 1024;
/** Strips start at multiples of this, which keeps a view of the head on a 256-byte border. */
const STRIP_STEP = 64;

/** logits (N, V), targets (N) u32, each below V. */
export function tokenLogprobs(tape: Tape, logits: Tensor, targets: Tensor): TokenLogprobs {
  checkLogits('tokenLogprobs', logits);
  checkPerRow('tokenLogprobs', targets, logits.rows, 'u32');
  const { gpu } = tape;
  const { rows, cols } = logits;
  const constants = { WORKGROUP: gpu.rowThreads };
  const { logprobs, stats, states } = resultsFor(tape, rows);
  inRowBlocks(gpu, rows, cols, (count, part) => {
    const params = { rows: count, cols, start: 0, accumulate: 0 };
    const ofBlock = { targets: part(targets), states: part(states) };
    tokenLogprobKernels.forward(gpu, { logits: part(logits), ...ofBlock }, params, constants);
  });
  finish(tape, targets, states, { logprobs, stats });
  const backward = () => {
    const slot = tape.gradient(logits);
    if (!slot) return;
    inRowBlocks(gpu, rows, cols, (count, part) => {
      const buffers = {
        logits: part(logits),
        targets: part(targets),
        saved_states: part(states),
        dlogprobs: part(logprobs.grad as Tensor),
        dlogits: part(slot.grad),
      };
      const params = { rows: count, cols, start: 0, accumulate: slot.accumulate };
      tokenLogprobKernels.backward(gpu, buffers, params, constants);
    });
  };
  tape.record({ inputs: [logits], outputs: [logprobs], saved: [stats, states], backward });
  return { logprobs, stats };
}

/**
 * hidden (R, d), head (V, d), targets (R) u32, each below V → the log-probabilities under logits = hidden · headᵀ. The
 * results' `stats` live as long as the tape: read them before its backward pass.
 */
export function headLogprobs(tape: Tape, hidden: Tensor, head: Tensor, targets: Tensor): TokenLogprobs {
  const { gpu } = tape;
  const [vocabulary, width] = head.shape as [number, number];
  const count = hidden.rows;
  if (hidden.cols !== width)
    throw new RangeError(`headLogprobs: hidden is ${hidden}, but the head is ${head}`);
  checkPerRow('headLogprobs', targets, count, 'u32');
  const constants = { WORKGROUP: gpu.rowThreads };
  const strips = vocabularyStrips(count, vocabulary);
  const { logprobs, stats, states } = resultsFor(tape, count);

  /** Makes the logits of each strip in turn and hands them over. */
  const eachStrip = (visit: (logits: Tensor, strip: Strip) => void) => {
    const buffer = tape.empty([count, strips[0]?.cols ?? 0], 'strip of logits');
    for (const strip of strips) {
      const size = { m: count, n: strip.cols, k: width };
      product(gpu, 'nt', hidden, rowsOf(head, strip, width), buffer, size);
      visit(buffer, strip);
    }
    tape.release(buffer);
  };

  eachStrip((logits, { start, cols }) => {
    const params = { rows: count, cols, start, accumulate: start > 0 ? 1 : 0 };
    tokenLogprobKernels.forward(gpu, { logits, targets, states }, params, constants);
  });
  finish(tape, targets, states, { logprobs, stats });

  const backward = () => {
    const dhidden = tape.gradient(hidden);
    const dhead = tape.gradient(head);
    if (!dhidden && !dhead) return;
    const dlogprobs = logprobs.grad as Tensor;
    eachStrip((strip, { start, cols }) => {
      const buffers = { strip, targets, saved_states: states, dlogprobs };
      const params = { rows: count, cols, start, accumulate: 0 };
      tokenLogprobKernels.backward_strip(gpu, buffers, params, constants);
      if (dhidden) {
        const accumulate = start > 0 ? 1 : dhidden.accumulate;
        const size = { m: count, n: width, k: cols };
        product(gpu, 'nn', strip, rowsOf(head, { start, cols }, width), dhidden.grad, size, { accumulate });
      }
      if (dhead) {
        const { grad, accumulate } = dhead;
        const size = { m: cols, n: width, k: count };
        product(gpu, 'tn', strip, hidden, rowsOf(grad, { start, cols }, width), size, { accumulate });
      }
    });
  };
  tape.record({ inputs: [hidden, head], outputs: [logprobs], saved: [stats, states], backward });
  return { logprobs, stats };
}

/** A stretch of the vocabulary. */
export interface Strip {
  start: number;
  cols: number;
}

/**
 * Cuts the vocabulary into strips of one width, the last one narrower: at most half of it, so that the whole is never held,
 * and at most {@link STRIP_BYTES} for so many rows.
 */
export function vocabularyStrips(rows: number, vocabulary: number): Strip[] {
  const half = Math.ceil(vocabulary / 2 / STRIP_STEP) * STRIP_STEP;
  const fitting = Math.floor(STRIP_BYTES / 4 / Math.max(1, rows) / STRIP_STEP) * STRIP_STEP;
  const width = Math.max(STRIP_STEP, Math.min(half, fitting));
  const count = Math.ceil(vocabulary / width);
  return Array.from({ length: count }, (_, i) => ({
    start: i * width,
    cols: Math.min(width, vocabulary - i * width),
  }));
}

function rowsOf(matrix: Tensor, { start, cols }: Strip, width: number): BufferView {
  return { buffer: matrix.buffer, offset: matrix.offset + start * width * 4, size: cols * width * 4 };
}

function resultsFor(tape: Tape, rows: number) {
  return {
    logprobs: tape.empty([rows], 'token log-probabilities'),
    stats: tape.empty([rows, 2], 'token statistics'),
    states: tape.empty([rows, STATE_WIDTH], 'row states'),
  };
}

function finish(tape: Tape, targets: Tensor, states: Tensor, { logprobs, stats }: TokenLogprobs): void {
  const { gpu } = tape;
  const buffers = { targets, saved_states: states, logprobs, stats };
  const params = { rows: targets.length, cols: 0, start: 0, accumulate: 0 };
  tokenLogprobKernels.finish(gpu, buffers, params, { WORKGROUP: gpu.rowThreads });
}
