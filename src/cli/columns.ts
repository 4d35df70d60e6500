/**
 * Two texts side by side, for a terminal of a given width.
 */
const GAP = '  │  ';

/** Lines with `left` and `right` each wrapped in its half. */
export function inColumns(left: string, right: string, width: number): string {
  const half = Math.max(20, Math.floor((Math.min(width, 160) - GAP.length) / 2));
  const [a, b] = [wrap(left, half), wrap(right, half)];
  return Array.from(
    { length: Math.max(a.length, b.length) },
    (_, i) => `${(a[i] ?? '').padEnd(half)}${GAP}${b[i] ?? ''}`,
  ).join('\n');
}

/** Splits text into lines of at most `width` characters; a longer word is cut. */
function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text
    .split(/\s+/)
    .flatMap((each) => each.match(new RegExp(`.{1,${width}}`, 'gu')) ?? [])) {
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line);
      line = '';
    }
    line += line === '' ? word : ` ${word}`;
  }
  return line === '' ? lines : [...lines, line];
}
