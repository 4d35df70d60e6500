/**
 * Every trainer compared with TRL's own run of it: eight steps on the same rows from the same adapter, metric by metric.
 */
import { expect } from 'chai';
import { Tokenizer } from '../../src/data/tokenizer.ts';
import { memoryFiles } from '../../src/io/files.ts';
import type { CausalLM } from '../../src/model/causal-lm.ts';
import { CPOTrainer } from '../../src/train/cpo-trainer.ts';
import { DPOTrainer } from '../../src/train/dpo-trainer.ts';
import type { Metrics } from '../../src/train/events.ts';
import { KTOTrainer } from '../../src/train/kto-trainer.ts';
import { ORPOTrainer } from '../../src/train/orpo-trainer.ts';
import { SFTTrainer } from '../../src/train/sft-trainer.ts';
import type { Trainer } from '../../src/train/trainer.ts';
import type { TrainerOptions } from '../../src/train/training-task.ts';
import trlRuns from '../fixtures/trl-runs.json' with { type: 'json' };
import { loadFixture, productAdapter } from '../model/tiny.ts';
import { dpoTrajectory } from '../reference/fixtures.ts';
import { coarseBound } from '../support/coarse.ts';
import { testGpu } from '../support/gpu.ts';

const { pairs } = dpoTrajectory;
const labelled = pairs.map(({ prompt, chosen, rejected }, i) => {
  const desirable = trlRuns.labels[i];
  return { prompt, completion: desirable ? chosen : rejected, desirable };
});
const prompted = pairs.map(({ prompt, chosen }) => ({ prompt, completion: chosen }));

type Args = Record<string, unknown>;
type Start = (common: TrainerOptions & { model: CausalLM }, args: Args) => Trainer | Promise<Trainer>;
const EVALUATED = 8;

const dpo: Start = (common, args) => new DPOTrainer({ ...common, args, trainDataset: pairs }) as never;
const cpo: Start = (common, args) => new CPOTrainer({ ...common, args, trainDataset: pairs }) as never;
const orpo: Start = (common, args) => new ORPOTrainer({ ...common, args, trainDataset: pairs }) as never;
const kto: Start = (common, args) => new KTOTrainer({ ...common, args, trainDataset: labelled }) as never;
const ktoEvaluated: Start = (common, args) =>
  new KTOTrainer({
    ...common,
    args,
    trainDataset: labelled,
    evalDataset: labelled.slice(0, EVALUATED),
  }) as never;
const sft: Start = (common, args) => new SFTTrainer({ ...common, args, trainDataset: prompted }) as never;

// The words in TRL's data: "w17" is token 17.
const words = Object.fromEntries(
  Array.from({ length: 97 }, (_, i) => [['<pad>', '<s>', '</s>'][i] ?? `w${i}`, i]),
);
const wordTokenizer = () =>
  Tokenizer.fromFiles(
    memoryFiles({
      'tokenizer.json': JSON.stringify({
        model: { type: 'WordLevel', vocab: words, unk_token: '<pad>' },
        pre_tokenizer: { type: 'WhitespaceSplit' },
        added_tokens: ['<pad>', '<s>', '</s>'].map((content, id) => ({ id, content, special: true })),
      }),
      'tokenizer_config.json': '{"eos_token":"</s>","pad_token":"<pad>"}',
      'chat_template.jinja': trlRuns.template,
    }),
  );
const assistant: Start = async (common, args) => {
  const trainDataset = trlRuns.conversations.map((completion) => ({ completion }));
  return new SFTTrainer({ ...common, args, trainDataset, processingClass: await wordTokenizer() }) as never;
};

// CPO's and ORPO's `logits` are means over all positions, padding included. SimPO's and ORPO's `logps` are token means.
const OF_ALL_TOKENS = ['logits/chosen', 'logits/rejected'];
const TOKEN_MEANS = [...OF_ALL_TOKENS, 'logps/chosen', 'logps/rejected'];

interface Run {
  start: Start;
  /** Metrics that mean something else in TRL under the same name. */
  unlike?: readonly string[];
  bounds?: Record<string, number>;
  allWeights?: boolean;
}

const RUNS: Partial<Record<keyof typeof trlRuns, Run>> = {
  kto: { start: kto },
  apo_zero_unpaired: { start: kto },
  sft: { start: sft },
  cpo: { start: cpo, unlike: OF_ALL_TOKENS },
  // TRL logs a cross-entropy of 0 if it computes none.
  simpo: { start: cpo, unlike: [...TOKEN_MEANS, 'nll_loss'] },
  'cpo-simpo': { start: cpo, unlike: TOKEN_MEANS },
  orpo: { start: orpo, unlike: TOKEN_MEANS },
  js: { start: dpo },
  alpha: { start: dpo },
  ld: { start: dpo },
  list: { start: dpo },
  // Weights near 1/200 make everything small.
  wpo: { start: dpo, bounds: { loss: 1e-6, grad_norm: 1e-5 } },
  tr: { start: dpo, allWeights: true },
  assistant: { start: assistant },
  'ld-list': { start: dpo },
  'sft-ld-list': { start: dpo },
  'cpo-micro': { start: cpo, unlike: OF_ALL_TOKENS },
  // TRL's is a mean over the micro-batches that have both kinds; ours is the difference of the two logged means.
  'kto-micro': { start: ktoEvaluated, unlike: ['rewards/margins'] },
};

/** Sums of tens of log-probabilities have more rounding errors than a loss, and a norm is not a mean; all is float32. */
const BOUNDS: Record<string, number> = {
  'logps/chosen': 5e-4,
  'logps/rejected': 5e-4,
  grad_norm: 1e-2,
  num_tokens: 0,
};
const BOUND = 1e-4;

/** We name `f_divergence_type` fDivergence, after its meaning. */
const RENAMED: Record<string, string> = { fDivergenceType: 'fDivergence' };

/** TRL's settings under our names. */
function settingsOf(settings: Args): Args {
  const named = Object.entries(settings).map(([name, value]): [string, unknown] => {
    const camel = name.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());
    return [RENAMED[camel] ?? camel, value];
  });
  return { ...Object.fromEntries(named), shuffleDataset: false };
}

interface Recorded {
  settings: Args;
  steps: Args;
  /** After the last step. */
  evaluated?: Record<string, number>;
}

/** Trains, and compares with TRL's run. */
async function follow(
  name: string,
  { start, unlike = [], bounds = BOUNDS, allWeights = false }: Run,
): Promise<void> {
  const { settings, steps, evaluated = {} } = (trlRuns as never as Record<string, Recorded>)[name];
  const expected = steps as Record<string, (number | null)[]>;
  const model = await loadFixture(await testGpu(), undefined, allWeights);
  const { alpha } = dpoTrajectory.lora;
  const peftConfig = allWeights ? null : productAdapter(model, dpoTrajectory.initial(), alpha);
  const trainer = await start({ model, peftConfig }, settingsOf(settings));
  const found: Metrics[] = [];
  for await (const event of trainer.train()) if (event.type === 'step') found.push(event.metrics);
  const ends = Object.keys(evaluated).length > 0 ? await trainer.evaluate() : {};
  for (const [prefixed, value] of Object.entries(evaluated)) {
    const metric = prefixed.replace('eval_', '');
    expect(ends[metric], prefixed).to.be.closeTo(value, coarseBound(metric, BOUNDS[metric] ?? BOUND));
  }
  trainer.dispose();
  model.dispose();

  expect(found).to.have.length(settings.max_steps as number);
  const compared = Object.keys(expected).filter((metric) => !unlike.includes(metric));
  expect(compared).to.include.members(['loss', 'grad_norm']);
  for (const metric of compared) {
    if (metric in found[0] || metric in found[1]) continue;
    expect.fail(`${metric} is in TRL's log and not in ours: ${Object.keys(found[0])}`);
  }
  found.forEach((metrics, i) => {
    const { 'rewards/chosen': chosen, 'rewards/rejected': rejected, 'rewards/margins': margins } = metrics;
    if (rejected !== undefined) expect(margins).to.be.closeTo(chosen - rejected, 1e-6);
    for (const metric of compared) {
      const value = expected[metric][i];
      if (value === null) expect(metrics, `step ${i + 1}`).not.to.have.property(metric);
      else
        expect(metrics[metric], `${metric} of step ${i + 1}`).to.be.closeTo(
          value,
          coarseBound(metric, bounds[metric] ?? BOUNDS[metric] ?? BOUND),
        );
    }
  });
}

describe('trainers compared with TRL', () => {
  for (const [name, run] of Object.entries(RUNS)) {
    it(`${name}: eight steps, metric by metric`, () => follow(name, run));
  }
});
