/**
 * What the attention of each layer is told by a `config.json`: how far back it sees and how its positions turn. Reads
 * what transformers 4 and 5 write, one layout for all layers or one for each kind of layer; computes nothing.
 */
import { own } from '../base/lookup.ts';
import { InputError, quote } from './errors.ts';
import { Fields, isObject } from './json.ts';

/** Llama 3's change of frequencies: those that turn less than `lowFreqFactor` times over the original context slow down. */
export interface Llama3Scaling {
  factor: number;
  lowFreqFactor: number;
  highFreqFactor: number;
  originalMaxPositionEmbeddings: number;
}

/** Rotary positions: angles position · θ^(−2j / headDim), scaled. */
export interface RotaryPositions {
  theta: number;
  /** All frequencies are divided by it. */
  linearFactor?: number;
  /** Each frequency is divided by its own. */
  factors?: readonly number[];
  llama3?: Llama3Scaling;
}

export interface LayerAttention {
  /** Positions that a token sees, itself the last of them; undefined for all. */
  window: number | undefined;
  /** Undefined for a layer without positions. */
  rotary: RotaryPositions | undefined;
}

const FULL = 'full_attention';
const SLIDING = 'sliding_attention';

/** One entry a layer. A window that holds the whole context is none. */
export function layerAttentions(fields: Fields, layers: number, context: number): LayerAttention[] {
  const windowed = fields.get('sliding_window') !== undefined && fields.boolean('use_sliding_window', true);
  const window = windowed ? fields.integer('sliding_window') : undefined;
  const full = { window: undefined, rotary: rotaryPositions(fields, FULL) };
  const sliding = {
    window: window !== undefined && window < context ? window : undefined,
    rotary: rotaryPositions(fields, SLIDING),
  };
  const slides = slidingLayers(fields, layers);
  const unturned = unturnedLayers(fields, layers);
  return slides.map((slide, i) => {
    const kind = slide && windowed ? sliding : full;
    return unturned[i] ? { ...kind, rotary: undefined } : kind;
  });
}

/** Which layers have no positions: as `no_rope_layers` lists them, 0 for such a layer, or each n-th. */
function unturnedLayers(fields: Fields, layers: number): boolean[] {
  const turns = fields.get('no_rope_layers');
  if (turns !== undefined) {
    const valid = Array.isArray(turns) && turns.length >= layers;
    if (!valid || !turns.every((turn) => turn === 0 || turn === 1))
      throw fields.wrong('no_rope_layers', `0 or 1 for each of ${layers} layers`);
    return turns.slice(0, layers).map((turn) => turn === 0);
  }
  const given = fields.get('no_rope_layer_interval') !== undefined;
  const period = given ? fields.integer('no_rope_layer_interval') : Number.POSITIVE_INFINITY;
  return Array.from({ length: layers }, (_, i) => (i + 1) % period === 0);
}

/** Which layers slide: as `layer_types` lists them, those without positions, all but every n-th, or all from a certain one on. */
function slidingLayers(fields: Fields, layers: number): boolean[] {
  const numbers = Array.from({ length: layers }, (_, i) => i);
  const types = fields.get('layer_types');
  if (types !== undefined) {
    const valid = Array.isArray(types) && types.length === layers;
    if (!valid || !types.every((type) => type === FULL || type === SLIDING)) {
      throw fields.wrong('layer_types', `${layers} of ${FULL} and ${SLIDING}`);
    }
    return types.map((type) => type === SLIDING);
  }
  if (fields.get('no_rope_layer_interval') !== undefined) return unturnedLayers(fields, layers);
  if (fields.get('sliding_window_pattern') !== undefined) {
    const period = fields.integer('sliding_window_pattern');
    return numbers.map((i) => (i + 1) % period !== 0);
  }
  const first = fields.integer('max_window_layers', 0, 0);
  return numbers.map((i) => i >= first);
}

/**
 * θ and its scaling for one kind of layer: in `rope_parameters`, for all layers or by kind (transformers 5), or in
 * `rope_theta`, `rope_scaling` and `rope_local_base_freq`, the last for sliding layers (transformers 4).
 */
function rotaryPositions(fields: Fields, kind: string): RotaryPositions {
  refusePartialRotary(fields);
  const local = kind === SLIDING && fields.get('rope_local_base_freq') !== undefined;
  const fallback = local ? fields.positive('rope_local_base_freq') : fields.positive('rope_theta', 10000);
  const all = nested(fields, 'rope_parameters');
  const parameters = all?.get(kind) === undefined ? all : nested(all, kind);
  const theta = parameters ? parameters.positive('rope_theta', fallback) : fallback;
  const scaling = parameters ?? (local ? undefined : nested(fields, 'rope_scaling'));
  return { theta, ...(scaling && scalingOf(scaling)) };
}

function scalingOf(fields: Fields): Omit<RotaryPositions, 'theta'> {
  refusePartialRotary(fields);
  const kind = fields.string('rope_type', fields.string('type', 'default'));
  const read = own(SCALINGS, kind);
  if (read) return read(fields);
  throw new InputError(
    fields.file,
    `rotary positions of type ${quote(kind)} are not supported`,
    `Supported are ${Object.keys(SCALINGS).join(', ')}`,
  );
}

const SCALINGS: Readonly<Record<string, (fields: Fields) => Omit<RotaryPositions, 'theta'>>> = {
  default: () => ({}),
  linear: (fields) => ({ linearFactor: fields.positive('factor') }),
  llama3: (fields) => {
    const lowFreqFactor = fields.positive('low_freq_factor');
    const highFreqFactor = fields.positive('high_freq_factor');
    if (highFreqFactor <= lowFreqFactor)
      throw fields.wrong('high_freq_factor', `a number above low_freq_factor (${lowFreqFactor})`);
    return {
      llama3: {
        factor: fields.positive('factor'),
        lowFreqFactor,
        highFreqFactor,
        originalMaxPositionEmbeddings: fields.integer('original_max_position_embeddings'),
      },
    };
  },
  longrope: (fields) => {
    const factors = fields.get('short_factor');
    if (!Array.isArray(factors) || !factors.every((factor) => typeof factor === 'number' && factor > 0)) {
      throw fields.wrong('short_factor', 'a list of numbers greater than 0');
    }
    if (JSON.stringify(fields.get('long_factor')) !== JSON.stringify(factors)) {
      throw fields.unsupported('long_factor', 'Computed are factors that are the same in short contexts');
    }
    if (fields.get('attention_factor') !== 1)
      throw fields.unsupported('attention_factor', 'Only 1 is computed');
    return { factors: factors as number[] };
  },
};

function refusePartialRotary(fields: Fields): void {
  if (fields.positive('partial_rotary_factor', 1) !== 1) {
    throw fields.unsupported('partial_rotary_factor', 'Only 1 is computed');
  }
}

/** An object inside the file, undefined where it is absent or null. */
function nested(fields: Fields, name: string): Fields | undefined {
  const value = fields.get(name);
  if (value === undefined) return undefined;
  if (!isObject(value)) throw fields.wrong(name, 'an object or null');
  return new Fields(value, `${fields.file}, "${name}"`);
}
