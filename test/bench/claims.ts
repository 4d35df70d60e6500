/**
 * The promised figures, compared with what was measured. Each says what is required, what was found, and whether it is met;
 * a figure whose cases were not run is not judged.
 */
import type { Measured, Result } from './bench.ts';
import type { Book } from './book.ts';
import { OURS } from './suite.ts';

export interface Verdict {
  claim: string;
  found: string;
  /** Undefined if it was not measured. */
  holds: boolean | undefined;
}

const MIB = 2 ** 20;
const time = ({ median }: Measured) => median;
const processor = ({ cpu }: Measured) => cpu;

/** Time or bytes of the best peer divided by ours; undefined if either is missing. */
export function overOurs(
  { by }: Result,
  of: (measured: Measured) => number | null = ({ median }) => median,
): number | undefined {
  const { [OURS]: ours, ...peers } = by;
  const theirs = Object.values(peers).flatMap((each) => (typeof each === 'string' ? [] : (of(each) ?? [])));
  const own = typeof ours === 'object' ? of(ours) : undefined;
  return own && theirs.length > 0 ? Math.min(...theirs) / own : undefined;
}

/** Least-squares line through points, and the share of the variance that it explains. */
export function straightLine(points: readonly (readonly [x: number, y: number])[]) {
  const mean = (of: (point: readonly [number, number]) => number) =>
    points.reduce((sum, point) => sum + of(point), 0) / points.length;
  const [mx, my] = [mean(([x]) => x), mean(([, y]) => y)];
  const sxx = mean(([x]) => (x - mx) ** 2);
  const sxy = mean(([x, y]) => (x - mx) * (y - my));
  const syy = mean(([, y]) => (y - my) ** 2);
  return { slope: sxy / sxx, intercept: my - (sxy / sxx) * mx, r2: sxy ** 2 / (sxx * syy) };
}

export function verdicts(book: Book): Verdict[] {
  const results = Object.values(book.results);
  const ours = (result: Result | undefined) => {
    const own = result?.by[OURS];
    return typeof own === 'object' ? own : undefined;
  };
  /** The same by processor time, if it is known: other work on the machine affects it less. */
  const aside = (ratio: number | undefined) =>
    ratio === undefined ? '' : ` (${ratio.toFixed(2)}× by processor time)`;
  const ofProcessor = (id: string) => aside(overOurs(book.results[id], processor));
  /** Every case of a group must reach it. */
  const each = (
    claim: string,
    chosen: readonly Result[],
    asks: readonly { name: string; of: (measured: Measured) => number | null; least: number }[],
  ): Verdict => {
    const found = chosen.flatMap((result) => {
      const ratios = asks.map(({ of, name, least }) => ({ name, least, ratio: overOurs(result, of) }));
      return ratios.every(({ ratio }) => ratio !== undefined) ? [{ id: result.id, ratios }] : [];
    });
    if (found.length === 0) return { claim, found: 'not measured', holds: undefined };
    const told = found.map(
      ({ id, ratios }) =>
        `${id}: ${ratios.map(({ name, ratio }) => `${ratio!.toFixed(2)}× ${name}`).join(', ')}${ofProcessor(id)}`,
    );
    const holds = found.every(({ ratios }) => ratios.every(({ ratio, least }) => ratio! >= least));
    return { claim, found: told.join('; '), holds };
  };
  const bytes = ({ peakBytes }: Measured) => peakBytes;
  const judged = (claim: string, found: string | number | undefined, holds: boolean): Verdict =>
    found ? { claim, found: String(found), holds } : { claim, found: 'not measured', holds: undefined };

  const byTokens = (group: string) =>
    new Map(
      results.filter((result) => result.group === group).map((result) => [result.size.tokens, ours(result)]),
    );
  const attention = byTokens('attention by tokens');
  const linearity = (of: (measured: Measured) => number | null) => {
    const points = [...byTokens('step by tokens')].flatMap(([tokens, step]): [number, number][] => {
      const [whole, share] = [step, attention.get(tokens)].map((each) => each && of(each));
      return tokens && whole && share ? [[tokens, whole - share]] : [];
    });
    return points.length > 3 ? straightLine(points).r2 : undefined;
  };
  const [r2, processorR2] = [time, processor].map(linearity);

  const dispatches = Object.values(book.facts['dispatches by pairs'] ?? {}).slice(1);
  const planned = book.facts['planned bytes by vocabulary'];
  const growth = planned ? (planned['151936'] - planned['1000']) / MIB : undefined;
  /** How much faster prompts are that are packed once. */
  const sharing = (of: (measured: Measured) => number | null, kind = 'prompts', size = '') => {
    const [shared, repeated] = ['shared', 'repeated'].map((way) =>
      ours(book.results[`${kind} ${way}${size}`]),
    );
    return shared && repeated ? (of(repeated) ?? 0) / (of(shared) ?? 0) || undefined : undefined;
  };
  const group = (size: string, claim: string, least: number) => {
    const [ratio, byProcessor] = [time, processor].map((of) => sharing(of, 'group', size));
    return judged(claim, ratio && `${ratio.toFixed(2)}×${aside(byProcessor)}`, (ratio ?? 0) >= least);
  };
  const compiling = book.facts['compiling SmolLM2-135M']?.milliseconds;

  return [
    each(
      'A square product from 1024³ on is at least 1.5 times as fast as the faster peer’s',
      results.filter(({ group, size }) => group === 'squares' && size.m >= 1024),
      [{ name: 'as fast', of: time, least: 1.5 }],
    ),
    each(
      'Loss and gradient of DPO over logits: 3 times as fast, a third of the bytes',
      results.filter(({ group, size }) => group === 'DPO and gradient' && size.rows > 64),
      [
        { name: 'as fast', of: time, least: 3 },
        { name: 'the bytes', of: bytes, least: 3 },
      ],
    ),
    each(
      'A whole step of DPO: twice as fast, half of the bytes',
      results.filter(({ id }) => id === 'step small decoder'),
      [
        { name: 'as fast', of: time, least: 2 },
        { name: 'the bytes', of: bytes, least: 2 },
      ],
    ),
    judged(
      'The time of a step without attention is linear in the tokens: r² of at least 0.99',
      r2 && `r² = ${r2.toFixed(4)}${processorR2 ? ` (${processorR2.toFixed(4)} by processor time)` : ''}`,
      (r2 ?? 0) >= 0.99,
    ),
    judged(
      'Dispatches do not grow with the batch',
      dispatches.length > 0 ? `${dispatches.join(', ')} for 2, 4, 8, 16 pairs` : undefined,
      new Set(dispatches).size === 1,
    ),
    judged(
      'A vocabulary of 151,936 needs at most 64 MB more than one of 1,000, besides the weights of the head',
      growth === undefined ? undefined : `${growth.toFixed(1)} MiB more`,
      (growth ?? 0) <= 64,
    ),
    judged(
      'Prompts of half the length, packed once for both completions: at least 1.3 times as fast',
      sharing(time) && `${sharing(time)!.toFixed(2)}×${aside(sharing(processor))}`,
      (sharing(time) ?? 0) >= 1.3,
    ),
    group(
      ', prompt of 64',
      'A group of 8 with its prompt packed once, as long as a completion: at least 1.5 times as fast',
      1.5,
    ),
    group(', prompt of 128', 'The same with prompts twice as long: at least 1.8 times as fast', 1.8),
    ...[
      { rows: 1, least: 1, claim: 'Writing one sequence: as fast as ONNX Runtime Web' },
      { rows: 16, least: 2, claim: 'Writing 16 sequences: twice as fast as ONNX Runtime Web' },
    ].map(({ rows, least, claim }) =>
      each(
        claim,
        results.filter(({ id }) => id === `writing the likeliest, ${rows} at a time`),
        [{ name: 'as fast', of: time, least }],
      ),
    ),
    judged(
      'The kernels of SmolLM2-135M compile in at most 3 s',
      compiling === undefined ? undefined : `${(compiling / 1000).toFixed(2)} s`,
      (compiling ?? 0) <= 3000,
    ),
  ];
}
