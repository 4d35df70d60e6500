/** The reward model of the picks on the page: a button, its held-out accuracy, how sure it is and how right, and where it disagrees. */
import { proxy, type Remote } from 'comlink';
import { counted } from '../../../src/base/counted.ts';
import { byId, make, onPress, setText, setUsable } from '../../shared/dom.ts';
import { messageOf } from '../../shared/message-of.ts';
import type { StudioJob } from '../messages.ts';
import type { PreferenceStore } from '../preferences/store.ts';
import { type Bin, confidenceOf, type RewardFigures, type ScoredPair } from './figures.ts';

/** Disagreements that are shown. */
const MOST = 5;

const percent = (share: number) => `${Math.round(100 * share)}%`;

export class RewardPanel {
  private readonly button = byId('reward-fit', HTMLButtonElement);
  private readonly use = byId('reward-use', HTMLButtonElement);
  private readonly text = byId('reward-text', HTMLElement);

  constructor(
    private readonly job: () => Remote<StudioJob> | undefined,
    private readonly store: PreferenceStore,
    /** Hears of a reward model that was fitted, and that the next run is to learn from it. */
    private readonly actions: { onFit(figures: RewardFigures): void; use(): void },
  ) {
    onPress(this.button, () => void this.fit());
    onPress(this.use, () => actions.use());
  }

  /** One that an earlier visit has fitted. */
  ready(figures: RewardFigures | undefined): void {
    if (figures) this.take(figures);
  }

  /** Whether the GPU is free for it: no run is under way. */
  allow(isFree: boolean): void {
    setUsable(this.button, isFree);
    setUsable(this.use, isFree);
  }

  private async fit(): Promise<void> {
    const job = this.job();
    if (!job) return;
    setUsable(this.button, false);
    const onProgress = proxy((done: number, total: number) =>
      setText(this.text, `Learning from your picks: step ${done} of ${total}.`),
    );
    try {
      this.take(await job.fitReward(this.store.all(), onProgress));
    } catch (error) {
      setText(this.text, messageOf(error));
    } finally {
      setUsable(this.button, true);
    }
  }

  private take(figures: RewardFigures): void {
    this.draw(figures);
    this.use.hidden = false;
    this.actions.onFit(figures);
  }

  private draw(figures: RewardFigures): void {
    const { learned, heldOut, accuracy, interval, calibration, disagreements } = figures;
    const share = `${percent(accuracy)} (95% interval ${interval.map(percent).join(' to ')})`;
    const more = disagreements.length > MOST ? `, the surest ${MOST} of ${disagreements.length}` : '';
    const where = disagreements.length > 0 ? ` Below is where it disagrees with you${more}.` : '';
    setText(
      this.text,
      `It learned from ${counted(learned, 'pair')} and prefers your side in ${share} of ${heldOut} held-out ones.${where}`,
    );
    const table = byId('reward-bins', HTMLTableElement);
    table.hidden = false;
    byId('reward-bin-rows', HTMLTableSectionElement).replaceChildren(...calibration.map(binRow));
    byId('reward-disagreements', HTMLDivElement).replaceChildren(
      ...disagreements.slice(0, MOST).map(disagreement),
    );
  }
}

function binRow({ from, to, pairs, confidence, right }: Bin): HTMLElement {
  const head = make('th', '', `${percent(from)} to ${percent(to)}`);
  head.scope = 'row';
  const cells = [String(pairs), percent(confidence), percent(right)];
  return make('tr', '', head, ...cells.map((text) => make('td', '', text)));
}

/** Texts of a model and of a person enter as text. */
function disagreement({ prompt, chosen, rejected, margin }: ScoredPair): HTMLElement {
  const side = (title: string, text: string) =>
    make('p', '', make('strong', '', `${title} `), make('span', 'story', text));
  const sure = `It prefers the other one, ${percent(confidenceOf(margin))} sure`;
  return make(
    'section',
    'samples',
    make('h3', '', prompt),
    side('Your pick:', chosen),
    side(`${sure}:`, rejected),
  );
}
