/**
 * Changes to JSON as text, so that invalid JSON can be written too: duplicate names, endless numbers, half of a surrogate
 * pair. A value, or a member of an object or list, is found, and changed, duplicated, moved or dropped.
 */
import type { Random } from '../../src/data/random.ts';

interface Span {
  start: number;
  end: number;
}

/** The positions of a text's values, and of its members: values with their names, if they have any. */
export interface JsonSpans {
  values: Span[];
  names: Span[];
  members: Span[];
}

const SCALAR = /[^\s,:[\]{}"]+/y;
const STRING = /"(?:[^"\\]|\\.)*"?/sy;

/** Finds spans in what looks like JSON; broken text gives fewer spans, never an error. */
export function jsonSpans(text: string): JsonSpans {
  const spans: JsonSpans = { values: [], names: [], members: [] };
  const open: { start: number; member: number | undefined }[] = [];
  const ended = (span: Span) => {
    spans.values.push(span);
    const container = open.at(-1);
    if (container) spans.members.push({ start: container.member ?? span.start, end: span.end });
    if (container) container.member = undefined;
  };
  const match = (pattern: RegExp, at: number): number => {
    pattern.lastIndex = at;
    return pattern.exec(text)?.[0].length ?? 0;
  };
  for (let at = 0; at < text.length; ) {
    const character = text[at];
    const length = character === '"' ? match(STRING, at) : match(SCALAR, at);
    const span = { start: at, end: at + Math.max(1, length) };
    if (character === '{' || character === '[') open.push({ start: at, member: undefined });
    else if (character === '}' || character === ']') {
      const container = open.pop();
      if (container) ended({ start: container.start, end: at + 1 });
    } else if (length > 0) {
      const container = open.at(-1);
      if (container && character === '"' && /^\s*:/.test(text.slice(span.end, span.end + 8))) {
        spans.names.push(span);
        container.member = at;
      } else ended(span);
    }
    at = span.end;
  }
  return spans;
}

/** Values that readers may not expect. */
const VALUES = [
  ...['null', 'true', 'false', '""', '[]', '{}', '[[]]', '[null]', '{"":0}', '" "', '"\\u0000"'],
  ...[
    '0',
    '-0',
    '-1',
    '1',
    '2',
    '3',
    '0.5',
    '1e-320',
    '1e308',
    '1e999',
    '-1e999',
    '4096',
    '65536',
    '1048576',
  ],
  ...['2147483647', '2147483648', '4294967295', '4294967296', '9007199254740991', '9007199254740993'],
  ...['9223372036854775807', '18446744073709551615', `1${'0'.repeat(350)}`],
  ...['"__proto__"', '"constructor"', '"toString"', '"length"', '"\\ud800"', '"\\udc00\\ud800"', '"\\uffff"'],
  ...['"../x"', '"/etc/passwd"', '"a\\\\b"', '"NaN"', '"Infinity"', '"."', '"(a+)+$"', '"é̂"', '"𝔘"'],
  `"${'x'.repeat(3000)}"`,
  `[${Array.from({ length: 500 }, (_, i) => i).join()}]`,
];
const NAMES = [
  '__proto__',
  'constructor',
  'toString',
  'hasOwnProperty',
  '',
  '\\ud800',
  '0',
  'x'.repeat(2000),
];
/** How often a member is repeated. */
const TIMES = [1, 1, 1, 1, 1, 1, 1, 30, 300];
const DEPTHS = [2, 5, 100, 12000];
const WRAPPERS = [
  ['[', ']'],
  ['{"a":', '}'],
];

/** One change of `text`; `donor` is another JSON text, `words` are words of this format. */
export function mutateJson(text: string, random: Random, donor: string, words: readonly string[]): string {
  const spans = jsonSpans(text);
  const pick = <T>(list: readonly T[]): T => list[random.below(list.length)];
  if (spans.values.length === 0) return pick(VALUES);
  const replaced = ({ start, end }: Span, by: string) => text.slice(0, start) + by + text.slice(end);
  const value = pick(spans.values);
  const own = text.slice(value.start, value.end);
  const member = pick(spans.members.length > 0 ? spans.members : spans.values);
  const taken = text.slice(member.start, member.end);

  const changes: (() => string)[] = [
    () => replaced(value, pick(VALUES)),
    () => replaced(value, words.length > 0 ? JSON.stringify(pick(words)) : pick(VALUES)),
    () => replaced(value, numberNear(own, random)),
    () => replaced(value, spliced(text, pick(spans.values))),
    () => {
      const others = jsonSpans(donor).values;
      return others.length > 0 ? replaced(value, spliced(donor, pick(others))) : text;
    },
    () =>
      replaced(
        member,
        Array(pick(TIMES) + random.below(3))
          .fill(taken)
          .join(),
      ),
    () => {
      const comma = /^\s*,/.exec(text.slice(member.end, member.end + 8))?.[0].length ?? 0;
      return replaced({ start: member.start, end: member.end + comma }, '');
    },
    () => {
      const [before, after] = pick(WRAPPERS) as [string, string];
      const depth = pick(DEPTHS);
      return replaced(value, before.repeat(depth) + own + after.repeat(depth));
    },
    () => (spans.names.length > 0 ? replaced(pick(spans.names), `"${pick(NAMES)}"`) : text),
    () => {
      if (spans.names.length === 0) return text;
      const [a, b] = [pick(spans.names), pick(spans.names)];
      return replaced(a, text.slice(b.start, b.end));
    },
    () => {
      if (!own.startsWith('"') || own.length < 3) return text;
      const at = 1 + random.below(own.length - 2);
      const end = Math.min(own.length - 1, at + random.below(8));
      return replaced(
        value,
        own.slice(0, at) +
          pick(['', '\\u0000', 'é', '\\ud800', '{', '%}', '(', ...words]).replace(/"/g, '\\"') +
          own.slice(end),
      );
    },
  ];
  return pick(changes)();
}

const spliced = (text: string, { start, end }: Span) => text.slice(start, end);

function numberNear(text: string, random: Random): string {
  const value = Number(text);
  if (!Number.isFinite(value)) return String(random.below(1000));
  const near = [
    value + 1,
    value - 1,
    value * 2,
    value / 2,
    -value,
    value + 2 ** 32,
    value + 0.5,
    random.below(100),
  ];
  return String(near[random.below(near.length)]);
}
