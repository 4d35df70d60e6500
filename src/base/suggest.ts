/**
 * "Did you mean …?": the known name that is closest to a misspelled one.
 */

/** The closest known name, ignoring case and hyphens; undefined if none is close. */
export function nearest(name: string, known: readonly string[]): string | undefined {
  const bare = (text: string) => text.toLowerCase().replace(/[-_]/g, '');
  const wanted = bare(name);
  // Up to a third of the letters may differ; beyond that it is probably another word.
  const most = Math.floor(wanted.length / 3);
  const found = known
    .map((candidate) => ({ candidate, distance: editDistance(wanted, bare(candidate), most) }))
    .filter(({ distance }) => distance <= most)
    .sort((a, b) => a.distance - b.distance);
  return found[0]?.candidate;
}

/** The suggestion, to be followed by more text: `Did you mean beta? `, or an empty string. */
export function didYouMean(name: string, known: readonly string[]): string {
  const meant = nearest(name, known);
  return meant === undefined ? '' : `Did you mean ${meant}? `;
}

/** Number of insertions, deletions, replacements and swaps of neighbors (edit distance); `most` + 1 if it exceeds `most`. */
function editDistance(a: string, b: string, most: number): number {
  if (Math.abs(a.length - b.length) > most) return most + 1;
  let beforeLast: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1] ? 0 : 1;
      const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      row[j] = Math.min(
        last[j] + 1,
        row[j - 1] + 1,
        last[j - 1] + same,
        swapped ? beforeLast[j - 2] + 1 : Number.POSITIVE_INFINITY,
      );
    }
    [beforeLast, last] = [last, row];
  }
  return last[b.length];
}
