/**
 * What the drivers of losses share: a weighted list of objectives, and how one of them becomes parameters and buffers of
 * its kernels. Knows no formula.
 */

import type { ColumnScope } from '../data/columns.ts';
import { type Buffers, type Grid, type Kernel, kernels, type Params } from '../gpu/kernel.ts';
import type { Shader } from '../gpu/shader.ts';
import type { Tensor } from '../tensor/tensor.ts';
import { type Objective, objectiveOptions } from './catalogue.ts';
import { DIVISORS, type DivisorContext } from './divisors.ts';

/** One objective of a list. */
export interface Term {
  objective: Objective;
  /** Its options; defaults for what is left out. */
  options?: Readonly<Record<string, number | undefined>>;
  /** 1 where it is left out. */
  weight?: number;
}

/** Lengths of the learned completions of a micro-batch, and of the optimizer step that it is a part of. */
export type Lengths = Pick<DivisorContext, 'batch' | 'step'>;

/** The columns at hand, and how long one of each scope must be; unknown where it is undefined. */
export interface GivenColumns {
  columns: Readonly<Record<string, Tensor>>;
  lengths: Readonly<Record<ColumnScope, number | undefined>>;
}

/** Of a term: its parameters, and the buffers of the columns that it reads. Throws a RangeError for what does not fit. */
export function termParams(
  { objective, options: given, weight = 1 }: Term,
  { columns, lengths: expected }: GivenColumns,
  lengths?: Lengths,
): { params: Params; buffers: Buffers } {
  const options = objectiveOptions(objective, given);
  const divisor = DIVISORS[objective.over ?? 'batch'];
  const params = {
    weight,
    mean_tokens: lengths ? divisor({ ...lengths, options }) : 0,
    ...shaderNames(options),
  };
  const buffers = Object.entries(objective.reads ?? {}).map(([name, { per }]): [string, Tensor] => {
    const column = columns[name];
    if (!column) throw new RangeError(`${objective.name} reads the column ${name}, which is missing`);
    const wanted = expected[per];
    if (column.dtype !== 'f32' || (wanted !== undefined && column.length !== wanted)) {
      throw new RangeError(`${objective.name}: column ${name} must be (${wanted}) f32, not ${column}`);
    }
    return [name, column];
  });
  return { params, buffers: shaderNames(Object.fromEntries(buffers)) };
}

/** The kernels of a driver with any formula on it; made once a shader. */
export function driverKernels<Entry extends string>(
  grids: Record<Entry, Grid>,
): (shader: Shader) => Record<Entry, Kernel> {
  const known = new WeakMap<Shader, Record<Entry, Kernel>>();
  return (shader) => {
    const found = known.get(shader) ?? kernels(shader, grids);
    known.set(shader, found);
    return found;
  };
}

/** `oldLogprobs` is `old_logprobs` in a shader. */
function shaderNames<T>(named: Readonly<Record<string, T>>): Record<string, T> {
  const renamed = Object.entries(named).map(([name, value]): [string, T] => [
    name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`),
    value,
  ]);
  return Object.fromEntries(renamed);
}
