/** Spans of packed pairs, in the form of a packed batch. */

/** Prompt, chosen and rejected lengths of one pair; with two zeros it is a plain sequence. */
export type Pair = readonly [number, number, number];

/** Pairs in a row, each as a prompt followed by the two completions that see it. */
export function spansOf(pairs: readonly Pair[]): Uint32Array {
  const spans: number[] = [];
  let first = 0;
  for (const [prompt, chosen, rejected] of pairs) {
    const [promptEnd, chosenEnd] = [first + prompt, first + prompt + chosen];
    const end = chosenEnd + rejected;
    for (let i = 0; i < prompt; i++) spans.push(first, first, first, end);
    for (let i = 0; i < chosen; i++) spans.push(first, promptEnd, promptEnd, chosenEnd);
    for (let i = 0; i < rejected; i++) spans.push(first, promptEnd, chosenEnd, end);
    first = end;
  }
  return Uint32Array.from(spans);
}
