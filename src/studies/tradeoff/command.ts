/**
 * `webalign tradeoff`: the cost of a second criterion to the first, on the embedded task.
 */
import { basename, dirname } from 'node:path';
import { readPreferenceRows } from 'webalign';
import { lockFolder, writeFiles } from 'webalign/node';
import { command } from '../../cli/command.ts';
import { readText, withGpu } from '../../cli/open.ts';
import { EMBEDDED } from '../../cli/package.ts';
import { embeddedFingerprint, heldOutOpenings } from '../shared/embedded.ts';
import { checksOf, tradeoffOf } from './analysis.ts';
import { collect, type Job, keptResults, readResults, relabelled } from './collect.ts';
import { altText, type PageData, tradeoffLines, tradeoffPage, verdict } from './page.ts';
import { tradeoffPlot } from './plot.ts';
import { ERRORS, TRADEOFF, TRADEOFF_QUICK } from './task.ts';

const OUT = 'docs/sacpo';
const WORK = 'webalign-out/tradeoff';

export const tradeoff = command({
  name: 'tradeoff',
  summary: 'two criteria in tension: in steps, by q, and at once',
  description:
    'Aligns the embedded model to happy stories and then to calm ones (SACPO), scales the second stage by q, trains on\n' +
    `both at once for comparison, and measures all. Writes OUT.md and OUT.svg, and stores every result in OUT (${OUT}):\n` +
    'a stopped study continues when it is started again, and unchanged results are reused. Fails if calm does not\n' +
    'increase, if q does not interpolate between the stages, or if the first stage changed; --quick has too few\n' +
    'samples for these checks.',
  example: 'tradeoff --quick',
  options: ['out', 'work', 'quick'],
  required: [],
  defaults: { work: WORK },
  async run({ settings, terminal, signal }) {
    await using _ = await lockFolder(settings.work);
    const { quick = false, out = quick ? WORK : OUT } = settings;
    const task = quick ? TRADEOFF_QUICK : TRADEOFF;
    // Without their positions in a file, which are not part of their content.
    const reward = readPreferenceRows(await readText(EMBEDDED.train), EMBEDDED.train)
      .slice(0, task.pairs)
      .map(({ prompt, chosen, rejected }) => ({ prompt, chosen, rejected }));
    const calm = relabelled(reward);
    const job: Job = {
      task,
      fingerprint: await embeddedFingerprint(),
      openings: await heldOutOpenings(task.openings),
      reward,
      calm,
      out,
      work: settings.work,
    };
    const kept = await keptResults(job);
    const results =
      (await readResults(kept)) ??
      (await withGpu(terminal, settings, (gpu) => collect(gpu, job, kept, terminal, signal)));
    const tradeoff = tradeoffOf(results);
    const checks = checksOf(tradeoff, results, ERRORS);
    const all = [results.base, results.reward, ...results.scaled.map(({ of }) => of), results.both];
    const name = basename(out);
    const page: PageData = {
      tradeoff,
      checks,
      task,
      pairs: {
        reward: reward.length,
        calm: calm.length,
        opposed: calm.filter((row) => !reward.includes(row)).length,
      },
      adapters: [...new Set(all.map(({ adapter }) => adapter))],
      plot: `${name}.svg`,
    };
    const encode = (text: string) => new TextEncoder().encode(text);
    await writeFiles(dirname(out), {
      [`${name}.svg`]: encode(tradeoffPlot(tradeoff, altText(tradeoff))),
      [`${name}.md`]: encode(tradeoffPage(page)),
    });
    for (const line of [...tradeoffLines(tradeoff), '', ...verdict(page)])
      terminal.print(line.replaceAll('**', ''));
    terminal.print(`Page, plot     ${out}.md, ${out}.svg`);
    const { calmer, back, untouched } = checks;
    return {
      json: { ...tradeoff, checks, out },
      failed: !quick && !(calmer && back.length === 0 && untouched),
    };
  },
});
