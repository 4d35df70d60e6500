/**
 * A whole decoder of the Llama family, forward and backward, composed of the other references: embedding, layers of (RMS
 * norm, grouped-query attention with rotary positions, RMS norm, SwiGLU) with residuals, a last norm, the head. Weights and
 * adapters have their Hugging Face names; an adapter's name is its module's path. The gradient is always computed for
 * everything, whatever is trained.
 */
import type { PackedBatch } from '../../src/data/packing.ts';
import { accumulate, add, type Reals } from './arrays.ts';
import { attention, attentionBackward } from './attention.ts';
import { swiglu, swigluBackward } from './gated-unit.ts';
import { gather, gatherBackward } from './gather.ts';
import {
  type LinearShape,
  type LoraAdapter,
  linear,
  linearBackwardInput,
  linearBackwardWeight,
  loraLinear,
  loraLinearBackward,
} from './linear.ts';
import { rmsNorm, rmsNormBackward } from './rms-norm.ts';
import { rope, ropeBackward, ropeFrequencies } from './rope.ts';
import { headLogprob, headLogprobBackward, type TokenLogprobs } from './token-logprob.ts';

/** The fields that a decoder needs, by the names of the project's `ModelConfig`, which can be passed directly. */
export interface DecoderConfig {
  hiddenSize: number;
  intermediateSize: number;
  numHiddenLayers: number;
  numAttentionHeads: number;
  numKeyValueHeads: number;
  headDim: number;
  vocabSize: number;
  rmsNormEps: number;
  ropeTheta: number;
  tieWordEmbeddings: boolean;
}

/** Everything that a decoder reads: its shape, its weights by name, its adapters by module path. */
export interface DecoderModel {
  config: DecoderConfig;
  weights: ReadonlyMap<string, Reals>;
  adapters?: ReadonlyMap<string, LoraAdapter>;
}

export interface DecoderGradients {
  /** By weight name; a tied head's share is in `model.embed_tokens.weight`. */
  weights: Map<string, Float64Array>;
  /** By module path: dA (rank, in) and dB (out, rank). */
  adapters: Map<string, { a: Float64Array; b: Float64Array }>;
}

export interface DecoderResult extends TokenLogprobs {
  /** (N, d) after the last norm. */
  hidden: Float64Array;
  /** The gradient of Σ_r dlogprob[r] · logprob[r]. */
  backward(dlogprob: Reals): DecoderGradients;
  /** The gradient of Σ dhidden · hidden, for anything that is computed from hidden states. */
  backwardHidden(dhidden: Reals): DecoderGradients;
}

/** A value and its backward pass: `backward` adds parameter gradients to the run's maps and returns dx. */
interface Node {
  value: Float64Array;
  backward(dvalue: Reals): Float64Array;
}

const EMBEDDING = 'model.embed_tokens.weight';

/** Log-probabilities of the targets of a packed batch (R), with their gradient. */
export function decoder(model: DecoderModel, batch: PackedBatch): DecoderResult {
  const { config } = model;
  const run = new Run(model, batch);
  const hidden = run.hidden();
  const head = config.tieWordEmbeddings ? EMBEDDING : 'lm_head.weight';
  const shape = { tokens: batch.ids.length, width: config.hiddenSize, vocabulary: config.vocabSize };
  const result = headLogprob(hidden.value, run.weight(head), batch.rows, batch.targets, shape);
  return {
    ...result,
    hidden: hidden.value,
    backward(dlogprob) {
      run.gradients = { weights: new Map(), adapters: new Map() };
      const { rows, targets } = batch;
      const { dhidden, dweight } = headLogprobBackward(
        dlogprob,
        hidden.value,
        run.weight(head),
        rows,
        targets,
        shape,
      );
      run.addGradient(head, dweight);
      hidden.backward(dhidden);
      return run.gradients;
    },
    backwardHidden(dhidden) {
      run.gradients = { weights: new Map(), adapters: new Map() };
      hidden.backward(dhidden);
      return run.gradients;
    },
  };
}

/** Logits (N, V) of every token of a packed batch. */
export function decoderLogits(model: DecoderModel, batch: PackedBatch): Float64Array {
  const { hiddenSize, vocabSize, tieWordEmbeddings } = model.config;
  const run = new Run(model, batch);
  const shape = { rows: batch.ids.length, inFeatures: hiddenSize, outFeatures: vocabSize };
  return linear(run.hidden().value, run.weight(tieWordEmbeddings ? EMBEDDING : 'lm_head.weight'), shape);
}

/** One forward pass and the gradients of the backward pass that follows it. */
class Run {
  gradients: DecoderGradients = { weights: new Map(), adapters: new Map() };
  private readonly model: DecoderModel;
  private readonly batch: PackedBatch;
  private readonly tokens: number;

  constructor(model: DecoderModel, batch: PackedBatch) {
    this.model = model;
    this.batch = batch;
    this.tokens = batch.ids.length;
  }

  hidden(): Node {
    const { config } = this.model;
    const layers: Node[] = [];
    let value = gather(this.weight(EMBEDDING), this.batch.ids, config.hiddenSize);
    for (let layer = 0; layer < config.numHiddenLayers; layer++) {
      for (const block of [this.attentionBlock, this.mlpBlock]) {
        layers.push(block.call(this, value, `model.layers.${layer}`));
        value = layers[layers.length - 1].value;
      }
    }
    const last = this.norm(value, 'model.norm.weight');
    return {
      value: last.value,
      backward: (dvalue) => {
        let gradient = last.backward(dvalue);
        for (const layer of layers.toReversed()) gradient = layer.backward(gradient);
        this.addGradient(
          EMBEDDING,
          gatherBackward(gradient, this.batch.ids, config.vocabSize, config.hiddenSize),
        );
        return gradient;
      },
    };
  }

  /** x + o(attention(rope(q(norm x)), rope(k(norm x)), v(norm x))). */
  private attentionBlock(x: Float64Array, layer: string): Node {
    const {
      numAttentionHeads: heads,
      numKeyValueHeads: kvHeads,
      headDim,
      hiddenSize,
      ropeTheta,
    } = this.model.config;
    const { positions, spans } = this.batch;
    const frequencies = ropeFrequencies(headDim, ropeTheta);
    const shape = { tokens: this.tokens, heads, kvHeads, headDim };
    const qShape = { rows: this.tokens, heads, headDim, frequencies };
    const kShape = { ...qShape, heads: kvHeads };

    const normed = this.norm(x, `${layer}.input_layernorm.weight`);
    const q = this.linear(normed.value, `${layer}.self_attn.q_proj`, hiddenSize, heads * headDim);
    const k = this.linear(normed.value, `${layer}.self_attn.k_proj`, hiddenSize, kvHeads * headDim);
    const v = this.linear(normed.value, `${layer}.self_attn.v_proj`, hiddenSize, kvHeads * headDim);
    const turnedQ = rope(q.value, positions, qShape);
    const turnedK = rope(k.value, positions, kShape);
    const attended = attention(turnedQ, turnedK, v.value, spans, shape);
    const o = this.linear(attended.out, `${layer}.self_attn.o_proj`, heads * headDim, hiddenSize);
    return {
      value: add(x, o.value),
      backward: (dvalue) => {
        const dout = o.backward(dvalue);
        const { dq, dk, dv } = attentionBackward(dout, turnedQ, turnedK, v.value, attended, spans, shape);
        const dnormed = q.backward(ropeBackward(dq, positions, qShape));
        accumulate(dnormed, k.backward(ropeBackward(dk, positions, kShape)));
        accumulate(dnormed, v.backward(dv));
        return add(dvalue, normed.backward(dnormed));
      },
    };
  }

  /** x + down(silu(gate(norm x)) ⊙ up(norm x)). */
  private mlpBlock(x: Float64Array, layer: string): Node {
    const { hiddenSize, intermediateSize } = this.model.config;
    const normed = this.norm(x, `${layer}.post_attention_layernorm.weight`);
    const gate = this.linear(normed.value, `${layer}.mlp.gate_proj`, hiddenSize, intermediateSize);
    const up = this.linear(normed.value, `${layer}.mlp.up_proj`, hiddenSize, intermediateSize);
    const down = this.linear(
      swiglu(gate.value, up.value),
      `${layer}.mlp.down_proj`,
      intermediateSize,
      hiddenSize,
    );
    return {
      value: add(x, down.value),
      backward: (dvalue) => {
        const { dgate, dup } = swigluBackward(down.backward(dvalue), gate.value, up.value);
        const dnormed = gate.backward(dgate);
        accumulate(dnormed, up.backward(dup));
        return add(dvalue, normed.backward(dnormed));
      },
    };
  }

  private norm(x: Float64Array, name: string): Node {
    const shape = {
      rows: this.tokens,
      cols: this.model.config.hiddenSize,
      eps: this.model.config.rmsNormEps,
    };
    const weight = this.weight(name);
    const { y, rstd } = rmsNorm(x, weight, shape);
    return {
      value: y,
      backward: (dvalue) => {
        const { dx, dweight } = rmsNormBackward(dvalue, x, weight, rstd, shape);
        this.addGradient(name, dweight);
        return dx;
      },
    };
  }

  /** A linear layer, with its adapter if it has one. */
  private linear(x: Float64Array, module: string, inFeatures: number, outFeatures: number): Node {
    const shape: LinearShape = { rows: this.tokens, inFeatures, outFeatures };
    const name = `${module}.weight`;
    const weight = this.weight(name);
    const adapter = this.model.adapters?.get(module);
    if (!adapter) {
      return {
        value: linear(x, weight, shape),
        backward: (dvalue) => {
          this.addGradient(name, linearBackwardWeight(dvalue, x, shape));
          return linearBackwardInput(dvalue, weight, shape);
        },
      };
    }
    const { y, narrow } = loraLinear(x, weight, adapter, shape);
    return {
      value: y,
      backward: (dvalue) => {
        const { dx, da, db } = loraLinearBackward(dvalue, x, narrow, weight, adapter, shape);
        this.addGradient(name, linearBackwardWeight(dvalue, x, shape));
        this.gradients.adapters.set(module, { a: da, b: db });
        return dx;
      },
    };
  }

  weight(name: string): Reals {
    const weight = this.model.weights.get(name);
    if (!weight) throw new Error(`no weight named ${name}`);
    return weight;
  }

  addGradient(name: string, gradient: Float64Array): void {
    const sum = this.gradients.weights.get(name);
    if (sum) accumulate(sum, gradient);
    else this.gradients.weights.set(name, gradient);
  }
}
