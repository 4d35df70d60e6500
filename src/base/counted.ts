/** A number followed by its noun, for messages. */

/** `1 pair`, `2 pairs`; `several` is the plural if it is not formed with an s. */
export function counted(count: number, one: string, several = `${one}s`): string {
  return `${count} ${count === 1 ? one : several}`;
}
