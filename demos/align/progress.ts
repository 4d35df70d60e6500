/**
 * What the page says of the stages that only this run has.
 */
import { commonSentence, Progress } from '../shared/progress.ts';
import type { PhaseUpdate } from '../shared/run-job.ts';
import type { Phase, StagePhase } from './messages.ts';

const STAGES: readonly StagePhase[] = ['before', 'reference', 'after'];

export class AlignProgress extends Progress<StagePhase> {
  /** Stories that are written before and after. */
  measured = 0;

  constructor() {
    super((update) => this.sentenceOf(update), STAGES);
  }

  private sentenceOf({ phase, ...rest }: PhaseUpdate<Phase>): string {
    switch (phase) {
      case 'before':
        return `Before: writing ${this.measured} stories with the model as it is.`;
      case 'reference':
        return 'Preparing: how likely the model finds every story as it is.';
      case 'after':
        return `After: writing the same ${this.measured} stories with the adapter.`;
      default:
        return commonSentence({ ...rest, phase });
    }
  }
}
