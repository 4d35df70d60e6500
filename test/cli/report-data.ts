/** The data of a small run, as the report gets it. */
import { type AlignReport, alignReport } from '../../src/cli/report/align-page.ts';
import type { ReportData } from '../../src/cli/report/page.ts';
import { sentiment } from '../../src/rollout/sentiment.ts';

/** The page of a small run of align. */
export function reportData(text?: string): ReportData {
  return alignReport(alignRun(text));
}

export function alignRun(text = ' She was happy.'): AlignReport {
  const story = (written: string) => ({
    prompt: [1],
    ids: [2],
    finished: 'length' as const,
    text: written,
    sentiment: sentiment(written),
  });
  const metrics = (step: number) => ({
    loss: 0.7 - step / 20,
    'rewards/margins': step / 4,
    'rewards/accuracies': 0.5 + step / 10,
    'log_ratio/chosen': step / 8,
  });
  const held = Object.fromEntries(Object.entries(metrics(4)).map(([name, value]) => [`eval_${name}`, value]));
  return {
    summary: {
      steps: 4,
      pairs: 8,
      tokens: 512,
      loss: { first: 0.69, last: 0.5 },
      eval: { loss: 0.5, 'rewards/accuracies': 0.9, 'rewards/margins': 1, 'log_ratio/chosen': 0.5 },
      tokensPerSecond: 100,
      peakBytes: 2 ** 20,
      adapter: { vendor: 'v', architecture: 'a', software: true },
      variants: { 'product nt f32 some 128 128': 'register', 'product tn 128 16 some': 'register' },
      advice: [],
      out: 'out',
    },
    log: [
      ...[1, 2, 3, 4].map((step) => ({
        type: 'step' as const,
        step,
        epoch: step / 4,
        metrics: metrics(step),
      })),
      { type: 'evaluate', step: 4, metrics: held },
    ],
    evalPairs: 2,
    openings: [`Tom <b>saw</b> a cat${text}`, 'Sue had a ball.'],
    before: [story(' He was sad.'), story(' She cried.')],
    after: [story(text), story(' She loved it.')],
    shown: 2,
    kl: { mean: 2, standardError: 0.1 },
    samples: {
      before: { fluency: -2, distinct3: 0.9, length: 40, ended: 0.1 },
      after: { fluency: -1.5, distinct3: 0.8, length: 30, ended: 0.25 },
    },
    seconds: 61,
    parameters: 1000,
    config: { beta: 0.5, targetModules: ['q_proj'] },
    defaults: { beta: 0.1, targetModules: ['q_proj'] },
    gpu: { adapter: { vendor: 'v', architecture: 'a', description: text, software: true, features: [] } },
  };
}
