/**
 * The one error for bad input: a file, a row, a tensor or a setting that cannot be used. It says where, what, and the
 * way out, so that it can be shown to a person as it stands. It never stands for a bug of ours.
 */

/** `where: what. wayOut` in one line, the three parts also apart. */
export class InputError extends Error {
  override name = 'InputError';
  /** File and row, or file and tensor: `pairs.jsonl, line 3`. */
  readonly where: string;
  /** What is wrong, without a full stop. */
  readonly what: string;
  /** What to do about it, a sentence without its full stop. */
  readonly wayOut: string;

  constructor(where: string, what: string, wayOut: string, options?: ErrorOptions) {
    super(`${where}: ${what}. ${wayOut}.`, options);
    this.where = where;
    this.what = what;
    this.wayOut = wayOut;
  }
}

/** A value out of a file, short and on one line, for a message: control characters escaped, at most `limit` long. */
export function quote(value: unknown, limit = 80): string {
  let text: string;
  try {
    text = JSON.stringify(value) ?? String(value);
  } catch {
    text = 'something nested too deeply'; // a hostile value can exhaust the stack
  }
  return text.length > limit ? `${text.slice(0, limit - 1)}…` : text;
}

/** The first names of a list, for a message: `a, b, c and 4 more`. */
export function listed(names: readonly (string | number)[], limit = 8): string {
  if (names.length === 0) return 'none';
  const shown = names.slice(0, limit).join(', ');
  return names.length > limit ? `${shown} and ${names.length - limit} more` : shown;
}

/** What another library or the platform said, as the end of a sentence: without its own full stop. */
export function reason(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return text.replace(/\s+/g, ' ').replace(/\.+$/, '').slice(0, 200);
}
