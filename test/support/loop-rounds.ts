/**
 * Upper bounds of the rounds of each loop in our shaders, from a call's parameters and constants. If a header uses nothing but
 * these, the bound is computed from its text. Loops over the contents of buffers or over local variables need a row here.
 */

/** Parameters and constants of a call, by name. */
export type Values = Readonly<Record<string, number>>;

const upTo = (count: number, most: number) => Math.min(count, most);
const taken = ({ start, stop }: Values) => stop - start;
/** Numbers of a thread in one block of a row. */
const inBlock = ({ cols, WORKGROUP, BLOCK }: Values) => upTo(BLOCK, Math.ceil(cols / WORKGROUP));

/** Tiles of keys in one of two passes. The 32 queries of a tile have at most 48 origins, each with one partial tile. */
const tilesSeen = (v: Values) => taken(v) / v.TILE + 24;

/** Average rounds of inner loops whose total is bounded, not each of them. */
const AVERAGES: Readonly<Record<string, (v: Values) => number>> = {
  // logits/token-logprob: each entry is in the list of one thread
  'var k = thread * SHARE; k < thread * SHARE + kept_counts[thread]; k++': (v) =>
    upTo(v.STRETCH, v.likely) / v.WORKGROUP,
  // The next origin is looked for once per origin.
  'var b = 0u; b < TILE; b++': (v) => (50 * v.TILE) / (2 * tilesSeen(v)),
};

const ROWS: Readonly<Record<string, (v: Values) => number>> = {
  'var width = WORKGROUP / 2u; width > 0u; width = width / 2u': (v) => Math.log2(v.WORKGROUP),
  // Sums over a row in blocks
  'var block = share.first; block < share.end; block += BLOCK * TEAM': (v) => v.cols / v.BLOCK / v.WORKGROUP,
  '; i + 3u * TEAM < end; i += 4u * TEAM': (v) => inBlock(v) / 4,
  '; i < end; i += TEAM': () => 3,
  'var i = block; i < end; i += TEAM': inBlock,
  'var i = share.first; i < share.end; i += TEAM': (v) => v.cols / v.WORKGROUP,
  'var i = lane; i < cols; i += WORKGROUP': (v) => v.cols / v.WORKGROUP,
  'var i = lane; i < fours; i += WORKGROUP': (v) => v.fours / v.WORKGROUP,
  'var i = thread.x; i < params.fours; i += WORKGROUP': (v) => v.fours / v.WORKGROUP,
  'var i = params.cols + lane; i < params.stride; i += WORKGROUP': () => 3,
  // logits/token-logprob
  'var i = first + lane; i < min(first + STRETCH, params.cols); i += WORKGROUP': (v) =>
    upTo(v.STRETCH, v.cols) / v.WORKGROUP,
  'var row = share; row < min(share + SHARE, rows); row++': (v) => upTo(v.SHARE, v.rows),
  // decode/sample
  'var v = block.first; v < block.end; v++': (v) => v.vocabulary / v.WORKGROUP,
  'var v = block.first; v < end; v += 4u': (v) => v.vocabulary / v.WORKGROUP / 4,
  'var start = block.first; start < block.end; start += BLOCK': (v) => v.vocabulary / v.WORKGROUP / v.BLOCK,
  'var v = start; v < min(start + BLOCK, block.end); v += 4u': (v) => v.BLOCK / 4,
  'var i = 0u; i < arrayLength(&eos); i++': () => 64,
  // decode/refill
  'var row = first; row < end; row++': (v) => v.rows / v.WORKGROUP,
  // products
  'var i = slice * length; i < end; i++': (v) => v.k / 4 / v.slices,
  'var first = tile.begin; first < tile.end; first += DEEP': (v) =>
    (v.k / 4 / v.slices + v.rank / 4) / v.DEEP,
  'var i = 0u; i < depth; i++': (v) => v.k / 4,
  'var i = 0u; i < more_depth(); i++': (v) => v.rank / 4,
  'var e = lane; e < DEEP * (TALL + WIDE); e += threads': (v) =>
    (v.DEEP * (v.TALL + v.WIDE)) / (v.THREADS ?? v.LINES * v.LANES),
  'var i = params.first; i < params.first + params.count; i++': (v) => v.count,
  // These index arrays of subgroup matrices, which live in registers, so compilers unroll them.
  'var d = 0u; d < LEFTS; d++': () => 0,
  'var q = 0u; q < RIGHTS; q++': () => 0,
  // attention: of four tokens, some may see a key as part of a prefix and others as part of a segment
  'var j = seen.first; j < seen.end; j++': (v) => (v.TOKENS === 1 ? taken(v) / 2 : taken(v)),
  'var i = seeing.first; i < seeing.end; i++': taken,
  'var head = first_head + params.from_head; head < first_head + params.to_head; head++': (v) =>
    v.to_head - v.from_head,
  'var turn = 0u; turn < keys_seen.turns; turn++': (v) => taken(v) + 2,
  'var turn = 0u; turn < (params.to_head - params.from_head) * turns; turn++': (v) =>
    (v.to_head - v.from_head) * (taken(v) / 2 + 1),
  'var c = 0u; c < min(PARTS, 4u); c++': () => 4,
  'range.x != ANY': tilesSeen,
  'var start = begin; start < end; start += TILE': (v) => taken(v) / v.TILE,
  // decode/decode-attention
  'var t = first; t < end; t++': taken,
  'var start = first; start < end; start += WORKGROUP': (v) => taken(v) / v.WORKGROUP,
  'var i = team; i < min(WORKGROUP, end - start); i += TEAMS': (v) => v.WORKGROUP / v.TEAMS,
  // gather, grad-norm, sums over the tokens of a sequence
  'var e = begin; e < end; e++': (v) => v.most,
  'var i = chunk * length + lane; i < end; i += WORKGROUP': (v) => v.count / v.chunks / v.WORKGROUP,
  'var row = offsets[sequence] + lane; row < offsets[sequence + 1u]; row += WORKGROUP': (v) =>
    v.tokens / v.WORKGROUP,
  'var i = offsets[sequence] + lane; i < offsets[sequence + 1u]; i += WORKGROUP': (v) =>
    v.tokens / v.WORKGROUP,
  'var i = start + lane; i < end; i += WORKGROUP': (v) => v.tokens / v.WORKGROUP,
};

/** Upper bound of the rounds of a loop with this header; throws if none is known. */
export function roundsOf(header: string, values: Values): number {
  const [average, row] = [AVERAGES[header], ROWS[header]];
  if (average) return average(values);
  if (row) return Math.ceil(row(values));
  const parts = /^var \w+ = ([^;]+); \w+ < ([^;&]+)(?: &&[^;]+)?; \w+(?:\+\+| \+= (.+))$/.exec(header);
  if (parts) {
    const [from, below, step] = parts.slice(1).map((text = '1') => numberOf(text, { lane: 0, ...values }));
    const rounds = (below - from) / step;
    if (Number.isFinite(rounds)) return Math.ceil(Math.max(0, rounds));
  }
  throw new Error(`no bound is known of the loop (${header}): give it a row in test/support/loop-rounds.ts`);
}

/** False if constants rule a branch out. */
export function holdsFor(condition: string, constants: Values): boolean {
  const [, not, name, is, number] = /^(!?)([A-Z_]+)(?: (>|==) (\d+)u?)?$/.exec(condition) ?? [];
  const value = constants[name ?? ''];
  if (value === undefined) return true;
  if (!is) return (value !== 0) !== (not === '!');
  return is === '>' ? value > Number(number) : value === Number(number);
}

/** Value of an integer expression with + - * / and parentheses; NaN if a name is unknown. */
export function numberOf(text: string, values: Values): number {
  const tokens = text.replace(/\bparams\./g, '').match(/\w+|[-+*/()]/g) ?? [];
  let at = 0;
  const atom = (): number => {
    const token = tokens[at++] ?? '';
    if (token === '(') {
      const inner = sum();
      at++;
      return inner;
    }
    return /^\d/.test(token) ? Number.parseInt(token, 10) : (values[token] ?? Number.NaN);
  };
  const product = (): number => {
    let result = atom();
    while (tokens[at] === '*' || tokens[at] === '/') {
      const times = tokens[at++] === '*';
      const factor = atom();
      result = times ? result * factor : Math.floor(result / factor);
    }
    return result;
  };
  const sum = (): number => {
    let result = product();
    while (tokens[at] === '+' || tokens[at] === '-') {
      const plus = tokens[at++] === '+';
      const term = product();
      result = plus ? result + term : result - term;
    }
    return result;
  };
  const result = sum();
  return at === tokens.length ? result : Number.NaN;
}

/** Numeric constants of a shader, as written or as a call replaces them. */
export function constantsOf(
  written: ReadonlyMap<string, string>,
  replaced: Readonly<Record<string, unknown>>,
): Values {
  const values: Record<string, number> = {};
  for (const [name, text] of written) {
    const given = String(replaced[name] ?? text);
    const value = given === 'true' ? 1 : given === 'false' ? 0 : numberOf(given, values);
    if (Number.isFinite(value)) values[name] = value;
  }
  return values;
}
