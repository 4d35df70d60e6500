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
  /** Coordinates of a head that turn, the first ones; all by default. */
  dimensions?: number;
  /** All frequencies are divided by it. */
  linearFactor?: number;
  /** Each frequency is divided by its own. */
  factors?: readonly number[];
  /** Factors of contexts that are longer than the original one, which are not computed here: a cache would need both. */
  long?: { factors: readonly number[]; context: number; originalContext: number };
  /** Factor of all cosines and sines. */
  attentionFactor?: number;
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

/** What a file is read with. */
export interface AttentionSizes {
  layers: number;
  /** Positions. */
  context: number;
  headDim: number;
  /** The architecture may turn a part of each head. */
  partial: boolean;
}

/** One entry a layer. A window at least as long as the context counts as no window. */
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

/** Which layers have no positions: as `no_rope_layers` lists them, 0 for such a layer, or each n-th. */
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
  if (fields.get('no_rope_layer_interval') !== undefined) return layersWithoutPositions(fields, layers);
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
      throw fields.wrong('rope_scaling', `${pairs} factors, one for each pair of a head`);
  }
  return positions;
}

/**
 * The object that counts where a file has several, as for transformers (`convert_rope_params_to_dict`, 5.24): `rope_scaling` takes
 * the place of `rope_parameters`, and changes the entries of full layers where these are by kind.
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

/** What of a head turns, where it is not all of it. */
function rotaryDimensions(
  fields: Fields,
  { headDim, partial }: AttentionSizes,
): Pick<RotaryPositions, 'dimensions'> {
  const share = fields.positive('partial_rotary_factor', 1);
  if (share === 1) return {};
  if (!partial) throw fields.unsupported('partial_rotary_factor', 'Only 1 is computed for this architecture');
  // 2⁻³⁰: a share of a whole number may have been rounded down.
  const dimensions = Math.floor(headDim * share + 2 ** -30);
  if (dimensions >= 2 && dimensions <= headDim && dimensions % 2 === 0) return { dimensions };
  throw fields.wrong(
    'partial_rotary_factor',
    `an even number of the ${headDim} coordinates of a head, as a share`,
  );
}

function scalingOf(fields: Fields, file: Fields, sizes: AttentionSizes): Scaling {
  const kind = fields.string('rope_type', fields.string('type', 'default'));
  const read = own(SCALINGS, kind);
  if (read) return read(fields, file, sizes);
  throw new InputError(
    fields.file,
    `rotary positions of type ${quote(kind)} are not supported`,
    `Supported are ${Object.keys(SCALINGS).join(', ')}`,
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
    // As its authors recommend (Ding et al. 2024) where the file does not say it.
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

/** An object inside the file, undefined where it is absent or null. */
function nested(fields: Fields, name: string): Fields | undefined {
  const value = fields.get(name);
  if (value === undefined) return undefined;
  if (!isObject(value)) throw fields.wrong(name, 'an object or null');
  return new Fields(value, `${fields.file}, "${name}"`);
}
