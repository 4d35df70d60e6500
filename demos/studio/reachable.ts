/** Tables that are wider than a telephone scroll by themselves, and so the keyboard must be able to reach them. */
export function makeTablesReachable(): void {
  for (const table of document.querySelectorAll<HTMLTableElement>('table.results')) table.tabIndex = 0;
}
