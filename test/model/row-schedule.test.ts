/** The host follows which sequence a row writes, from the tokens alone, however many steps arrive at once. */
import { expect } from 'chai';
import { type GenerationUpdate, RowSchedule } from '../../src/model/row-schedule.ts';
import { random } from '../reference/compare.ts';

const EOS = 7;
const LONGEST = 6;

/** What a device does in steps of `rows`: the tokens of all steps, and how many sequences were ready before each. */
function device(texts: readonly (readonly number[])[], rows: number, ready: (step: number) => number) {
  const seats = Array.from({ length: rows }, (_, sequence) => ({ sequence, start: 0 }));
  let next = rows;
  const steps: { tokens: number[]; ready: number }[] = [];
  for (
    let step = 0;
    seats.some(({ sequence, start }) => step - start < texts[sequence].length) || next < texts.length;
    step++
  ) {
    for (const seat of seats) {
      if (step - seat.start < texts[seat.sequence].length || next >= ready(step)) continue;
      Object.assign(seat, { sequence: next++, start: step });
    }
    const tokens = seats.map(
      ({ sequence, start }) => texts[sequence][step - start] ?? texts[sequence].at(-1)!,
    );
    steps.push({ tokens, ready: ready(step) });
  }
  return steps;
}

describe('row-schedule', () => {
  for (const [rows, at, delay] of [
    [1, 1, 0],
    [5, 3, 0],
    [5, 4, 9],
    [40, 6, 0],
  ] as const) {
    it(`${rows} rows, ${at} steps at once, prompts ${delay} steps late`, () => {
      const { int } = random(rows + at);
      const texts = Array.from({ length: 40 }, () => {
        const length = 1 + int(LONGEST);
        const ids = Array.from({ length }, () => int(EOS));
        return length < LONGEST || int(2) === 0 ? [...ids.slice(0, -1), EOS] : ids;
      });
      const steps = device(texts, rows, (step) =>
        Math.min(40, rows + (delay > 0 ? 2 * Math.floor(step / delay) : 40)),
      );
      const schedule = new RowSchedule(rows, 40, { maxNewTokens: LONGEST, eosTokenIds: [EOS] });
      const found: GenerationUpdate[] = texts.map((_, sequence) => ({ sequence, ids: [] }));
      for (let from = 0; from < steps.length; from += at) {
        expect(schedule.isWaiting || schedule.lastStep > from, `step ${from}`).to.equal(true);
        const some = steps.slice(from, from + at);
        for (const { ready } of some) schedule.record(ready);
        const tokens = Uint32Array.from(some.flatMap((step) => step.tokens));
        for (const { ids, ...update } of schedule.follow({ tokens })) {
          found[update.sequence].ids.push(...ids);
          Object.assign(found[update.sequence], update);
        }
      }
      expect(schedule.open).to.deep.equal([]);
      for (const [i, { ids, finished, endId }] of found.entries()) {
        const text = texts[i];
        const isEnded = text.at(-1) === EOS;
        expect([ids, finished, endId]).to.deep.equal(
          isEnded ? [text.slice(0, -1), 'eos', EOS] : [text, 'length', undefined],
        );
      }
    });
  }
});
