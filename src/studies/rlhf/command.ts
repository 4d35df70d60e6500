/**
 * `webalign rlhf`: figure 1 of the DPO paper on the embedded task: reward model and reinforcement learning compared with
 * DPO.
 */
import { basename, dirname } from 'node:path';
import { lockFolder, writeFiles } from 'webalign/node';
import { command } from '../../cli/command.ts';
import { readText, withGpu } from '../../cli/open.ts';
import { EMBEDDED } from '../../cli/package.ts';
import { embeddedFingerprint, heldOutOpenings } from '../shared/embedded.ts';
import { rlhfOf } from './analysis.ts';
import { collect } from './collect.ts';
import { altText, type PageData, rlhfLines, rlhfPage, verdict } from './page.ts';
import { rlhfPlot } from './plot.ts';
import { type Job, keptResults, readResults } from './results.ts';
import { ERRORS, RLHF, RLHF_QUICK } from './task.ts';

const OUT = 'docs/rlhf';
const WORK = 'webalign-out/rlhf';

export const rlhf = command({
  name: 'rlhf',
  summary: 'compares a reward model with RLOO or PPO, and DPO',
  description:
    'Trains a reward model on the pairs of the embedded task and optimizes it with RLOO and PPO, compared with DPO on\n' +
    'the same pairs, and measures learned reward, true reward, KL and objective over the steps. Writes OUT.md and OUT.svg, and\n' +
    `stores every result in OUT (${OUT}): a stopped study continues when it is started again, and unchanged results are\n` +
    'reused. --quick shows the direction in a few minutes. Fails if a method does not increase the learned reward.',
  example: 'rlhf --quick',
  options: ['out', 'work', 'quick'],
  required: [],
  defaults: { work: WORK },
  shown: { out: OUT },
  async run({ settings, terminal, signal }) {
    await using _ = await lockFolder(settings.work);
    const { quick: isQuick = false, work } = settings;
    const { out = isQuick ? WORK : OUT } = settings;
    const task = isQuick ? RLHF_QUICK : RLHF;
    const rows = async (path: string) => (await readText(path)).trimEnd().split('\n');
    const job: Job = {
      task,
      fingerprint: await embeddedFingerprint(),
      openings: await heldOutOpenings(task.openings),
      pairs: await rows(EMBEDDED.train),
      heldOut: (await rows(EMBEDDED.evaluation)).slice(0, task.heldOut).join('\n'),
      out,
      work,
    };
    const kept = await keptResults(job);
    const results =
      (await readResults(kept)) ??
      (await withGpu(terminal, settings, (gpu) => collect(gpu, job, kept, terminal, signal)));
    const found = rlhfOf(results, ERRORS);
    const name = basename(out);
    const page: PageData = { rlhf: found, task, isQuick, openings: job.openings, plot: `${name}.svg` };
    const encode = (text: string) => new TextEncoder().encode(text);
    await writeFiles(dirname(out), {
      [`${name}.svg`]: encode(rlhfPlot(found, altText(found))),
      [`${name}.md`]: encode(rlhfPage(page)),
    });
    for (const line of [...rlhfLines(found), '', ...verdict(found)])
      terminal.print(line.replaceAll('**', ''));
    terminal.print(`Page, plot     ${out}.md, ${out}.svg`);
    const gains = found.roads.every(({ gain: { proxy } }) => proxy.mean > ERRORS * proxy.standardError);
    return { json: { ...found, quick: isQuick, out }, failed: !gains };
  },
});
