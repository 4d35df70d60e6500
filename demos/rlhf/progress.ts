/**
 * The status messages of this demo's own stages.
 */
import { counted } from '../../src/base/counted.ts';
import { commonSentence, Progress } from '../shared/progress.ts';
import type { PhaseUpdate } from '../shared/run-job.ts';
import type { Opened, Phase, StagePhase } from './messages.ts';

export class RlhfProgress extends Progress<StagePhase> {
  /** Number of stories of the original model that are generated first. */
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
        return 'A reward model learns which story is better.';
      case 'reference':
        return `First: ${this.first} stories of the original model, to estimate the best possible objective.`;
      case 'training':
        return 'The model writes, is rewarded, and learns.';
      case 'done':
        return `Done after ${counted(rest.step, 'step')}. Look back at how it began, and take the adapter with you. ${rest.unkept}`.trimEnd();
      default:
        return commonSentence({ ...rest, phase });
    }
  }
}
