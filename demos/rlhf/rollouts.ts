/**
 * The policy's stories: one row per prompt with its completions, colored by their advantage. Earlier steps can be viewed
 * again; otherwise the latest is shown.
 */
import { byId, make, onPress, setText, setUsable, signed } from '../shared/dom.ts';
import { marked } from '../shared/story.ts';
import type { Rollout, ShownCompletion } from './messages.ts';

const NOTHING = 'Stories appear here with the first step.';

export class Rollouts {
  private readonly list = byId('rollouts', HTMLOListElement);
  private readonly title = byId('rollouts-step', HTMLElement);
  private readonly slider = byId('look-back', HTMLInputElement);
  private readonly latest = byId('latest', HTMLButtonElement);
  private readonly writing = byId('writing', HTMLElement);
  private seen: Rollout[] = [];
  private follows = true;
  private frame = 0;

  constructor() {
    this.slider.addEventListener('input', () => {
      this.follows = this.slider.valueAsNumber >= this.seen.length - 1;
      this.schedule();
    });
    onPress(this.latest, () => {
      this.follows = true;
      this.schedule();
    });
    this.clear();
  }

  clear(): void {
    this.seen = [];
    this.follows = true;
    this.quiet();
    this.schedule();
  }

  add(rollout: Rollout): void {
    // A step may be repeated, after a pause or a lost device.
    this.seen = this.seen.filter(({ step }) => step < rollout.step);
    this.seen.push(rollout);
    this.quiet();
    this.schedule();
  }

  /** Shows the progress of the next ones. */
  progress(step: number, share: number): void {
    setText(this.writing, `Writing for step ${step}: ${Math.round(100 * share)} %`);
  }

  /** Nothing is being generated. */
  quiet(): void {
    setText(this.writing, '\u00a0');
  }

  /** Draws in the next frame, once, however many updates arrive until then. */
  private schedule(): void {
    this.frame ||= requestAnimationFrame(() => {
      this.frame = 0;
      this.draw();
    });
  }

  private draw(): void {
    const last = Math.max(0, this.seen.length - 1);
    this.slider.max = String(last);
    if (this.follows) this.slider.value = String(last);
    this.slider.disabled = this.seen.length < 2;
    setUsable(this.latest, !this.follows);
    const shown = this.seen[this.slider.valueAsNumber];
    if (!shown) {
      setText(this.title, 'Before the first step');
      this.list.replaceChildren(make('li', 'hint', NOTHING));
      return;
    }
    const part =
      shown.groups.length < shown.prompts ? `, ${shown.groups.length} of its ${shown.prompts} prompts` : '';
    setText(this.title, `Step ${shown.step}${part}`);
    this.slider.setAttribute('aria-valuetext', `step ${shown.step}`);
    const strongest = Math.max(
      1e-9,
      ...shown.groups.flatMap(({ completions }) => completions.map(({ advantage }) => Math.abs(advantage))),
    );
    this.list.replaceChildren(
      ...shown.groups.map(({ prompt, completions }) => {
        const cells = completions.map((completion) => cellOf(completion, strongest));
        const row = make('ol', 'completions', ...cells);
        // Scrolls horizontally if it does not fit, also with the keyboard.
        row.tabIndex = 0;
        row.setAttribute('role', 'list');
        row.setAttribute('aria-label', `Stories that begin with: ${prompt}`);
        return make('li', '', make('p', 'prompt', prompt), row);
      }),
    );
  }
}

/** A completion; its background strength shows its advantage. */
function cellOf(completion: ShownCompletion, strongest: number): HTMLElement {
  const { reward, advantage } = completion;
  const figures = make('dl', 'earned');
  const figure = (name: string, value: string) =>
    figures.append(make('div', '', make('dt', '', name), make('dd', '', value)));
  figure('reward', reward === null ? 'none' : compact(reward));
  figure('advantage', signed(advantage));
  const cell = make('li', 'completion', figures, make('p', 'story', ...marked(completion)));
  cell.dataset.advantage = advantage > 0 ? 'up' : advantage < 0 ? 'down' : 'none';
  cell.style.setProperty('--strength', (Math.abs(advantage) / strongest).toFixed(2));
  return cell;
}

function compact(value: number): string {
  return String(Math.round(value * 100) / 100).replace('-', '−');
}
