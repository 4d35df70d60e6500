/**
 * An operation written outside the package, with its own WGSL and its gradient: the sum of squares of each row, y = Σ x².
 * It is recorded on the tape between operations of the package, adds to existing gradients, and is compared with finite
 * differences.
 */
import { expect } from 'chai';
import type { Gpu } from 'webalign';
import { type Grid, kernels, shader, Tape, Tensor } from 'webalign/gpu';
import { logitsOf, softmax } from 'webalign/logits';
import { requestGpuOf } from './place.ts';

const perRow: Grid = { groups: ({ rows }) => rows };

const { forward, backward } = kernels(
  shader(
    'squares.wgsl',
    `
#include "lib/dispatch.wgsl"
#include "lib/reduce.wgsl"

struct Params {
  rows: u32,
  cols: u32,
  accumulate: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;
@group(0) @binding(3) var<storage, read> dy: array<f32>;
@group(0) @binding(4) var<storage, read_write> dx: array<f32>;

@compute @workgroup_size(WORKGROUP)
fn forward(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let row = linear_group(group, groups);
  if (row >= params.rows) {
    return;
  }
  var sum = 0.0;
  for (var i = lane; i < params.cols; i += WORKGROUP) {
    let value = x[row * params.cols + i];
    sum += value * value;
  }
  let whole = reduce_sum(sum, lane);
  if (lane == 0) {
    y[row] = whole;
  }
}

@compute @workgroup_size(WORKGROUP)
fn backward(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let row = linear_group(group, groups);
  if (row >= params.rows) {
    return;
  }
  for (var i = lane; i < params.cols; i += WORKGROUP) {
    let at = row * params.cols + i;
    let gradient = 2 * x[at] * dy[row];
    dx[at] = select(gradient, dx[at] + gradient, params.accumulate == 1);
  }
}
`,
  ),
  { forward: perRow, backward: perRow },
);

/** x (N, V) → y (N): the sum of the squares of each row. */
function squares(tape: Tape, x: Tensor): Tensor {
  const { gpu } = tape;
  const params = { rows: x.rows, cols: x.cols };
  const constants = { WORKGROUP: gpu.rowThreads };
  const y = tape.empty([x.rows], 'squares');
  forward(gpu, { x, y }, { ...params, accumulate: 0 }, constants);
  tape.record({
    inputs: [x],
    outputs: [y],
    reads: [x],
    backward() {
      const slot = tape.gradient(x);
      const { accumulate } = slot ?? {};
      if (slot)
        backward(gpu, { x, dy: y.grad!, dx: slot.grad }, { ...params, accumulate: accumulate! }, constants);
    },
  });
  return y;
}

const [ROWS, COLS] = [5, 37];
const LOGITS = Float32Array.from({ length: ROWS * COLS }, (_, i) => 2 * Math.cos(0.9 * i));
const WEIGHTS = Float32Array.from({ length: ROWS }, (_, i) => i - 1.5);

/** Σ w Σ softmax(x)² in float64. */
function value(logits: ArrayLike<number>): number {
  let total = 0;
  for (let row = 0; row < ROWS; row++) {
    const own = Array.from({ length: COLS }, (_, i) => Math.exp(logits[row * COLS + i]));
    const sum = own.reduce((a, b) => a + b, 0);
    total += WEIGHTS[row] * own.reduce((squared, each) => squared + (each / sum) ** 2, 0);
  }
  return total;
}

describe('outside/op', () => {
  let gpu: Gpu;
  before(async () => {
    gpu = await requestGpuOf();
  });
  after(() => gpu?.dispose());

  it('computes its value and a gradient that continues through an operation of the package', async () => {
    const tape = Tape.forTraining(gpu);
    const x = Tensor.from(gpu, LOGITS, [ROWS, COLS], 'x');
    x.requiresGrad = true;
    x.grad = Tensor.from(gpu, new Float32Array(ROWS * COLS), [ROWS, COLS], 'dx');
    const y = squares(tape, softmax(tape, x));
    const weights = Tensor.from(gpu, WEIGHTS, [ROWS], 'weights');
    y.grad = weights;
    const squared = await y.toArray(gpu);
    expect(squared.reduce((sum, each, row) => sum + each * WEIGHTS[row], 0)).to.be.closeTo(
      value(LOGITS),
      1e-6,
    );
    tape.backward();
    const gradient = await x.grad.toArray(gpu);
    for (let i = 0; i < LOGITS.length; i++) {
      const moved = (by: number) =>
        value(Float64Array.from(LOGITS, (each, at) => (at === i ? each + by : each)));
      // Differences in float64 have errors of 1e-9; the rest is float32.
      expect(gradient[i], `${i}`).to.be.closeTo((moved(1e-4) - moved(-1e-4)) / 2e-4, 1e-6);
    }
  });

  it('adds to an existing gradient, deterministically', async () => {
    const run = async (before: number) => {
      const tape = Tape.forTraining(gpu);
      const x = Tensor.from(gpu, LOGITS, [ROWS, COLS], 'x');
      x.requiresGrad = true;
      x.grad = Tensor.from(gpu, new Float32Array(ROWS * COLS).fill(before), [ROWS, COLS], 'dx');
      const y = squares(tape, x);
      y.grad = Tensor.from(gpu, WEIGHTS, [ROWS], 'dy');
      tape.backward();
      return x.grad.toArray(gpu);
    };
    const [zero, one, again] = [await run(0), await run(1), await run(1)];
    for (const [i, each] of zero.entries()) expect(one[i]).to.be.closeTo(each + 1, 1e-5);
    expect(again).to.deep.equal(one);
  });

  it('frees its memory, and is named in errors', async () => {
    const before = gpu.memory().live;
    const tape = Tape.forTraining(gpu);
    const x = Tensor.from(gpu, LOGITS, [ROWS, COLS], 'x');
    tape.scope(() => squares(tape, softmax(tape, logitsOf(x, ROWS, COLS))));
    tape.dispose();
    gpu.pool.release(x);
    expect(gpu.memory().live).to.equal(before);
    expect(() => forward(gpu, { x }, { rows: 1, cols: 1, accumulate: 0 })).to.throw(
      'squares.wgsl:forward: buffer y is missing',
    );
    expect(() => shader('mine.wgsl', '\n#include "lib/pairwise.wgsl"\n')).to.throw(
      RangeError,
      'mine.wgsl:2: cannot include "lib/pairwise.wgsl"; supported: "lib/dispatch.wgsl", "lib/reduce.wgsl"',
    );
  });
});
