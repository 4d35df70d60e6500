/**
 * What the page says of the stages that only this run has.
 */
import { counted } from '../../src/base/counted.ts';
import { commonSentence, Progress } from '../shared/progress.ts';
import type { PhaseUpdate } from '../shared/run-job.ts';
import type { Opened, Phase, StagePhase } from './messages.ts';

export class RlhfProgress extends Progress<StagePhase> {
  /** Stories of the untouched model that are looked at first. */
  private first = 0;

  constructor() {
    super((update) => this.sentenceOf(update), ['judging', 'reward-model', 'reference']);
  }

  welcome({ prompts, copies }: Opened): void {
    this.first = prompts.heldOut * copies;
  }

  private sentenceOf({ phase, ...rest }: PhaseUpdate<Phase>): string {
    switch (phase) {
      case 'judging':
        return 'Your turn: choose the better draft. The reward model learns from your choices.';
      case 'reward-model':
        return 'A reward model learns to tell the better story from the worse.';
      case 'reference':
        return `First: ${this.first} stories of the untouched model, to know what can be reached at best.`;
      case 'training':
        return 'It writes, is rewarded, and learns.';
      case 'done':
        return `Done after ${counted(rest.step, 'step')}. Look back at how it began, and take the adapter with you. ${rest.unkept}`.trimEnd();
      default:
        return commonSentence({ ...rest, phase });
    }
  }
}
