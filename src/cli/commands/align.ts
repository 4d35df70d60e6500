/**
 * `webalign align`: the complete example. The embedded model writes stories, learns from pairs of
 * its own stories to prefer the happier ones, and writes again. Prints the difference, and writes an adapter and a report.
 */
import { counted } from '../../base/counted.ts';
import { PREFERENCES, type PreferenceRow } from '../../data/preference-dataset.ts';
import { writeAdapter } from '../../io/peft.ts';
import type { CausalLM } from '../../model/causal-lm.ts';
import { folderFiles, writeFiles } from '../../node/folder.ts';
import { DPO_DEFAULTS, LORA_DEFAULTS } from '../../train/config.ts';
import { adviceOn } from '../../train/measures/advice.ts';
import { TRL_NAMES } from '../../train/settings/trl-names.ts';
import { ALIGN_LORA, ALIGN_QUICK, ALIGN_SAMPLING, ALIGN_SHOWN, ALIGN_TRAINING } from '../align-task.ts';
import { inColumns } from '../columns.ts';
import { command } from '../command.ts';
import { type Continuation, continueOpenings } from '../continuations.ts';
import { readStories } from '../divergences.ts';
import { flagOf } from '../flags.ts';
import { checkMethod, methodOptions } from '../method.ts';
import { DPO } from '../methods.ts';
import { openModel, readRows, recordedModel, withGpu } from '../open.ts';
import { LORA_OPTIONS } from '../options.ts';
import { EMBEDDED } from '../package.ts';
import { alignReport } from '../report/align-page.ts';
import { reportPage } from '../report/page.ts';
import { TEXT_FIGURES, withCut } from '../report/text-figures.ts';
import { chartLibrary } from '../report/uplot.ts';
import { openRunFolder, REPORT, RUN_RECORD } from '../run-folder.ts';
import { recordedChanges, writeRunRecord } from '../run-record.ts';
import { errorOfDifference, estimate } from '../statistics.ts';
import type { Terminal } from '../terminal.ts';
import { logFiles } from '../trainer-state.ts';
import { figuresOf, runTraining } from '../training.ts';
import { percent } from '../training-lines.ts';

const OUT = 'webalign-out';

export const align = command({
  name: 'align',
  summary: 'the complete example on the embedded model: measure, train, measure again',
  description:
    'Trains the embedded story model with DPO to write happier stories, and shows samples and mean sentiment before and\n' +
    `after. Writes a PEFT adapter and report.html. Without --out it writes to ./${OUT} and replaces the files of an\n` +
    'earlier run there; --resume continues that run instead.',
  example: 'align --out adapter --seed 1',
  options: ['dtype', 'out', 'quick', 'resume', 'overwrite', 'logCsv', ...methodOptions(DPO), ...LORA_OPTIONS],
  required: [],
  defaults: { dtype: EMBEDDED.dtype, ...ALIGN_TRAINING, ...ALIGN_LORA },
  reasons: TRL_NAMES,
  async run({ settings, terminal, signal }) {
    const { dtype, out = OUT, quick = false, resume } = settings;
    checkMethod(DPO, settings);
    const overwrite = settings.overwrite ?? (settings.out === undefined && !resume);
    const [train, evaluation] = await Promise.all([pairsOf(EMBEDDED.train), pairsOf(EMBEDDED.evaluation)]);
    await using folder = await openRunFolder(out, { writes: 'adapter', resume, overwrite });
    const job = {
      method: DPO,
      train: quick ? train.slice(0, ALIGN_QUICK.pairs) : train,
      evaluation: quick ? evaluation.slice(0, ALIGN_QUICK.heldOut) : evaluation,
      settings: quick ? { ...settings, maxSteps: ALIGN_QUICK.maxSteps } : settings,
      folder,
    };
    const openings = evaluation
      .slice(0, quick ? ALIGN_QUICK.openings : ALIGN_SAMPLING.openings)
      .map(({ prompt }) => prompt as string);

    const files = folderFiles(EMBEDDED.model);
    return await withGpu(terminal, settings, async (gpu) => {
      const started = performance.now();
      const open = await openModel(gpu, files, { dtype, onNotice: (line) => terminal.info(line) });
      const { maxNewTokens, temperature, seed } = ALIGN_SAMPLING;
      const write = () =>
        continueOpenings(open.model, open.tokenizer, openings, { maxNewTokens, temperature, seed, signal });
      terminal.info(`Writing ${openings.length} stories before training`);
      const before = await write();
      const { trainer, plan, json: summary } = await runTraining(open, job, terminal, signal);
      terminal.info(`Writing ${openings.length} stories after training`);
      const after = await write();
      const { samples, ratios } = await readStories(open, { before, after }, signal);
      const kl = estimate(ratios);
      const found = adviceOn({ ...figuresOf(trainer, plan), samples });
      const advice = found.map(({ sentence }) => sentence.toString(flagOf));

      const reward = {
        before: estimate(before.map((story) => story.sentiment)),
        after: estimate(after.map((story) => story.sentiment)),
      };
      const standardError = errorOfDifference(reward.before, reward.after);
      const seconds = (performance.now() - started) / 1000;
      const page = reportPage(
        alignReport({
          summary,
          log: trainer.logHistory,
          evalPairs: plan.evalExamples,
          openings,
          before,
          after,
          shown: ALIGN_SHOWN,
          kl,
          samples,
          seconds,
          parameters: parametersOf(open.model),
          config: { dtype, ...trainer.config, ...trainer.adapter?.config },
          defaults: { ...DPO_DEFAULTS, ...LORA_DEFAULTS },
          gpu,
        }),
        await chartLibrary(),
      );
      const record = writeRunRecord({
        method: DPO.name,
        ...recordedModel(files),
        dtype,
        data: EMBEDDED.train,
        evalData: EMBEDDED.evaluation,
        evalSplit: 0,
        rows: { train: job.train.length, evaluation: job.evaluation.length },
        settings: trainer.config,
        ...recordedChanges(trainer.changes),
        lora: trainer.adapter?.config ?? null,
        variants: plan.variants,
      });
      await writeFiles(out, { [RUN_RECORD]: record, ...logFiles(trainer, plan.totalSteps, settings) });
      if (trainer.adapter) await writeFiles(out, writeAdapter(await trainer.adapter.toAdapter()));
      await writeFiles(out, { [REPORT]: new TextEncoder().encode(page) });
      trainer.dispose();

      showStories(openings, before, after, terminal);
      const rise = reward.after.mean - reward.before.mean;
      terminal.print(
        `Mean sentiment     ${plusMinus(reward.before)} before, ${plusMinus(reward.after)} after: ${(rise / standardError).toFixed(1)} standard errors`,
      );
      terminal.print(
        `Held-out accuracy  ${percent(summary.eval?.['rewards/accuracies'], 1)} of ${counted(plan.evalExamples, 'pair')}`,
      );
      terminal.print(`KL to the model    ${plusMinus(kl)} nats per story`);
      for (const { key, name, show, note } of TEXT_FIGURES) {
        terminal.print(
          `${name.padEnd(19)}${show(samples.before[key])} before, ${show(samples.after[key])} after: ${note}`,
        );
      }
      for (const line of advice) terminal.print(line);
      terminal.print(`Adapter, report    ${out}, after ${seconds.toFixed(0)} s`);
      return {
        json: {
          ...summary,
          reward: { before: reward.before.mean, after: reward.after.mean, standardError },
          kl,
          samples,
          advice,
          seconds,
        },
      };
    });
  },
});

function pairsOf(path: string): Promise<PreferenceRow[]> {
  return readRows(path, PREFERENCES);
}

/** The first stories in two columns. */
function showStories(
  openings: readonly string[],
  before: readonly Continuation[],
  after: readonly Continuation[],
  terminal: Terminal,
): void {
  const cell = (story: Continuation | undefined) =>
    story ? `[${signed(story.sentiment)}]${withCut(story.text.replace(/\s+/g, ' '), story.finished)}` : '';
  terminal.print('');
  for (const [i, opening] of openings.slice(0, ALIGN_SHOWN).entries()) {
    terminal.print(opening);
    terminal.print(`${inColumns(cell(before[i]), cell(after[i]), terminal.width)}\n`);
  }
}

function parametersOf({ config, linears, head }: CausalLM): number {
  let count =
    head.length * (config.tieWordEmbeddings ? 1 : 2) + config.hiddenSize * (2 * config.numHiddenLayers + 1);
  for (const { in: inputs, out } of linears.values()) count += inputs * out;
  return count;
}

function plusMinus({ mean, standardError }: { mean: number; standardError: number }): string {
  return `${mean.toFixed(2)} ± ${standardError.toFixed(2)}`;
}

function signed(value: number): string {
  return `${value > 0 ? '+' : value < 0 ? '−' : ''}${Math.abs(value)}`;
}
