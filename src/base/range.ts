/**
 * The allowed values of a number, as data: checked by {@link inRange}, printed by {@link rangeText}.
 */

export interface Range {
  /** The smallest value that is allowed. */
  readonly from?: number;
  /** Every value is larger than this one. */
  readonly above?: number;
  /** The largest value that is allowed. */
  readonly upTo?: number;
  /** Every value is smaller than this one. */
  readonly below?: number;
  /** The reason for the range, if it is not obvious. */
  readonly reason?: string;
}

/** The largest float32, and the smallest normal one. */
export const FLOAT32_MOST = (2 - 2 ** -23) * 2 ** 127;
const FLOAT32_LEAST = 2 ** -126;
/** Integers are passed to kernels as signed 32-bit numbers. */
export const WHOLE_MOST = 2 ** 31 - 1;

/** Whether float32, in which everything is computed, can represent the number without overflow or underflow to 0. */
export function inFloat32(value: number): boolean {
  const size = Math.abs(value);
  return size === 0 || (size >= FLOAT32_LEAST && size <= FLOAT32_MOST);
}

export function inRange(value: number, { from, above, upTo, below }: Range): boolean {
  return (
    Number.isFinite(value) &&
    !(from !== undefined && value < from) &&
    !(above !== undefined && value <= above) &&
    !(upTo !== undefined && value > upTo) &&
    !(below !== undefined && value >= below)
  );
}

/** `from 0 to below 1`, `above 0, up to 1`; empty if every number is allowed. */
export function rangeText({ from, above, upTo, below }: Range): string {
  const start = from !== undefined ? `from ${from}` : above !== undefined ? `above ${above}` : '';
  const end = upTo !== undefined ? `to ${upTo}` : below !== undefined ? `below ${below}` : '';
  if (start === '' || end === '') return start || (upTo === undefined ? end : `up ${end}`);
  if (from === undefined) return `${start}, ${upTo === undefined ? end : `up ${end}`}`;
  return `${start} ${upTo === undefined ? `to ${end}` : end}`;
}
