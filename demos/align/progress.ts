/**
 * The status messages of this demo's own stages.
 */
import { commonSentence, Progress } from '../shared/progress.ts';
import type { PhaseUpdate } from '../shared/run-job.ts';
import type { Phase, StagePhase } from './messages.ts';

const STAGES: readonly StagePhase[] = ['before', 'reference', 'after'];

export class AlignProgress extends Progress<StagePhase> {
  /** Number of stories generated before and after. */
  measured = 0;

  constructor() {
    super((update) => this.sentenceOf(update), STAGES);
  }

  private sentenceOf({ phase, ...rest }: PhaseUpdate<Phase>): string {
    switch (phase) {
      case 'before':
        return `Before: writing ${this.measured} stories with the original model.`;
      case 'reference':
        return 'Preparing: log-probabilities of every story under the original model.';
      case 'after':
        return `After: writing the same ${this.measured} stories with the adapter.`;
      default:
        return commonSentence({ ...rest, phase });
    }
  }
}
