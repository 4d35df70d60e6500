/**
 * The results on openings that the model was never trained on: the mean score before and after, the distribution of scores,
 * and some of the stories side by side. The layout is complete from the start, so that nothing moves when it is filled.
 */
import { ALIGN_SHOWN } from '../../src/cli/align-task.ts';
import { TEXT_FIGURES } from '../../src/cli/report/text-figures.ts';
import { byId, make, setText, signed } from '../shared/dom.ts';
import { showScore, showStory } from '../shared/story.ts';
import type { Measurement, Side } from './messages.ts';

/** Scores beyond this are counted in the outermost bars. */
const REACH = 14;
const SIDES: readonly Side[] = ['before', 'after'];

type Cells = Record<Side, { story: HTMLElement; score: HTMLElement }>;

export class Outcome {
  private readonly list = byId('samples', HTMLOListElement);
  private readonly histogram = byId('histogram', HTMLDivElement);
  private readonly means = figures('mean');
  private readonly errors = figures('error');
  private readonly kl = byId('kl', HTMLElement);
  private readonly klError = byId('kl-error', HTMLElement);
  private readonly advice = byId('advice', HTMLUListElement);
  private readonly reading = byId('reading', HTMLDListElement);
  private rows: Cells[] = [];
  private measured: Partial<Record<Side, Measurement>> = {};

  constructor() {
    this.drawHistogram();
    this.showReading();
  }

  /** Creates the rows of the first openings. */
  layOut(openings: readonly string[]): void {
    this.rows = openings.slice(0, ALIGN_SHOWN).map((opening) => {
      const cells: Partial<Cells> = {};
      const row = make('li');
      for (const side of SIDES) {
        const story = make('p', 'story', make('span', 'opening', opening), make('span', 'hint', ' …'));
        const score = make('span', 'score');
        cells[side] = { story, score };
        row.append(
          make(
            'div',
            side,
            make('header', '', make('h3', '', side === 'before' ? 'Before' : 'After'), score),
            story,
          ),
        );
      }
      this.list.append(row);
      return cells as Cells;
    });
  }

  /** Removes the previous run. */
  clear(openings: readonly string[]): void {
    this.measured = {};
    for (const side of SIDES) {
      setText(this.means[side], '–');
      setText(this.errors[side], '\u00a0');
    }
    setText(this.kl, '–');
    setText(this.klError, 'nats per story');
    this.advise([]);
    this.list.replaceChildren();
    this.layOut(openings);
    this.drawHistogram();
    this.showReading();
  }

  /** Shows advice about the run's results, if there is any. */
  advise(lines: readonly string[]): void {
    this.advice.replaceChildren(...lines.map((line) => make('li', '', line)));
    this.advice.hidden = lines.length === 0;
  }

  show(side: Side, measurement: Measurement): void {
    this.measured[side] = measurement;
    const { mean, standardError, scores, samples, kl } = measurement;
    setText(this.means[side], signed(mean));
    setText(this.errors[side], `± ${standardError.toFixed(2)}, ${scores.length} stories`);
    if (kl) {
      // Before training, the mean may be slightly below 0: avoid '-0.0'.
      setText(this.kl, (Math.round(kl.mean * 10) / 10 + 0).toFixed(1).replace('-', '−'));
      setText(this.klError, `± ${kl.standardError.toFixed(1)} nats per story`);
    }
    this.means[side].dataset.feeling = mean > 0 ? 'glad' : 'sad';
    samples.forEach(({ prompt, story }, i) => {
      const cell = this.rows[i]?.[side];
      if (!cell) return;
      showStory(cell.story, prompt, story);
      showScore(cell.score, story.score);
    });
    this.drawHistogram();
    this.showReading();
  }

  /** Measures of the text before and after. The stored run of an earlier visit may lack some of them. */
  private showReading(): void {
    const tiles = TEXT_FIGURES.map(({ key, name, show, note }) => {
      const [was, is] = SIDES.map((side) => {
        const value = this.measured[side]?.figures?.[key];
        return value === undefined ? '–' : show(value);
      });
      return make('div', '', make('dt', '', name), make('dd', '', `${was} → ${is}`), make('small', '', note));
    });
    this.reading.replaceChildren(...tiles);
  }

  /** Two bars for every range of scores, as high as the fraction of stories in it. */
  private drawHistogram(): void {
    const shares = SIDES.map((side) => sharesOf(this.measured[side]?.scores ?? []));
    const highest = Math.max(0.05, ...shares.flat());
    const bins = Array.from({ length: 2 * REACH + 1 }, (_, bin) => {
      const bars = SIDES.map((side, i) => {
        const bar = make('i', side);
        bar.style.setProperty('--share', String((shares[i]?.[bin] ?? 0) / highest));
        return bar;
      });
      return make('div', 'bin', ...bars);
    });
    const scale = make('div', 'scale', ...[-REACH, 0, REACH].map((value) => make('span', '', tick(value))));
    this.histogram.replaceChildren(make('div', 'bins', ...bins), scale);
    const { before, after } = this.measured;
    if (!before) return;
    const was = `Scores of ${before.scores.length} stories: mean ${signed(before.mean)} before`;
    this.histogram.setAttribute('aria-label', after ? `${was}, ${signed(after.mean)} after.` : `${was}.`);
  }
}

/** The fraction of the scores in every bin, from −REACH to REACH. */
function sharesOf(scores: readonly number[]): number[] {
  const bins = new Array<number>(2 * REACH + 1).fill(0);
  for (const score of scores) {
    const bounded = Math.max(-REACH, Math.min(REACH, score));
    const bin = Math.round(bounded + REACH);
    bins[bin] = (bins[bin] ?? 0) + 1 / scores.length;
  }
  return bins;
}

function tick(value: number): string {
  return value < 0 ? `−${-value} or less` : value > 0 ? `+${value} or more` : '0';
}

function figures(name: string): Record<Side, HTMLElement> {
  const of = (side: Side) => byId(`${name}-${side}`, HTMLElement);
  return { before: of('before'), after: of('after') };
}
