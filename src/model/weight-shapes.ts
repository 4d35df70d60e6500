/** The weights that an architecture needs, by name and shape, and its linear layers. Reads no files. */
import type { ModelConfig } from '../io/config.ts';
import {
  type Architecture,
  inLayer,
  LAYER_NORMS,
  type LayerNormName,
  LINEARS,
  type LinearName,
} from './architecture.ts';
import type { LinearShape } from './lora.ts';

/** (out, in) of each linear layer of a decoder layer. */
export function linearShapes(config: ModelConfig): Record<LinearName, readonly [number, number]> {
  const { hiddenSize: d, intermediateSize: f, numAttentionHeads, numKeyValueHeads, headDim } = config;
  const q = numAttentionHeads * headDim;
  const kv = numKeyValueHeads * headDim;
  const attention = { qkv: [q + 2 * kv, d], q: [q, d], k: [kv, d], v: [kv, d], o: [d, q] } as const;
  return { ...attention, gateUp: [2 * f, d], gate: [f, d], up: [f, d], down: [d, f] };
}

const FEED_FORWARD: ReadonlySet<LinearName> = new Set(['gateUp', 'gate', 'up', 'down']);

/** Whether a linear layer has a bias, according to the architecture or the configuration. */
export function hasBias({ biased }: Architecture, config: ModelConfig, name: LinearName): boolean {
  return (
    (biased?.includes(name) ?? false) || (FEED_FORWARD.has(name) ? config.mlpBias : config.attentionBias)
  );
}

/** The linear layers that an adapter can adapt, by module name. */
export function linearsOf(architecture: Architecture, config: ModelConfig): Map<string, LinearShape> {
  const shapes = linearShapes(config);
  const linears = new Map<string, LinearShape>();
  for (let i = 0; i < config.numHiddenLayers; i++) {
    for (const name of LINEARS) {
      const [out, inputs] = shapes[name];
      const module = architecture.linears[name];
      if (module) linears.set(inLayer(module, i), { in: inputs, out });
    }
  }
  return linears;
}

/** Every weight of the model and its shape, in computation order. */
export function weightShapes(architecture: Architecture, config: ModelConfig): Map<string, number[]> {
  const { hiddenSize: d, headDim, vocabSize, numHiddenLayers, tieWordEmbeddings } = config;
  const shapes = new Map<string, number[]>();
  const linears = linearShapes(config);
  const whole = architecture.normsWholeProjections;
  const headNorms: Partial<Record<LayerNormName, number>> = {
    query: whole ? linears.q[0] : headDim,
    key: whole ? linears.k[0] : headDim,
  };
  const set = (module: string, shape: readonly number[], bias: boolean) => {
    shapes.set(`${module}.weight`, [...shape]);
    if (bias) shapes.set(`${module}.bias`, shape.slice(0, 1));
  };
  set(architecture.embedding, [vocabSize, d], false);
  if (architecture.positions) set(architecture.positions, [config.maxPositionEmbeddings, d], false);
  for (let i = 0; i < numHiddenLayers; i++) {
    for (const name of LAYER_NORMS) {
      const module = architecture.norms[name];
      const width = headNorms[name] ?? d;
      if (module) set(inLayer(module, i), [width], architecture.norm === 'layer');
    }
    for (const name of LINEARS) {
      const module = architecture.linears[name];
      if (module) set(inLayer(module, i), linears[name], hasBias(architecture, config, name));
    }
  }
  set(architecture.finalNorm, [d], architecture.norm === 'layer');
  if (!tieWordEmbeddings) shapes.set(`${architecture.head}.weight`, [vocabSize, d]);
  return shapes;
}
