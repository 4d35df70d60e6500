/**
 * Asks which of two drafts is better: the user chooses with a click, with the keyboard focus, or with the arrow keys.
 */
import { byId, onPress, setText, setUsable } from '../shared/dom.ts';
import type { AnswerToQuestion, Question } from './messages.ts';

export class Questions {
  private readonly section = byId('question', HTMLElement);
  private readonly drafts = [byId('first', HTMLButtonElement), byId('second', HTMLButtonElement)] as const;
  private readonly skip = byId('skip', HTMLButtonElement);
  private readonly learn = byId('learn', HTMLButtonElement);
  private isOpen = false;

  constructor(private readonly answer: (answer: AnswerToQuestion) => void) {
    onPress(this.drafts[0], () => this.say('first'));
    onPress(this.drafts[1], () => this.say('second'));
    onPress(this.skip, () => this.say('skip'));
    onPress(this.learn, () => this.say('learn'));
    this.section.addEventListener('keydown', ({ key }) => {
      if (key === 'ArrowLeft') this.say('first');
      else if (key === 'ArrowRight') this.say('second');
    });
  }

  /** Whether it is the user's turn. */
  show(isTurn: boolean): void {
    if (this.section.hidden !== isTurn) return;
    this.section.hidden = !isTurn;
    this.wait();
    if (isTurn) this.section.focus();
  }

  ask({ prompt, drafts, answered, needed }: Question): void {
    this.isOpen = true;
    setText(byId('question-prompt', HTMLElement), prompt);
    for (const [i, draft] of drafts.entries()) {
      const button = this.drafts[i as 0 | 1];
      setText(button, draft.trim());
      setUsable(button, true);
    }
    setUsable(this.skip, true);
    setUsable(this.learn, answered >= needed);
    const missing = needed - answered;
    setText(
      byId('answered', HTMLElement),
      missing > 0 ? `${answered} chosen, ${missing} to go` : `${answered} chosen: enough, more is better`,
    );
  }

  private say(answer: AnswerToQuestion): void {
    if (!this.isOpen) return;
    this.wait();
    this.answer(answer);
  }

  /** Disabled until the next question. */
  private wait(): void {
    this.isOpen = false;
    for (const button of [...this.drafts, this.skip, this.learn]) setUsable(button, false);
  }
}
