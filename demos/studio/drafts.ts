/**
 * The drafts on the page, two or one, as the worker streams them. Every word of a model enters as text, never as HTML. Knows nothing of
 * what is made of them.
 */
import { proxy, type Remote } from 'comlink';
import { byId, make, setText } from '../shared/dom.ts';
import { messageOf } from '../shared/message-of.ts';
import type { DraftRequest, DraftUpdate, StudioJob } from './messages.ts';

const PLACES = [0, 1] as const;

/** Drafts and what they were asked for. */
export interface Shown {
  request: DraftRequest;
  update: DraftUpdate;
}

export class Drafts {
  private readonly elements = PLACES.map((place) => byId(`draft-${place}`, HTMLElement));
  private readonly problem = byId('draft-error', HTMLElement);
  private round = 0;
  /** What was asked for last. */
  asked: DraftRequest | undefined;
  /** What has been written of it. */
  shown: Shown | undefined;
  isWriting = false;

  /** `onChange` hears that drafts came, were taken away, or ended. */
  constructor(
    private readonly job: () => Remote<StudioJob> | undefined,
    private readonly onChange: () => void,
  ) {}

  /** Writes new drafts; resolves when they have ended, or others were asked for. */
  async write(request: DraftRequest): Promise<void> {
    const job = this.job();
    if (!job) return;
    const round = ++this.round;
    const isCurrent = () => round === this.round;
    setText(this.problem, '');
    this.isWriting = true;
    this.asked = request;
    this.shown = undefined;
    this.draw(request);
    this.onChange();
    const listener = proxy((update: DraftUpdate) => {
      if (isCurrent()) this.take({ request, update });
    });
    try {
      const update = await job.write(request, listener);
      if (isCurrent()) this.take({ request, update });
    } catch (error) {
      if (isCurrent()) setText(this.problem, messageOf(error));
    } finally {
      if (isCurrent()) this.rest();
    }
  }

  /** Ends the writing; what is there stays. */
  async stop(): Promise<void> {
    await this.job()?.stopWriting();
  }

  /** Shows drafts of before again. */
  restore(shown: Shown): void {
    this.round++;
    this.rest();
    this.asked = shown.request;
    this.take(shown);
  }

  /** Nobody writes any more. */
  leave(): void {
    this.round++;
    this.rest();
  }

  private take(shown: Shown): void {
    this.shown = shown;
    this.draw(shown.request, shown.update);
    this.onChange();
  }

  private rest(): void {
    this.isWriting = false;
    for (const element of this.elements) element.parentElement?.classList.remove('writing');
    this.onChange();
  }

  private draw({ prompt, sides }: DraftRequest, update?: DraftUpdate): void {
    for (const place of PLACES) {
      const text = update?.drafts[place]?.text ?? '';
      const opening = typeof prompt === 'string' ? [make('span', 'opening', prompt)] : [];
      const element = this.elements[place];
      element.replaceChildren(...opening, text);
      element.parentElement!.hidden = place >= sides.length;
      element.parentElement?.classList.toggle('writing', this.isWriting && !update?.done[place]);
    }
  }
}
