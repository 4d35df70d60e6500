/**
 * The log-probability of one target per row. `tokenLogprobs` takes existing logits; `headLogprobs`, which training uses,
 * takes hidden states and the head and computes the logits in vocabulary strips, so that no N × V buffer is ever needed.
 * The forward pass keeps seven numbers per row. The backward pass recomputes each strip and overwrites it with its
 * gradient; with a frozen head this is not necessary, because the forward pass has stored the gradient's vocabulary term
 * for each hidden state.
 */
import shader from '../../shaders/logits/token-logprob.wgsl';
import type { Gpu } from '../gpu/device.ts';
import type { Grid } from '../gpu/kernel.ts';
import { sharingRows } from '../gpu/loops.ts';
import type { Tape } from '../tensor/tape.ts';
import { Tensor } from '../tensor/tensor.ts';
import { perLikely, type Strip, stripsOf, threadsOfLikely } from './head-strips.ts';
import { checkLogits, checkPerRow, inRowBlocks, type Part } from './logits.ts';
import { behind, partsOf } from './parts.ts';
import { product } from './product.ts';
import { cappedBy, type MeanOfRows, softCap } from './soft-cap.ts';
import { bound, formatOf, inBlocksOfRows, weightKernels } from './weights.ts';

const perRow: Grid = { groups: (p) => p.rows };
/** Tokens per workgroup of `head_sparse`, as in the shader. */
const TOKENS_PER_GROUP = 4;

const kernelsByFormat = weightKernels(shader, 'one', {
  forward: perRow,
  weigh: perRow,
  finish: { threads: (p) => p.rows },
  backward: perRow,
  backward_strip: perRow,
  backward_pull: perRow,
  pull_sparse: perRow,
  head_sparse: { groups: (p) => Math.ceil(p.cols / TOKENS_PER_GROUP) },
});
/** All except `pull_sparse` and `backward_pull` read no weights. */
export const tokenLogprobKernels = kernelsByFormat.f32;

export interface TokenLogprobs {
  /** (R) log p of each target; −∞ if it is masked. */
  logprobs: Tensor;
  /**
   * (R, {@link STATS_WIDTH}): entropy in nats, 1 if the target is the argmax (the lowest index of the largest logit), and
   * log Σ p². No gradient.
   */
  stats: Tensor;
}

/** Columns of `stats`. */
export const STATS_WIDTH = 3;
/** Numbers per row in the shader: `TargetState`. */
const STATE_WIDTH = 7;
/** Parameters of kernels on whole rows rather than strips. */
const WHOLE = { start: 0, accumulate: 0, width: 0, filter_eps: 0, soft_cap: 0 };

export interface TokenLogprobOptions {
  /** The backward pass overwrites the logits with their gradient, which then needs no buffer. */
  inPlace?: boolean;
}

/** logits (N, V), targets (N) u32, each below V. */
export function tokenLogprobs(
  tape: Tape,
  logits: Tensor,
  targets: Tensor,
  { inPlace = false }: TokenLogprobOptions = {},
): TokenLogprobs {
  checkLogits('tokenLogprobs', logits);
  checkPerRow('tokenLogprobs', targets, logits.rows, 'u32');
  const { gpu } = tape;
  const { rows, cols } = logits;
  const constants = sharingRows(gpu, cols);
  const results = resultsFor(tape, rows);
  const { logprobs, stats, states } = results;
  const whole = { ...WHOLE, cols, stride: cols };
  inRowBlocks(gpu, rows, cols, (count, part) => {
    const buffers = { logits: part(logits), targets: part(targets), states: part(states) };
    tokenLogprobKernels.forward(gpu, buffers, { ...whole, rows: count }, constants);
  });
  finish(tape, targets, results);
  const ofBlock = (part: Part) => ({
    targets: part(targets),
    saved_states: part(states),
    dlogprobs: part(logprobs.grad!),
  });
  const backwardInPlace = () => {
    const strip = tape.gradientInPlace(logits);
    if (!strip) return;
    inRowBlocks(gpu, rows, cols, (count, part) => {
      const params = { ...whole, rows: count };
      tokenLogprobKernels.backward_strip(gpu, { strip: part(strip), ...ofBlock(part) }, params, constants);
    });
  };
  const backward = () => {
    const slot = tape.gradient(logits);
    if (!slot) return;
    inRowBlocks(gpu, rows, cols, (count, part) => {
      const buffers = { logits: part(logits), dlogits: part(slot.grad), ...ofBlock(part) };
      const params = { ...whole, rows: count, accumulate: slot.accumulate };
      tokenLogprobKernels.backward(gpu, buffers, params, constants);
    });
  };
  tape.record({
    inputs: [logits],
    outputs: [logprobs],
    saved: [stats, states],
    backward: inPlace ? backwardInPlace : backward,
  });
  return { logprobs, stats };
}

export interface HeadOptions {
  /**
   * 0 is exact. Above 0, gradients omit the tokens less probable than this, unless they are the target (Wijmans et al.
   * 2024, *Cut Your Losses*, §4.3). Then ‖Δ dhidden‖ ≤ |dlogprob| · Σ p · max ‖W‖, over the omitted tokens and their rows W
   * of the head; ‖Δ dhead[v]‖ ≤ Σ |dlogprob| · p · ‖hidden‖, over the rows that omit v, where each p is below it.
   */
  filterEps?: number;
  /** Logits are cap · tanh(hidden · headᵀ / cap); undefined: no cap. */
  softCap?: number | undefined;
  /** (R): destination of the means of capped logits over the vocabulary, if needed; only with `softCap`. */
  cappedMeans?: Tensor | undefined;
}

/**
 * hidden (R, d), head (V, d), targets (R) u32, each below V → the log-probabilities under logits = hidden · headᵀ. The
 * results' `stats` live as long as the tape: read them before its backward pass.
 */
export function headLogprobs(
  tape: Tape,
  hidden: Tensor,
  head: Tensor,
  targets: Tensor,
  { filterEps = 0, softCap: cap, cappedMeans: means }: HeadOptions = {},
): TokenLogprobs {
  const { gpu } = tape;
  const width = head.cols;
  const count = hidden.rows;
  if (hidden.cols !== width)
    throw new RangeError(`headLogprobs: hidden is ${hidden}, but the head is ${head}`);
  checkPerRow('headLogprobs', targets, count, 'u32');
  const sparse = filterEps > 0;
  const strips = stripsOf(gpu, head, count, sparse);
  const capped = cappedBy(cap);
  const constants = { ...sharingRows(gpu, Math.max(strips[0].stride, width)), ...capped };
  const results = resultsFor(tape, count);
  const { logprobs, stats, states } = results;
  const shared = { rows: count, width, filter_eps: filterEps, soft_cap: cap ?? 0 };

  /** Computes the logits of each strip in turn and passes them to `visit`. */
  const eachStrip = (visit: (strip: Tensor, at: Strip, ofHead: Tensor) => void, cappedMeans?: Tensor) => {
    const strip = tape.empty([count, strips[0].stride], 'strip of logits', 'f32', 'head');
    for (const at of strips) {
      const ofHead = head.rowsFrom(at.start, at.cols);
      const size = { m: count, n: at.cols, k: width, cStride: at.stride };
      product(gpu, 'nt', hidden, ofHead, strip, size);
      if (cap !== undefined)
        capStrip(gpu, strip, at, cap, cappedMeans && { means: cappedMeans, vocabulary: head.rows });
      visit(strip, at, ofHead);
    }
    tape.release(strip);
  };

  // With a frozen head, the forward pass can store everything that the gradient needs, with one product instead of two; if
  // most of the vocabulary is negligible, this costs almost nothing, so it is then done for a trained head too.
  const pulls = tape.recording && hidden.requiresGrad && (sparse || !head.requiresGrad);
  const pull = pulls ? tape.empty([count, width], 'pull of the vocabulary', 'f32', 'head') : undefined;
  eachStrip((strip, { start, cols, stride }, ofHead) => {
    const accumulate = start > 0 ? 1 : 0;
    const params = { ...shared, cols, stride, start, accumulate };
    tokenLogprobKernels.forward(gpu, { logits: strip, targets, states }, params, constants);
    if (!pull) return;
    const { pull_sparse } = kernelsByFormat[formatOf(head)];
    if (sparse) {
      const buffers = { logits: strip, targets, saved_states: states, pull, weights: bound(ofHead) };
      pull_sparse(gpu, buffers, params, {
        WORKGROUP: threadsOfLikely(gpu, strips[0].cols, width),
        ...capped,
      });
      return;
    }
    tokenLogprobKernels.weigh(gpu, { strip, saved_states: states, pull }, params, constants);
    const size = { m: count, n: width, k: cols, aStride: stride };
    product(gpu, 'nn', strip, ofHead, pull, size, { accumulate });
  }, means);
  finish(tape, targets, results);

  const backwardFromPull = (saved_pull: Tensor) => {
    const slot = tape.gradient(hidden);
    if (!slot) return;
    const dhidden = slot.grad;
    const buffers = {
      targets,
      saved_states: states,
      saved_pull,
      dlogprobs: logprobs.grad!,
      dhidden,
    };
    const { backward_pull } = kernelsByFormat[formatOf(head)];
    inBlocksOfRows(gpu, head, (block, start) => {
      const accumulate = start > 0 ? 1 : slot.accumulate;
      const params = { ...shared, cols: block.rows, stride: 0, start, accumulate };
      backward_pull(gpu, { ...buffers, weights: bound(block) }, params, constants);
    });
  };

  const backwardFromStrips = () => {
    const dhidden = pull ? undefined : tape.gradient(hidden);
    const dhead = tape.gradient(head);
    if (!dhidden && !dhead) return;
    const buffers = { targets, saved_states: states, dlogprobs: logprobs.grad! };
    eachStrip((strip, { start, cols, stride }, ofHead) => {
      const params = { ...shared, cols, stride, start, accumulate: 0 };
      tokenLogprobKernels.backward_strip(gpu, { ...buffers, strip }, params, constants);
      if (dhidden) {
        const accumulate = start > 0 ? 1 : dhidden.accumulate;
        const size = { m: count, n: width, k: cols, aStride: stride };
        product(gpu, 'nn', strip, ofHead, dhidden.grad, size, { accumulate });
      }
      if (dhead) {
        const { grad, accumulate } = dhead;
        const ofGrad = grad.rowsFrom(start, cols);
        if (sparse) {
          if (accumulate === 0) gpu.recorder.clear(ofGrad);
          const WORKGROUP = Math.max(TOKENS_PER_GROUP, threadsOfLikely(gpu, TOKENS_PER_GROUP * count, width));
          for (const part of partsOf(gpu, count, TOKENS_PER_GROUP * perLikely(width, WORKGROUP))) {
            const dstrip = behind(strip, part.first * stride);
            const ofHidden = behind(hidden, part.first * width);
            const buffers = { dstrip, hidden: ofHidden, dhead: ofGrad };
            tokenLogprobKernels.head_sparse(gpu, buffers, { ...params, rows: part.count }, { WORKGROUP });
          }
          return;
        }
        const size = { m: cols, n: width, k: count, aStride: stride };
        product(gpu, 'tn', strip, hidden, ofGrad, size, { accumulate });
      }
    });
  };

  tape.record({
    inputs: [hidden, head],
    outputs: [logprobs],
    saved: pull ? [stats, states, pull] : [stats, states],
    backward() {
      if (pull) backwardFromPull(pull);
      backwardFromStrips();
    },
  });
  return { logprobs, stats };
}

/** Caps a strip; the first strip of a row initializes its mean. */
function capStrip(
  gpu: Gpu,
  strip: Tensor,
  { start, cols, stride }: Strip,
  cap: number,
  mean: Omit<MeanOfRows, 'accumulate'> | undefined,
): void {
  const rows = new Tensor(strip, [strip.rows, stride], 'f32', strip.label);
  softCap(gpu, rows, cols, cap, mean && { ...mean, accumulate: start > 0 ? 1 : 0 });
}

function resultsFor(tape: Tape, rows: number) {
  return {
    logprobs: tape.empty([rows], 'token log-probabilities', 'f32', 'head'),
    stats: tape.empty([rows, STATS_WIDTH], 'token statistics', 'f32', 'head'),
    states: tape.empty([rows, STATE_WIDTH], 'row states', 'f32', 'head'),
  };
}

function finish(
  tape: Tape,
  targets: Tensor,
  { logprobs, stats, states }: ReturnType<typeof resultsFor>,
): void {
  const { gpu } = tape;
  const buffers = { targets, saved_states: states, logprobs, stats };
  const params = { ...WHOLE, rows: targets.length, cols: 0, stride: 0 };
  tokenLogprobKernels.finish(gpu, buffers, params, { WORKGROUP: gpu.rowThreads });
}
