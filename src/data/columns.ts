/**
 * Named columns of numbers that travel beside a batch: advantages, labels, margins, log-probabilities of the policy that
 * sampled. Whoever makes examples fills them; a loss says which ones it reads. Types and lengths alone.
 */

/** What a column has a number for: an example, each of its completions, or each of their tokens. */
export type ColumnScope = 'example' | 'sequence' | 'row';

export interface ColumnSpec {
  readonly per: ColumnScope;
  /** Stands where an example does not have the column; without one every example needs it. */
  readonly default?: number;
}

/** The columns that a loss reads, by name. */
export type ColumnSpecs = Readonly<Record<string, ColumnSpec>>;

/** An example's columns by name, in the order of its completions and their tokens. */
export type Columns = Readonly<Record<string, ArrayLike<number>>>;

/** What an example looks like to those who only count. */
export interface ExampleShape {
  readonly completions: readonly { readonly length: number }[];
  readonly columns?: Columns;
}

/** Numbers that an example has in a column. */
const LENGTHS: Readonly<Record<ColumnScope, (example: ExampleShape) => number>> = {
  example: () => 1,
  sequence: ({ completions }) => completions.length,
  row: ({ completions }) => completions.reduce((sum, { length }) => sum + length, 0),
};

/**
 * The wanted columns of some examples, each one after the other. Throws a RangeError that names the column and the example
 * where one is missing or has another length.
 */
export function joinColumns(
  examples: readonly ExampleShape[],
  specs: ColumnSpecs,
): Record<string, Float32Array> {
  const joined = Object.entries(specs).map(([name, spec]): [string, Float32Array] => {
    const values = examples.flatMap((example, index) => [...columnOf(example, name, spec, index)]);
    return [name, Float32Array.from(values)];
  });
  return Object.fromEntries(joined);
}

function columnOf(
  example: ExampleShape,
  name: string,
  { per, default: otherwise }: ColumnSpec,
  index: number,
): Iterable<number> {
  const length = LENGTHS[per](example);
  const column = example.columns?.[name];
  if (!column) {
    if (otherwise !== undefined) return Array.from({ length }, () => otherwise);
    throw new RangeError(`example ${index + 1} has no column ${name}; give one number for each ${per}`);
  }
  if (column.length === length) return Array.from(column);
  throw new RangeError(
    `example ${index + 1}: column ${name} has ${column.length} numbers; it needs ${length}, one for each ${per}`,
  );
}
