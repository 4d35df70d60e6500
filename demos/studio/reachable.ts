/** Tables that are wider than a telephone scroll by themselves, and so the keyboard must be able to reach them. */
for (const table of document.querySelectorAll<HTMLTableElement>('table.results')) table.tabIndex = 0;
