/**
 * `webalign frontier`: reward against KL on the embedded task, figure 2 of the DPO paper (Rafailov et al. 2023). Trains
 * every method of the list, measures its reward and KL, and compares it with best-of-n and with the optimum of Theorem 1,
 * which nothing may exceed.
 */
import { basename, dirname } from 'node:path';
import { lockFolder, writeFiles } from 'webalign/node';
import { LEAST_EFFECTIVE_SAMPLES } from 'webalign/theory';
import { command } from '../../cli/command.ts';
import { readText, withGpu } from '../../cli/open.ts';
import { EMBEDDED } from '../../cli/package.ts';
import { embeddedFingerprint, heldOutOpenings } from '../shared/embedded.ts';
import { checksOf, frontierOf, type MethodPoint, type MethodSamples } from './analysis.ts';
import { collect, type Job, keptResults, readResults } from './collect.ts';
import { readGiven } from './given.ts';
import { altText, frontierLines, frontierPage, verdict } from './page.ts';
import { frontierPlot } from './plot.ts';
import { CONTENDER, CURVE_BETAS, ERRORS, FRONTIER, FRONTIER_QUICK, PRICE, STORIES_PER_PAIR } from './task.ts';

const OUT = 'docs/frontier';
const WORK = 'webalign-out/frontier';

export const frontier = command({
  name: 'frontier',
  summary: 'reward against KL: methods, best-of-n and the optimum',
  description:
    'Trains the embedded model with DPO, related methods and RLOO, measures reward and KL of each, and plots them with the ' +
    'optimum of Theorem 1. Writes OUT.md and OUT.svg and stores every result in the folder OUT: a stopped study continues when ' +
    'it is started again, and unchanged results are reused. --adapter measures a long run of rloo that was made ' +
    'separately, given by its folder. Fails if something exceeds the optimum by more than its error; --quick has too few ' +
    'samples for this check.',
  example: 'frontier --quick',
  options: ['out', 'work', 'adapter', 'quick'],
  required: [],
  defaults: { work: WORK },
  shown: { out: OUT },
  async run({ settings, terminal, signal }) {
    await using _ = await lockFolder(settings.work);
    const { quick = false, out = quick ? WORK : OUT } = settings;
    const task = quick ? FRONTIER_QUICK : FRONTIER;
    const job: Job = {
      task,
      fingerprint: await embeddedFingerprint(),
      openings: await heldOutOpenings(task.openings),
      pairs: (await readText(EMBEDDED.train)).split('\n').slice(0, task.pairs).join('\n'),
      out,
      work: settings.work,
      given: await Promise.all(
        (settings.adapter ?? []).map((folder) => readGiven(folder, task, (line) => terminal.info(line))),
      ),
    };
    const kept = await keptResults(job);
    const work = () => withGpu(terminal, settings, (gpu) => collect(gpu, job, kept, terminal, signal));
    const found = job.given.length === 0 ? await readResults(job, kept) : undefined;
    const { reference, methods } = found ?? (await work());
    const result = frontierOf(
      reference.rewards,
      methods.map(({ entry: { id, family, label }, result }): MethodSamples => {
        const { rewards, logRatios, written, steps, seconds } = result;
        const stories = written ?? Math.round(STORIES_PER_PAIR * task.pairs);
        return { id, family, label, rewards, logRatios, effort: { stories, steps, seconds } };
      }),
      { betas: CURVE_BETAS, leastEffective: LEAST_EFFECTIVE_SAMPLES, price: PRICE },
    );
    const checks = checksOf(result, CONTENDER, ERRORS);
    const adapters = [
      ...new Set([reference, ...methods.map((each) => each.result)].map(({ adapter }) => adapter)),
    ];
    const name = basename(out);
    const page = { frontier: result, checks, task, adapters, plot: `${name}.svg` };
    const encode = (text: string) => new TextEncoder().encode(text);
    await writeFiles(dirname(out), {
      [`${name}.svg`]: encode(frontierPlot(result, altText(result))),
      [`${name}.md`]: encode(frontierPage(page)),
    });
    for (const line of [...frontierLines(result), '', ...verdict(page)])
      terminal.print(line.replaceAll('**', ''));
    terminal.print(`Page, plot     ${out}.md, ${out}.svg`);
    const crosses = checks.crossing.length + checks.crossingBest.length > 0;
    const names = (points: readonly MethodPoint[]) => points.map(({ id }) => id);
    return {
      json: {
        points: result.points,
        bestOfN: result.best.map(({ rewards: _, ...rest }) => rest),
        optimum: result.curve.map(({ logPartitions: _, ...rest }) => rest),
        checks: {
          crossing: names(checks.crossing),
          crossingBest: checks.crossingBest,
          ahead: names(checks.ahead),
        },
        out,
      },
      failed: !quick && crosses,
    };
  },
});
