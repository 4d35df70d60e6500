/**
 * `report.html` of a run: observes the run, and writes the page after everything else. Without the report, a run
 * writes the same bytes.
 */
import { counted } from '../../base/counted.ts';
import { InputError } from '../../io/errors.ts';
import { writeFiles } from '../../node/folder.ts';
import type { RunPlan, TrainEvent } from '../../train/events.ts';
import type { Trainer } from '../../train/trainer.ts';
import type { Method } from '../method.ts';
import type { OpenModel } from '../open.ts';
import type { Settings } from '../options.ts';
import { REPORT } from '../run-folder.ts';
import type { RunRecord } from '../run-record.ts';
import type { Terminal } from '../terminal.ts';
import type { RunSummary } from '../training.ts';
import { BeforeAfter } from './before-after.ts';
import { JUDGED } from './judged.ts';
import { reportPage } from './page.ts';
import { runReport } from './run-page.ts';
import { chartLibrary } from './uplot.ts';

/** Options of commands that write a report. */
export const REPORT_OPTIONS = ['report', 'reportSamples', 'logCsv'] as const;
/** Number of texts written before and after training. */
export const REPORT_SAMPLES = 4;

type ReportSettings = Pick<Settings, 'report' | 'reportSamples' | 'full' | 'initAdapter'>;

/** The report of a run that is about to start; undefined if it is turned off. */
export function beginReport(
  open: OpenModel,
  method: Method,
  settings: ReportSettings,
  terminal: Terminal,
  signal: AbortSignal,
): RunReport | undefined {
  return settings.report === false ? undefined : new RunReport(open, method, settings, terminal, signal);
}

/** Throws {@link InputError} for an invalid number of texts. */
export function checkReport({ reportSamples = 0 }: Pick<Settings, 'reportSamples'>): void {
  if (Number.isSafeInteger(reportSamples) && reportSamples >= 0) return;
  throw new InputError('--report-samples', `is ${reportSamples}`, 'Give an integer, 0 for no texts');
}

export class RunReport {
  private started = 0;
  private ended = 0;
  private readonly measuring: BeforeAfter;

  constructor(
    private readonly open: OpenModel,
    private readonly method: Method,
    settings: ReportSettings,
    private readonly terminal: Terminal,
    signal: AbortSignal,
  ) {
    const { reportSamples = REPORT_SAMPLES, full = false, initAdapter } = settings;
    this.measuring = new BeforeAfter(open.model, {
      samples: reportSamples,
      writes: JUDGED[method.judged].writes,
      beganWithout: !full && initAdapter === undefined,
      signal,
    });
  }

  /** Receives every event of the run. */
  async see(event: TrainEvent, trainer: Trainer): Promise<void> {
    if (event.type === 'start') this.started = performance.now();
    await this.measuring.see(event, trainer);
    this.ended = performance.now();
  }

  /** Writes the page atomically into the folder of the run, and reports the time it took. */
  async write(
    out: string,
    run: { trainer: Trainer; plan: RunPlan; summary: RunSummary; record: RunRecord },
  ): Promise<void> {
    const { open, method, measuring, terminal } = this;
    const { comparison, problem, seconds } = measuring;
    const data = runReport({
      ...run,
      method,
      tokenizer: open.tokenizer,
      gpu: open.model.gpu,
      comparison,
      problem,
      seconds: { all: (this.ended - this.started) / 1000, report: seconds },
    });
    const page = reportPage(data, await chartLibrary());
    await writeFiles(out, { [REPORT]: new TextEncoder().encode(page) });
    const [texts, rows] = [comparison?.prompts.length ?? 0, comparison?.after.scores.length ?? 0];
    const what = problem
      ? `without before and after: ${problem}`
      : `${counted(texts, 'text')} and ${counted(rows, 'held-out completion')} before and after`;
    terminal.info(`${REPORT}: ${what}; ${seconds.toFixed(1)} s`);
  }
}
