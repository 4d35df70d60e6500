/**
 * TensorFlow.js as a contestant, on its WebGPU backend: eager, with `tidy` around every job, its own gradient functions and
 * its own Adam. It shares no kernels with us.
 */

import type { WebGPUBackend } from '@tensorflow/tfjs-backend-webgpu/dist/backend_webgpu';
import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-webgpu';
import '@tensorflow/tfjs-core/dist/register_all_gradients';
import type { JobOf, Peer, Run } from '../bench.ts';
import { numbers, tokens } from '../inputs.ts';
import { moduleOf } from '../jobs.ts';
import { dependencies } from '../package.json';

const random = (seed: number, shape: number[], spread = 1) =>
  tf.tensor(
    numbers(
      seed,
      shape.reduce((a, b) => a * b, 1),
      spread,
    ),
    shape,
  );
const ids = (values: number[], shape: number[]) => tf.tensor(Int32Array.from(values), shape, 'int32');

/** A run whose last results are kept until the next start. One number of the first is awaited; `shown` is compared. */
function heldRun(start: () => tf.Tensor[], held: tf.Tensor[], shown: number): Run {
  let last: tf.Tensor[] = [];
  const read = async (tensor: tf.Tensor, length: number) => {
    const part = tf.tidy(() => tf.slice(tf.reshape(tensor, [-1]), 0, Math.min(length, tensor.size)));
    const values = (await part.data()) as Float32Array;
    part.dispose();
    return values;
  };
  return {
    start() {
      tf.dispose(last);
      last = tf.tidy(start);
    },
    finish: async () => (await read(last[0] as tf.Tensor, 1))[0] as number,
    result: () => read(last[shown] as tf.Tensor, 2 ** 20),
    dispose: () => tf.dispose([...last, ...held]),
  };
}

/** Σ over tokens of log p(target), by sequence: logits (S, T, V), targets (S, T) → (S). */
function sequenceLogps(logits: tf.Tensor, targets: tf.Tensor): tf.Tensor {
  const wanted = tf.oneHot(targets, logits.shape.at(-1) as number);
  return tf.sum(tf.mul(tf.logSoftmax(logits, -1), wanted), [1, 2]);
}

/** Mean DPO loss of log-ratios (S), chosen and rejected in turn. */
function dpoLoss(logRatios: tf.Tensor, beta: number): tf.Scalar {
  const [chosen, rejected] = tf.split(tf.reshape(logRatios, [-1, 2]), 2, 1) as [tf.Tensor, tf.Tensor];
  return tf.mean(tf.softplus(tf.mul(tf.sub(rejected, chosen), beta)));
}

const make: Peer['make'] = {
  async product({ m, n, k }) {
    const a = random(1, [m, k]) as tf.Tensor2D;
    const b = random(2, [k, n]) as tf.Tensor2D;
    return heldRun(() => [tf.matMul(a, b)], [a, b], 0);
  },

  async softmax({ rows, cols }) {
    const x = random(1, [rows, cols], 8);
    return heldRun(() => [tf.softmax(x, -1)], [x], 0);
  },

  async crossEntropy({ rows, cols }) {
    const x = random(1, [rows, cols], 8);
    const targets = ids(tokens(2, rows, cols), [rows]);
    const run = tf.valueAndGrad((logits) => {
      const wanted = tf.oneHot(targets, cols);
      return tf.mul(tf.sum(tf.mul(tf.logSoftmax(logits, -1), wanted)), -1 / rows);
    });
    const start = () => {
      const { value, grad } = run(x);
      return [value, grad];
    };
    return heldRun(start, [x, targets], 1);
  },

  async dpoLogits({ pairs, length, cols, beta }) {
    const shape = [2 * pairs, length, cols];
    const policy = random(1, shape, 8);
    const reference = random(2, shape, 8);
    const targets = ids(tokens(3, 2 * pairs * length, cols), [2 * pairs, length]);
    const start = () => {
      const against = sequenceLogps(reference, targets);
      const run = tf.valueAndGrad((logits) => dpoLoss(tf.sub(sequenceLogps(logits, targets), against), beta));
      const { value, grad } = run(policy);
      return [value, grad];
    };
    return heldRun(start, [policy, reference, targets], 1);
  },

  dpoStep: trainingRun,
};

type LowRank = { a: tf.Variable; b: tf.Variable };

/** A Llama: token ids (S · T) → hidden states (S · T, d) after the last norm. Without `lora` it is the model as it was. */
function decoder({ config, adapter }: JobOf<'dpoStep'>, weights: Map<string, tf.Tensor>, length: number) {
  const { numHiddenLayers, numAttentionHeads: heads, headDim, normEps, layers } = config;
  const scale = adapter.config.loraAlpha / adapter.config.r;
  const half = headDim / 2;
  const theta = (layers[0] as { rotary: { theta: number } }).rotary.theta;
  const angles = Float32Array.from(
    { length: length * half },
    (_, i) => Math.floor(i / half) * theta ** (-(i % half) / half),
  );
  const cos = tf.tensor(angles.map(Math.cos), [1, 1, length, half]);
  const sin = tf.tensor(angles.map(Math.sin), [1, 1, length, half]);
  const above = Float32Array.from({ length: length ** 2 }, (_, i) =>
    i % length > Math.floor(i / length) ? -1e9 : 0,
  );
  const mask = tf.tensor(above, [1, 1, length, length]);
  const weight = (name: string) => weights.get(`${name}.weight`) as tf.Tensor2D;

  const norm = (x: tf.Tensor, name: string) => {
    const square = tf.mean(tf.square(x), -1, true);
    return tf.mul(tf.mul(x, tf.rsqrt(tf.add(square, normEps))), weight(name));
  };
  const turn = (x: tf.Tensor) => {
    const [left, right] = tf.split(x, 2, -1) as [tf.Tensor, tf.Tensor];
    const first = tf.sub(tf.mul(left, cos), tf.mul(right, sin));
    return tf.concat([first, tf.add(tf.mul(right, cos), tf.mul(left, sin))], -1);
  };

  const hidden = (tokenIds: tf.Tensor, lora?: Map<string, LowRank>): tf.Tensor2D => {
    const sequences = tokenIds.size / length;
    const linear = (x: tf.Tensor, module: string) => {
      const y = tf.matMul(x as tf.Tensor2D, weight(module), false, true);
      const pair = lora?.get(module);
      if (!pair) return y;
      const low = tf.matMul(x as tf.Tensor2D, pair.a as tf.Tensor2D, false, true);
      return tf.add(y, tf.mul(tf.matMul(low, pair.b as tf.Tensor2D, false, true), scale)) as tf.Tensor2D;
    };
    const split = (y: tf.Tensor) =>
      tf.transpose(tf.reshape(y, [sequences, length, heads, headDim]), [0, 2, 1, 3]);
    let x: tf.Tensor = tf.gather(weight('model.embed_tokens'), tokenIds as tf.Tensor1D);
    for (let layer = 0; layer < numHiddenLayers; layer++) {
      const at = (name: Parameters<typeof moduleOf>[1]) => moduleOf(layer, name);
      const h = norm(x, `model.layers.${layer}.input_layernorm`);
      const [q, k] = [turn(split(linear(h, at('q')))), turn(split(linear(h, at('k'))))];
      const scores = tf.mul(
        tf.matMul(q as tf.Tensor4D, k as tf.Tensor4D, false, true),
        1 / Math.sqrt(headDim),
      );
      const attended = tf.matMul(
        tf.softmax(tf.add(scores, mask), -1) as tf.Tensor4D,
        split(linear(h, at('v'))) as tf.Tensor4D,
      );
      const joined = tf.reshape(tf.transpose(attended, [0, 2, 1, 3]), [sequences * length, heads * headDim]);
      x = tf.add(x, linear(joined, at('o')));
      const g = norm(x, `model.layers.${layer}.post_attention_layernorm`);
      const gate = linear(g, at('gate'));
      const inner = tf.mul(tf.mul(gate, tf.sigmoid(gate)), linear(g, at('up')));
      x = tf.add(x, linear(inner, at('down')));
    }
    return norm(x, 'model.norm') as tf.Tensor2D;
  };
  return { hidden, held: [cos, sin, mask] };
}

async function trainingRun(job: JobOf<'dpoStep'>): Promise<Run> {
  const { weights: stored, adapter, pairs, settings } = job;
  const { beta, learningRate, beta1, beta2, epsilon, checkedAfter } = settings;
  const weights = new Map([...stored].map(([name, { shape, values }]) => [name, tf.tensor(values, shape)]));
  const lora = new Map<string, LowRank>();
  for (const [module, { a, b, r, in: inputs, out }] of adapter.weights)
    lora.set(module, { a: tf.variable(tf.tensor(a, [r, inputs])), b: tf.variable(tf.tensor(b, [out, r])) });
  const variables = [...lora.values()].flatMap(({ a, b }) => [a, b]);

  const completions = pairs.flatMap(({ prompt, chosen, rejected }) =>
    [chosen, rejected].map((completion) => ({ prompt, completion })),
  );
  const start = (completions[0]?.prompt.length as number) - 1;
  const wanted = completions[0]?.completion.length as number;
  const length = start + wanted;
  const inputs = completions.flatMap(({ prompt, completion }) => [...prompt, ...completion.slice(0, -1)]);
  const tokenIds = ids(inputs, [inputs.length]);
  const targets = ids(
    completions.flatMap(({ completion }) => completion),
    [completions.length, wanted],
  );
  const { hidden, held } = decoder(job, weights, length);
  const logps = (low?: Map<string, LowRank>) => {
    const all = tf.reshape(hidden(tokenIds, low), [completions.length, length, -1]);
    const rows = tf.slice(all, [0, start, 0], [-1, wanted, -1]);
    const head = weights.get('model.embed_tokens.weight') as tf.Tensor2D;
    const flat = tf.reshape(rows, [completions.length * wanted, -1]) as tf.Tensor2D;
    const logits = tf.matMul(flat, head, false, true);
    return sequenceLogps(tf.reshape(logits, [completions.length, wanted, -1]), targets);
  };
  const reference = tf.tidy(() => logps());
  const optimizer = tf.train.adam(learningRate, beta1, beta2, epsilon);
  let last: tf.Scalar | undefined;
  const losses: number[] = [];
  const run: Run = {
    async start() {
      last?.dispose();
      last = optimizer.minimize(
        () => dpoLoss(tf.sub(logps(lora), reference), beta),
        true,
        variables,
      ) as tf.Scalar;
      if (losses.length < checkedAfter) losses.push(await run.finish());
    },
    async finish() {
      // The loss is ready before the last update is, so one number of the update is awaited.
      const [moved] = variables as [tf.Variable];
      const part = tf.tidy(() => tf.slice(tf.reshape(moved, [-1]), 0, 1));
      await part.data();
      part.dispose();
      return ((await (last as tf.Scalar).data()) as Float32Array)[0] as number;
    },
    async result() {
      while (losses.length < checkedAfter) await run.start();
      return Float32Array.from(losses);
    },
    dispose() {
      optimizer.dispose();
      for (const variable of variables) variable.dispose();
      tf.dispose([...weights.values(), reference, tokenIds, targets, ...held]);
      last?.dispose();
    },
  };
  return run;
}

export const name = 'tfjs';
export const version = dependencies['@tensorflow/tfjs-core'];
/** Values beyond the end of a buffer get into its sums, multiplied by zero, which gives NaN if they are NaN or infinite. */
export const needsClamping = true;

const BACKEND = 'webgpu';
const factory = tf.findBackendFactory(BACKEND);

export async function open(): Promise<Peer> {
  if (!tf.findBackendFactory(BACKEND)) tf.registerBackend(BACKEND, factory);
  await tf.setBackend(BACKEND);
  const { device } = tf.backend() as WebGPUBackend;
  const dispose = () => {
    tf.removeBackend(BACKEND);
    device.destroy();
  };
  return { device, make, dispose };
}
