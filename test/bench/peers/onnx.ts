/**
 * A Llama as an ONNX graph, in the operators that Transformers.js's models use: one graph for the prompt and for each further
 * token, with a cache of keys and values that goes in and comes out. Weights are float32.
 *
 * Field numbers are those of onnx.proto (ONNX 1.16, IR version 8).
 */
import { Writer } from 'protobufjs/minimal';
import type { JobOf } from '../bench.ts';
import { moduleOf } from '../jobs.ts';

const TYPES = { float: 1, int32: 6, int64: 7 } as const;
type Type = keyof typeof TYPES;
/** Names of dimensions stand for sizes that differ between calls. */
type Shape = readonly (number | string)[];
type Attribute = { float: number } | { int: number };

const CONTRIB = 'com.microsoft';

interface Node {
  op: string;
  inputs: string[];
  outputs: string[];
  domain?: string;
  attributes?: Record<string, Attribute>;
}

class Graph {
  private readonly graph = new Writer();

  node({ op, inputs, outputs, domain = '', attributes = {} }: Node): string {
    const node = this.graph.uint32((1 << 3) | 2).fork();
    for (const input of inputs) node.uint32((1 << 3) | 2).string(input);
    for (const output of outputs) node.uint32((2 << 3) | 2).string(output);
    node.uint32((3 << 3) | 2).string(outputs[0]);
    node.uint32((4 << 3) | 2).string(op);
    for (const [name, value] of Object.entries(attributes)) {
      const attribute = node.uint32((5 << 3) | 2).fork();
      attribute.uint32((1 << 3) | 2).string(name);
      if ('float' in value) attribute.uint32((2 << 3) | 5).float(value.float);
      else attribute.uint32(3 << 3).int64(value.int);
      attribute.uint32(20 << 3).int32('float' in value ? 1 : 2);
      attribute.ldelim();
    }
    node.uint32((7 << 3) | 2).string(domain);
    node.ldelim();
    return outputs[0];
  }

  /** A constant of the graph; returns its name. */
  constant(name: string, type: Type, shape: readonly number[], values: ArrayBufferView): string {
    const tensor = this.graph.uint32((5 << 3) | 2).fork();
    for (const size of shape) tensor.uint32(1 << 3).int64(size);
    tensor.uint32(2 << 3).int32(TYPES[type]);
    tensor.uint32((8 << 3) | 2).string(name);
    tensor.uint32((9 << 3) | 2).bytes(new Uint8Array(values.buffer, values.byteOffset, values.byteLength));
    tensor.ldelim();
    return name;
  }

  input(name: string, type: Type, shape: Shape): string {
    return this.value(11, name, type, shape);
  }

  output(name: string, type: Type, shape: Shape): string {
    return this.value(12, name, type, shape);
  }

  private value(field: number, name: string, type: Type, shape: Shape): string {
    const value = this.graph.uint32((field << 3) | 2).fork();
    value.uint32((1 << 3) | 2).string(name);
    const tensor = value
      .uint32((2 << 3) | 2)
      .fork()
      .uint32((1 << 3) | 2)
      .fork(); // prettier-ignore
    tensor.uint32(1 << 3).int32(TYPES[type]);
    const dimensions = tensor.uint32((2 << 3) | 2).fork();
    for (const size of shape) {
      const dimension = dimensions.uint32((1 << 3) | 2).fork();
      if (typeof size === 'number') dimension.uint32(1 << 3).int64(size);
      else dimension.uint32((2 << 3) | 2).string(size);
      dimension.ldelim();
    }
    dimensions.ldelim().ldelim().ldelim().ldelim();
    return name;
  }

  /** The file. */
  bytes(): Uint8Array {
    const model = new Writer().uint32(1 << 3).int64(8);
    for (const [domain, version] of [
      ['', 17],
      [CONTRIB, 1],
    ] as const) {
      const opset = model.uint32((8 << 3) | 2).fork();
      opset
        .uint32((1 << 3) | 2)
        .string(domain)
        .uint32(2 << 3)
        .int64(version)
        .ldelim(); // prettier-ignore
    }
    this.graph.uint32((2 << 3) | 2).string('decoder');
    return model
      .uint32((7 << 3) | 2)
      .bytes(this.graph.finish())
      .finish(); // prettier-ignore
  }
}

function transposed(values: Float32Array, [rows, columns]: readonly [number, number]): Float32Array {
  const turned = new Float32Array(values.length);
  for (let r = 0; r < rows; r++)
    for (let c = 0; c < columns; c++) turned[c * rows + r] = values[r * columns + c];
  return turned;
}

/**
 * The graph's file. Inputs: `input_ids` (rows, tokens), `seqlens_k` (rows; keys in all, less one), `total_sequence_length`,
 * and per layer `past.L.key` and `past.L.value` (rows, key heads, past, head size). Outputs: `logits` (rows, V) of the last
 * token, and `present.L.key` and `present.L.value`.
 */
export function decoderGraph(
  { config, weights }: Pick<JobOf<'writing'>, 'config' | 'weights'>,
  most: number,
): Uint8Array {
  const { numHiddenLayers, numAttentionHeads, numKeyValueHeads, headDim, vocabSize, normEps, layers } =
    config;
  const graph = new Graph();
  const stored = (name: string) => {
    const found = weights.get(`${name}.weight`);
    if (!found) throw new Error(`the job has no ${name}.weight`);
    return found;
  };
  const vector = (name: string) => graph.constant(name, 'float', stored(name).shape, stored(name).values);
  /** Stored as (in, out), as MatMul takes it. */
  const matrix = (name: string, as = name) => {
    const {
      shape: [out, width],
      values,
    } = stored(name); // prettier-ignore
    return graph.constant(`${as}.matrix`, 'float', [width, out], transposed(values, [out, width]));
  };
  const product = (x: string, name: string, as = name) =>
    graph.node({ op: 'MatMul', inputs: [x, matrix(name, as)], outputs: [`${as}.out`] });
  const epsilon = { epsilon: { float: normEps } };
  /** The sum of `x` and `skip`, and its norm. */
  const addAndNorm = (x: string, skip: string, norm: string): [sum: string, normed: string] => {
    graph.node({
      op: 'SkipSimplifiedLayerNormalization',
      domain: CONTRIB,
      inputs: [x, skip, vector(norm)],
      outputs: [`${norm}.out`, '', '', `${norm}.sum`],
      attributes: epsilon,
    });
    return [`${norm}.sum`, `${norm}.out`];
  };

  graph.input('input_ids', 'int64', ['rows', 'tokens']);
  graph.input('seqlens_k', 'int32', ['rows']);
  graph.input('total_sequence_length', 'int32', [1]);
  const half = headDim / 2;
  const theta = layers[0].rotary?.theta ?? 10_000;
  const angles = Float32Array.from(
    { length: most * half },
    (_, i) => Math.floor(i / half) * theta ** (-(i % half) / half),
  );
  const cos = graph.constant('cos', 'float', [most, half], angles.map(Math.cos));
  const sin = graph.constant('sin', 'float', [most, half], angles.map(Math.sin));

  let x = graph.node({
    op: 'Gather',
    inputs: [vector('model.embed_tokens'), 'input_ids'],
    outputs: ['embedded'],
  });
  let normed = graph.node({
    op: 'SimplifiedLayerNormalization',
    inputs: [x, vector('model.layers.0.input_layernorm')],
    outputs: ['first.out'],
    attributes: { axis: { int: -1 }, ...epsilon },
  });
  for (let layer = 0; layer < numHiddenLayers; layer++) {
    const at = (name: Parameters<typeof moduleOf>[1]) => moduleOf(layer, name);
    const cache = (kind: string, of: string) => `${kind}.${layer}.${of}`;
    for (const of of ['key', 'value']) {
      graph.input(cache('past', of), 'float', ['rows', numKeyValueHeads, 'past', headDim]);
      graph.output(cache('present', of), 'float', ['rows', numKeyValueHeads, 'all', headDim]);
    }
    const attended = graph.node({
      op: 'GroupQueryAttention',
      domain: CONTRIB,
      inputs: [
        ...(['q', 'k', 'v'] as const).map((name) => product(normed, at(name))),
        cache('past', 'key'),
        cache('past', 'value'),
        'seqlens_k',
        'total_sequence_length',
        cos,
        sin,
      ],
      outputs: [`attention.${layer}`, cache('present', 'key'), cache('present', 'value')],
      attributes: {
        num_heads: { int: numAttentionHeads },
        kv_num_heads: { int: numKeyValueHeads },
        do_rotary: { int: 1 },
      },
    });
    const [sum, middle] = addAndNorm(
      x,
      product(attended, at('o')),
      `model.layers.${layer}.post_attention_layernorm`,
    );
    const gate = product(middle, at('gate'));
    const sigmoid = graph.node({ op: 'Sigmoid', inputs: [gate], outputs: [`sigmoid.${layer}`] });
    const silu = graph.node({ op: 'Mul', inputs: [gate, sigmoid], outputs: [`silu.${layer}`] });
    const unit = graph.node({
      op: 'Mul',
      inputs: [silu, product(middle, at('up'))],
      outputs: [`unit.${layer}`],
    });
    const next = layer + 1 < numHiddenLayers ? `model.layers.${layer + 1}.input_layernorm` : 'model.norm';
    [x, normed] = addAndNorm(sum, product(unit, at('down')), next);
  }
  const last = graph.constant('last', 'int64', [], BigInt64Array.of(-1n));
  const hidden = graph.node({
    op: 'Gather',
    inputs: [normed, last],
    outputs: ['hidden'],
    attributes: { axis: { int: 1 } },
  });
  graph.node({ op: 'MatMul', inputs: [hidden, matrix('model.embed_tokens', 'head')], outputs: ['logits'] });
  graph.output('logits', 'float', ['rows', vocabSize]);
  return graph.bytes();
}
