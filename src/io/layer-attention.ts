/**
 * Reads the attention settings of each layer from `config.json`: window and rotary positions. Supports the formats of
 * transformers 4 and 5, with one setting for all layers or one per kind of layer; computes nothing.
 */
import { own } from '../base/lookup.ts';
import { InputError, quote } from './errors.ts';
import { Fields, isObject } from './json.ts';

/** Llama 3's frequency scaling: frequencies with fewer than `lowFreqFactor` rotations over the original context are reduced. */
export interface Llama3Scaling {
  factor: number;
  lowFreqFactor: number;
  highFreqFactor: number;
  originalMaxPositionEmbeddings: number;
}

/** Rotary positions: angles position · θ^(−2j / headDim), scaled. */
export interface RotaryPositions {
  theta: number;
  /** Number of rotated dimensions of a head, from the first; default: all. */
  dimensions?: number;
  /** All frequencies are divided by this factor. */
  linearFactor?: number;
  /** Each frequency is divided by its own factor. */
  factors?: readonly number[];
  /** Factors for contexts longer than the original one, which are not supported: a cache would need both. */
  long?: { factors: readonly number[]; context: number; originalContext: number };
  /** Factor of all cosines and sines. */
  attentionFactor?: number;
  llama3?: Llama3Scaling;
}

export interface LayerAttention {
  /** Number of positions that a token attends to, including itself; undefined: all. */
  window: number | undefined;
  /** Undefined for a layer without positions. */
  rotary: RotaryPositions | undefined;
}

const FULL = 'full_attention';
const SLIDING = 'sliding_attention';

/** Sizes needed to read a file. */
export interface AttentionSizes {
  layers: number;
  /** Maximum number of positions. */
  context: number;
  headDim: number;
  /** Whether the architecture supports partial rotation of heads. */
  partial: boolean;
}

/** One entry per layer. A window at least as long as the context counts as no window. */
export function layerAttentions(fields: Fields, sizes: AttentionSizes): LayerAttention[] {
  const { layers, context } = sizes;
  const windowed = fields.get('sliding_window') !== undefined && fields.boolean('use_sliding_window', true);
  const window = windowed ? fields.integer('sliding_window') : undefined;
  const full = { window: undefined, rotary: rotaryPositions(fields, FULL, sizes) };
  const sliding = {
    window: window !== undefined && window < context ? window : undefined,
    rotary: rotaryPositions(fields, SLIDING, sizes),
  };
  const slides = slidingLayers(fields, layers);
  const withoutPositions = layersWithoutPositions(fields, layers);
  return slides.map((slide, i) => {
    const kind = slide && windowed ? sliding : full;
    return withoutPositions[i] ? { ...kind, rotary: undefined } : kind;
  });
}

/** Which layers have no positions: 0 in `no_rope_layers`, or every n-th layer. */
function layersWithoutPositions(fields: Fields, layers: number): boolean[] {
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

/**
 * Which layers have a window: as listed in `layer_types`, those with positions, all but every n-th, or all from a certain
 * layer.
 */
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
  if (fields.get('no_rope_layer_interval') !== undefined) return layersWithoutPositions(fields, layers);
  if (fields.get('sliding_window_pattern') !== undefined) {
    const period = fields.integer('sliding_window_pattern');
    return numbers.map((i) => (i + 1) % period !== 0);
  }
  const first = fields.integer('max_window_layers', 0, 0);
  return numbers.map((i) => i >= first);
}

/**
 * θ and its scaling for one kind of layer: from `rope_parameters`, for all layers or by kind (transformers 5), or from
 * `rope_theta`, `rope_scaling` and `rope_local_base_freq`, the last for layers with a window (transformers 4).
 */
function rotaryPositions(fields: Fields, kind: string, sizes: AttentionSizes): RotaryPositions {
  const local = kind === SLIDING && fields.get('rope_local_base_freq') !== undefined;
  const fallback = local ? fields.positive('rope_local_base_freq') : fields.positive('rope_theta', 10000);
  const scaling = rotaryParameters(fields, kind, local);
  const theta = scaling ? scaling.positive('rope_theta', fallback) : fallback;
  const partial = [scaling, fields].find((place) => place?.get('partial_rotary_factor') !== undefined);
  const dimensions = partial && rotaryDimensions(partial, sizes);
  const positions = { theta, ...dimensions, ...(scaling && scalingOf(scaling, fields, sizes)) };
  const pairs = (positions.dimensions ?? sizes.headDim) / 2;
  for (const factors of [positions.factors, positions.long?.factors]) {
    if (factors && factors.length !== pairs)
      throw fields.wrong('rope_scaling', `${pairs} factors, one per rotary pair`);
  }
  return positions;
}

/**
 * The object that applies if a file has several, as in transformers (`convert_rope_params_to_dict`, 5.24): `rope_scaling` replaces
 * `rope_parameters`, or only the entries of full layers if parameters are given by kind of layer.
 */
function rotaryParameters(fields: Fields, kind: string, local: boolean): Fields | undefined {
  const all = nested(fields, 'rope_parameters');
  const old = local ? undefined : nested(fields, 'rope_scaling');
  const hasOld = old !== undefined && Object.keys(old.object).length > 0;
  const own = all?.get(kind) === undefined ? undefined : nested(all, kind);
  if (!own) return hasOld ? old : all;
  if (!hasOld || kind !== FULL) return own;
  return new Fields({ ...own.object, ...old.object }, old.file);
}

/** The number of rotated dimensions of a head, if not all. */
function rotaryDimensions(
  fields: Fields,
  { headDim, partial }: AttentionSizes,
): Pick<RotaryPositions, 'dimensions'> {
  const share = fields.positive('partial_rotary_factor', 1);
  if (share === 1) return {};
  if (!partial)
    throw fields.unsupported('partial_rotary_factor', 'Only 1 is supported for this architecture');
  // 2⁻³⁰: the fraction may have been rounded down.
  const dimensions = Math.floor(headDim * share + 2 ** -30);
  if (dimensions >= 2 && dimensions <= headDim && dimensions % 2 === 0) return { dimensions };
  throw fields.wrong(
    'partial_rotary_factor',
    `a fraction that gives an even number of the ${headDim} dimensions of a head`,
  );
}

function scalingOf(fields: Fields, file: Fields, sizes: AttentionSizes): Scaling {
  const kind = fields.string('rope_type', fields.string('type', 'default'));
  const read = own(SCALINGS, kind);
  if (read) return read(fields, file, sizes);
  throw new InputError(
    fields.file,
    `rotary positions of type ${quote(kind)} are not supported`,
    `Supported types: ${Object.keys(SCALINGS).join(', ')}`,
  );
}

type Scaling = Omit<RotaryPositions, 'theta' | 'dimensions'>;

const SCALINGS: Readonly<Record<string, (fields: Fields, file: Fields, sizes: AttentionSizes) => Scaling>> = {
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
  longrope: (fields, file, { context }) => {
    const [factors, longer] = ['short_factor', 'long_factor'].map((name) => factorsOf(fields, name)) as [
      number[],
      number[],
    ];
    if (longer.length !== factors.length) throw fields.wrong('long_factor', `${factors.length} numbers`);
    const place = fields.get('original_max_position_embeddings') === undefined ? file : fields;
    const original = place.integer('original_max_position_embeddings', context, 2);
    const stretch = fields.positive('factor', context / original);
    // The value recommended by the authors (Ding et al. 2024) if the file has none.
    const recommended = stretch <= 1 ? 1 : Math.sqrt(1 + Math.log(stretch) / Math.log(original));
    const attentionFactor = fields.positive('attention_factor', recommended);
    const differ = original < context && longer.some((factor, i) => factor !== factors[i]);
    return {
      factors,
      ...(differ && { long: { factors: longer, context, originalContext: original } }),
      ...(attentionFactor !== 1 && { attentionFactor }),
    };
  },
};

function factorsOf(fields: Fields, name: string): number[] {
  const factors = fields.get(name);
  if (Array.isArray(factors) && factors.every((factor) => typeof factor === 'number' && factor > 0))
    return factors as number[];
  throw fields.wrong(name, 'a list of numbers greater than 0');
}

/** An object in the file; undefined if it is absent or null. */
function nested(fields: Fields, name: string): Fields | undefined {
  const value = fields.get(name);
  if (value === undefined) return undefined;
  if (!isObject(value)) throw fields.wrong(name, 'an object or null');
  return new Fields(value, `${fields.file}, "${name}"`);
}
