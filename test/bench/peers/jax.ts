/**
 * jax-js as a contestant: every job is one function under `jit`, written as its documentation recommends. Its arrays are
 * counted by reference: passing one gives it away, `.ref` keeps it. It shares no kernels with us.
 */
import * as jax from '@jax-js/jax';
import { jit, nn, numpy as np, valueAndGrad } from '@jax-js/jax';
import type { JobOf, Peer, Run } from '../bench.ts';
import { numbers, tokens } from '../inputs.ts';
import { moduleOf } from '../jobs.ts';
import { dependencies } from '../package.json';

type Array = np.Array;

const random = (seed: number, shape: number[], spread = 1) =>
  np
    .array(
      numbers(
        seed,
        shape.reduce((a, b) => a * b, 1),
        spread,
      ),
    )
    .reshape(shape);
const ids = (values: number[], shape: number[]) => np.array(Int32Array.from(values)).reshape(shape);

/** A run whose last results are kept until the next start. The first array is awaited; `shown` is compared. */
function heldRun(start: () => Array[], held: Array[], shown: number, first = 2 ** 20): Run {
  let last: Array[] = [];
  return {
    start() {
      for (const array of last) array.dispose();
      last = start();
    },
    async finish() {
      await jax.blockUntilReady(last);
      return last.length > 1 ? ((await last[0].ref.data())[0] as number) : 0;
    },
    result: async () => Float32Array.from((await last[shown].ref.data()).subarray(0, first)),
    dispose() {
      for (const array of [...last, ...held]) array.dispose();
    },
  };
}

/**
 * The values at the targets' places, zero elsewhere. Computed by a comparison, which `jit` fuses with the code around it:
 * `oneHot` makes a matrix of V × V there, and the gradient of `takeAlongAxis` cannot be compiled.
 */
function picked(values: Array, targets: Array): Array {
  const places = np.arange(values.shape.at(-1) as number);
  const hit = np.equal(targets.reshape([...targets.shape, 1]), places);
  return np.where(hit, values, 0);
}

/** Σ over tokens of log p(target), by sequence: logits (S, T, V), targets (S, T) → (S). */
function sequenceLogps(logits: Array, targets: Array): Array {
  return picked(nn.logSoftmax(logits, -1), targets).sum([1, 2]);
}

/** Mean DPO loss of log-ratios (S), chosen and rejected in turn. */
function dpoLoss(logRatios: Array, beta: number): Array {
  const pairs = logRatios.reshape([-1, 2]);
  const sign = np.array([1, -1]);
  return nn.softplus(pairs.mul(sign).sum(1).mul(-beta)).mean();
}

const make: Peer['make'] = {
  async product({ m, n, k }) {
    const a = random(1, [m, k]);
    const b = random(2, [k, n]);
    const run = jit((x: Array, y: Array) => np.matmul(x, y));
    return heldRun(() => [run(a.ref, b.ref)], [a, b], 0);
  },

  async softmax({ rows, cols }) {
    const x = random(1, [rows, cols], 8);
    const run = jit((logits: Array) => nn.softmax(logits, -1));
    return heldRun(() => [run(x.ref)], [x], 0);
  },

  async crossEntropy({ rows, cols }) {
    const x = random(1, [rows, cols], 8);
    const targets = ids(tokens(2, rows, cols), [rows]);
    const loss = (logits: Array, wanted: Array) =>
      picked(nn.logSoftmax(logits, -1), wanted)
        .sum()
        .mul(-1 / rows);
    const run = jit((logits: Array, wanted: Array) => valueAndGrad(loss)(logits, wanted));
    return heldRun(() => run(x.ref, targets.ref), [x, targets], 1);
  },

  async dpoLogits({ pairs, length, cols, beta }) {
    const shape = [2 * pairs, length, cols];
    const policy = random(1, shape, 8);
    const reference = random(2, shape, 8);
    const targets = ids(tokens(3, 2 * pairs * length, cols), [2 * pairs, length]);
    const loss = (logits: Array, against: Array, wanted: Array) =>
      dpoLoss(sequenceLogps(logits, wanted.ref).sub(sequenceLogps(against, wanted)), beta);
    const run = jit((logits: Array, against: Array, wanted: Array) =>
      valueAndGrad(loss)(logits, against, wanted),
    );
    return heldRun(() => run(policy.ref, reference.ref, targets.ref), [policy, reference, targets], 1);
  },

  dpoStep: trainingRun,
};

type LowRank = { a: Array; b: Array };
type Weights = Record<string, Array>;
type Lora = Record<string, LowRank>;

/** A Llama: token ids (S, T) → hidden states (S, T, d) after the last norm. Without `lora` it is the model as it was. */
function decoder({ config, adapter, pairs }: JobOf<'dpoStep'>) {
  const { numHiddenLayers, numAttentionHeads: heads, headDim, normEps, layers } = config;
  const scale = adapter.config.loraAlpha / adapter.config.r;
  const half = headDim / 2;
  const [{ prompt, chosen }] = pairs as [(typeof pairs)[0]];
  const length = prompt.length + chosen.length - 1;
  const angles = Float32Array.from({ length: length * half }, (_, i) => {
    const theta = (layers[0] as { rotary: { theta: number } }).rotary.theta;
    return Math.floor(i / half) * theta ** (-(i % half) / half);
  });
  const cos = np.array(angles.map(Math.cos)).reshape([1, length, 1, half]);
  const sin = np.array(angles.map(Math.sin)).reshape([1, length, 1, half]);

  const norm = (x: Array, weight: Array) => {
    const square = np.square(x.ref).mean(-1, { keepdims: true });
    return x.mul(np.reciprocal(np.sqrt(square.add(normEps)))).mul(weight);
  };
  const turn = (x: Array) => {
    const [left, right] = np.split(x, 2, -1) as [Array, Array];
    const first = left.ref.mul(cos.ref).sub(right.ref.mul(sin.ref));
    return np.concatenate([first, right.mul(cos.ref).add(left.mul(sin.ref))], -1);
  };

  return (weights: Weights, tokenIds: Array, lora?: Lora): Array => {
    const weight = (name: string) => (weights[`${name}.weight`] as Array).ref;
    const linear = (x: Array, module: string) => {
      const pair = lora?.[module];
      if (!pair) return np.matmul(x, weight(module).transpose());
      const low = np.matmul(x.ref, pair.a.ref.transpose());
      return np.matmul(x, weight(module).transpose()).add(np.matmul(low, pair.b.ref.transpose()).mul(scale));
    };
    let x = np.take(weight('model.embed_tokens'), tokenIds, 0);
    const [sequences, count] = x.shape as [number, number, number];
    const split = (y: Array) => y.reshape([sequences, count, heads, headDim]);
    for (let layer = 0; layer < numHiddenLayers; layer++) {
      const at = (name: Parameters<typeof moduleOf>[1]) => moduleOf(layer, name);
      const h = norm(x.ref, weight(`model.layers.${layer}.input_layernorm`));
      const q = turn(split(linear(h.ref, at('q'))));
      const k = turn(split(linear(h.ref, at('k'))));
      const v = split(linear(h, at('v')));
      const attended = nn.dotProductAttention(q, k, v, { isCausal: true });
      x = x.add(linear(attended.reshape([sequences, count, heads * headDim]), at('o')));
      const g = norm(x.ref, weight(`model.layers.${layer}.post_attention_layernorm`));
      const gate = nn.silu(linear(g.ref, at('gate')));
      x = x.add(linear(gate.mul(linear(g, at('up'))), at('down')));
    }
    return norm(x, weight('model.norm'));
  };
}

type State = { lora: Lora; first: Lora; second: Lora };

async function trainingRun(job: JobOf<'dpoStep'>): Promise<Run> {
  const { weights: stored, adapter, pairs, settings } = job;
  const { beta, learningRate, beta1, beta2, epsilon, checkedAfter } = settings;
  const hidden = decoder(job);
  const weights: Weights = {};
  for (const [name, { shape, values }] of stored) weights[name] = np.array(values.slice()).reshape(shape);
  const lora: Lora = {};
  for (const [module, { a, b, r, in: inputs, out }] of adapter.weights)
    lora[module] = { a: np.array(a.slice()).reshape([r, inputs]), b: np.array(b.slice()).reshape([out, r]) };
  const zeros = (): Lora => jax.tree.map((x: Array) => np.zeros(x.shape), lora) as Lora;

  const completions = pairs.flatMap(({ prompt, chosen, rejected }) =>
    [chosen, rejected].map((completion) => ({ prompt, completion })),
  );
  const start = (completions[0]?.prompt.length as number) - 1;
  const wanted = completions[0]?.completion.length as number;
  const inputs = completions.flatMap(({ prompt, completion }) => [...prompt, ...completion.slice(0, -1)]);
  const tokenIds = ids(inputs, [completions.length, start + wanted]);
  const targets = ids(
    completions.flatMap(({ completion }) => completion),
    [completions.length, wanted],
  );
  const logps = (all: Weights, tokensIn: Array, targetsIn: Array, low?: Lora) => {
    const rows = hidden(all, tokensIn, low).slice([], [start, start + wanted], []);
    const head = (all['model.embed_tokens.weight'] as Array).ref.transpose();
    return sequenceLogps(np.matmul(rows, head), targetsIn);
  };
  /** What `jit` captures is given away there. */
  const spend = <T extends Weights | Lora>(tree: T) => jax.tree.dispose(tree);

  const scored = jit((all: Weights, x: Array, y: Array) => {
    const result = logps(all, x, y);
    spend(all);
    return result;
  });
  const reference = scored(jax.tree.ref(weights) as Weights, tokenIds.ref, targets.ref) as Array;
  const step = jit(
    (state: State, all: Weights, against: Array, x: Array, y: Array, rate: Array, correction: Array) => {
      const loss = (low: Lora) => {
        const value = dpoLoss(logps(all, x.ref, y.ref, low).sub(against.ref), beta);
        spend(low);
        return value;
      };
      const [value, gradients] = valueAndGrad(loss)(jax.tree.ref(state.lora) as Lora) as [Array, Lora];
      const map = (f: (...xs: Array[]) => Array, ...trees: Lora[]) =>
        jax.tree.map(f as never, ...(trees as [Lora])) as Lora;
      const first = map(
        (m, g) => m.mul(beta1).add(g.mul(1 - beta1)),
        state.first,
        jax.tree.ref(gradients) as Lora,
      );
      const second = map((v, g) => v.mul(beta2).add(np.square(g).mul(1 - beta2)), state.second, gradients);
      const moved = map(
        (w, m, v) => w.sub(m.mul(rate.ref).div(np.sqrt(v.div(correction.ref)).add(epsilon))),
        state.lora,
        jax.tree.ref(first) as Lora,
        jax.tree.ref(second) as Lora,
      );
      for (const array of [against, x, y, rate, correction]) array.dispose();
      spend(all);
      return { state: { lora: moved, first, second }, value };
    },
  );
  let state: State = { lora, first: zeros(), second: zeros() };
  let count = 0;
  let last = np.array([0]);
  const losses: number[] = [];
  const run: Run = {
    async start() {
      count++;
      const rate = np.array(learningRate / (1 - beta1 ** count));
      const correction = np.array(1 - beta2 ** count);
      const given = jax.tree.ref(weights) as Weights;
      const out = step(state, given, reference.ref, tokenIds.ref, targets.ref, rate, correction) as {
        state: State;
        value: Array;
      };
      state = out.state;
      last.dispose();
      last = out.value;
      if (losses.length < checkedAfter) losses.push(await run.finish());
    },
    async finish() {
      await jax.blockUntilReady(state);
      return (await last.ref.data())[0] as number;
    },
    async result() {
      while (losses.length < checkedAfter) await run.start();
      return Float32Array.from(losses);
    },
    dispose() {
      jax.tree.dispose([state, weights, reference, tokenIds, targets, last]);
    },
  };
  return run;
}

/** Methods of iterators that jax-js's einsum uses, and Node has from version 22 on. */
function completeIterators(): void {
  const prototype = Object.getPrototypeOf(Object.getPrototypeOf([].values())) as Record<string, unknown>;
  prototype.map ??= function* (this: Iterable<unknown>, change: (value: unknown) => unknown) {
    for (const value of this) yield change(value);
  };
  prototype.filter ??= function* (this: Iterable<unknown>, keeps: (value: unknown) => boolean) {
    for (const value of this) if (keeps(value)) yield value;
  };
  prototype.toArray ??= function (this: Iterable<unknown>) {
    return [...this];
  };
}

export const name = 'jax-js';
export const version = dependencies['@jax-js/jax'];
export const oncePerLoad = true;

export async function open(): Promise<Peer> {
  completeIterators();
  await jax.init('webgpu');
  jax.defaultDevice('webgpu');
  const device = jax.getWebGPUDevice();
  return { device, make, dispose: () => device.destroy() };
}
