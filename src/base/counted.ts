/** Numbers with the noun behind them, for sentences. */

/** `1 pair`, `2 pairs`; a plural that is more than an s is given. */
export function counted(count: number, one: string, several = `${one}s`): string {
  return `${count} ${count === 1 ? one : several}`;
}
