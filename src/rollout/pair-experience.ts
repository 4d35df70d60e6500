/**
 * Experience for online DPO: the two completions of a prompt become a pair, the better one first. An undecided pair has no
 * gradient.
 */
import type { ColumnSpecs, TokenizedExample } from '../data/packing.ts';
import type { Gpu } from '../gpu/device.ts';
import type { Json } from '../io/json.ts';
import type { Metrics } from '../train/events.ts';
import type { StepContext } from '../train/step.ts';
import type { Experience, ExperienceMaker, MakeOptions } from './experience.ts';
import { type PairLabeler, UNDECIDED } from './labels.ts';
import type { Samples } from './sampling.ts';

export interface PairSettings {
  beta: number;
  /** Sampling temperature of the completions; their log-probabilities are at temperature 1. */
  temperature: number;
}

export class PairExperience implements ExperienceMaker {
  readonly reads: ColumnSpecs = {};
  readonly completions = 2;
  /** The loss uses it. */
  readonly usesReference = false;
  readonly identity: unknown;

  constructor(
    private readonly labeler: PairLabeler,
    private readonly settings: PairSettings,
  ) {
    this.identity = labeler.identity;
  }

  async make(samples: Samples, _context: StepContext, options: MakeOptions): Promise<Experience> {
    const start = performance.now();
    const { better, rewards, metrics } = await this.labeler.label(samples, options);
    const examples = samples.examples.map(({ prompt, completions: [first = [], second = []] }, p) => ({
      prompt,
      completions: better[p] === 1 ? [second, first] : [first, second],
      columns: {},
    }));
    const undecided = better.map((index) => index === UNDECIDED);
    return {
      examples,
      silent: undecided,
      metrics: { ...metrics, pairs_undecided: undecided.filter(Boolean).length },
      rewards,
      // 1 for the better completion, −1 for the other one.
      advantages: better.flatMap((index) => (index === UNDECIDED ? [0, 0] : index === 0 ? [1, -1] : [-1, 1])),
      seconds: { rewarding: (performance.now() - start) / 1000, scoring: 0 },
    };
  }

  rehearse(gpu: Gpu, examples: readonly TokenizedExample[]): void {
    this.labeler.rehearse?.(gpu, examples);
  }

  /** TRL's metrics of the objective, and `objective` for J if the completions are samples of the policy itself. */
  derive(means: Metrics, metrics: Metrics): Metrics {
    const { beta, temperature } = this.settings;
    const { 'logps/chosen': chosen, 'logps/rejected': rejected } = means;
    const { 'log_ratio/chosen': ofChosen, 'log_ratio/rejected': ofRejected } = means;
    if (chosen === undefined || rejected === undefined) return { beta };
    if (ofChosen === undefined || ofRejected === undefined) return { beta };
    const kl = (ofChosen + ofRejected) / 2;
    const scores = metrics['objective/scores'];
    const ended = metrics['completions/clipped_ratio'];
    return {
      beta,
      'objective/kl': kl,
      'objective/entropy': -(chosen + rejected) / 2,
      // Never −0, which a checkpoint would not preserve.
      'objective/non_score_reward': 0 - beta * kl,
      ...(scores === undefined ? {} : { 'objective/rlhf_reward': scores - beta * kl }),
      ...(ended === undefined ? {} : { 'val/contain_eos_token': 1 - ended }),
      ...(temperature === 1 ? { 'kl/sequence': kl } : {}),
      ...(temperature === 1 && scores !== undefined ? { objective: scores - beta * kl } : {}),
    };
  }

  save(): Json | undefined {
    return this.labeler.save?.();
  }

  restore(saved: Json): void {
    this.labeler.restore?.(saved);
  }
}
