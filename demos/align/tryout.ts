/**
 * Continues a prompt that the user types, with the original model and, if there is an adapter, with the adapted model, both
 * at once and word by word.
 */
import { proxy, type Remote } from 'comlink';
import { byId, onPress, setText, setUsable } from '../shared/dom.ts';
import { messageOf } from '../shared/message-of.ts';
import { showScore, showStory } from '../shared/story.ts';
import type { AlignJob, ScoredText, Side } from './messages.ts';

const SAMPLING = { temperature: 0.8, maxNewTokens: 80 };
const SIDES: readonly Side[] = ['before', 'after'];

export class Tryout {
  private readonly prompt = byId('prompt', HTMLInputElement);
  private readonly problem = byId('try-error', HTMLElement);
  private readonly button = byId('write', HTMLButtonElement);
  private stories: Record<Side, HTMLElement> = elements('');
  private scores: Record<Side, HTMLElement> = elements('-score');
  private openings: readonly string[] = [];
  private shown = 0;
  private round = 0;

  constructor(private readonly job: () => Remote<AlignJob> | undefined) {
    byId('try', HTMLFormElement).addEventListener('submit', (event) => {
      event.preventDefault();
      if (this.button.getAttribute('aria-disabled') !== 'true') void this.write();
    });
    onPress(byId('shuffle', HTMLButtonElement), () => {
      if (this.openings.length === 0) return;
      this.shown = (this.shown + 1) % this.openings.length;
      this.prompt.value = this.openings[this.shown] ?? '';
    });
  }

  /** Sets the openings to offer and enables requests for stories. */
  ready(openings: readonly string[]): void {
    this.openings = openings;
    this.prompt.value ||= openings[0] ?? '';
    setUsable(this.button, true);
  }

  /** Disables requests, because the worker is gone. */
  leave(): void {
    this.round++;
    setUsable(this.button, false);
    for (const side of SIDES) this.stories[side].parentElement?.classList.remove('writing');
  }

  private async write(): Promise<void> {
    const job = this.job();
    if (!job) return;
    const round = ++this.round;
    const prompt = this.prompt.value;
    const isCurrent = () => round === this.round;
    setText(this.problem, '');
    for (const side of SIDES) {
      showScore(this.scores[side], undefined);
      showStory(this.stories[side], prompt, { text: ' …', words: [] });
      this.stories[side].parentElement?.classList.add('writing');
    }
    const written = new Set<Side>();
    const listener = proxy((side: Side, story: ScoredText, done: boolean) => {
      if (!isCurrent()) return;
      written.add(side);
      showStory(this.stories[side], prompt, story);
      showScore(this.scores[side], story.score);
      if (done) this.stories[side].parentElement?.classList.remove('writing');
    });
    try {
      await job.write({ ...SAMPLING, prompt, seed: round }, listener);
      if (isCurrent() && !written.has('after')) {
        this.stories.after.replaceChildren(
          'There is no adapter yet. Start the run, and ask again once it has made a few steps.',
        );
      }
    } catch (error) {
      if (isCurrent()) setText(this.problem, messageOf(error));
    } finally {
      if (isCurrent())
        for (const side of SIDES) this.stories[side].parentElement?.classList.remove('writing');
    }
  }
}

function elements(suffix: string): Record<Side, HTMLElement> {
  const of = (side: Side) => byId(`try-${side}${suffix}`, HTMLElement);
  return { before: of('before'), after: of('after') };
}
