/** What the page says of a run, where it differs from the other demos. */
import { counted } from '../../src/base/counted.ts';
import { commonSentence, Progress } from '../shared/progress.ts';
import type { PhaseUpdate } from '../shared/run-job.ts';
import type { Phase, StagePhase } from './messages.ts';

type Sentence = (update: PhaseUpdate<Phase>) => string;

/** Sentences by phase; those of the other demos for the rest. */
const SENTENCES: Readonly<Partial<Record<Phase, Sentence>>> = {
  idle: ({ unkept }) => `Ready to train on your picks. ${unkept}`.trimEnd(),
  reference: () => 'Preparing: the reference model scores every row once.',
  optimum: () =>
    'First: drafts of held-out prompts by the model before, to estimate how good the best policy is.',
  picking: () => 'Learning as you pick. The next step takes your picks on the tab Collect.',
  training: () => 'Training. You can keep picking; drafts take turns with the steps.',
  done: ({ step, unkept }) =>
    `Done after ${counted(step, 'step')}. The trained model writes the new drafts. Compare it blind, or export it. ${unkept}`.trimEnd(),
};

export class StudioProgress extends Progress<StagePhase> {
  constructor() {
    super(
      ({ phase, ...rest }) => {
        const own = SENTENCES[phase];
        return own ? own({ ...rest, phase }) : commonSentence({ ...rest, phase: phase as never });
      },
      ['reference', 'optimum', 'picking'],
    );
  }
}
