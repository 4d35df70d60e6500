/**
 * `webalign tradeoff`: what a second criterion costs the first, on the embedded task.
 */
import { readPreferenceRows } from '../../data/preference-dataset.ts';
import { contentHash } from '../../io/hash.ts';
import { folderFiles } from '../../node/folder.ts';
import { command } from '../command.ts';
import { readText, withGpu } from '../open.ts';
import { EMBEDDED } from '../package.ts';
import { collect, type Job, keptResults, readResults, relabelled } from '../tradeoff/collect.ts';
import { TRADEOFF, TRADEOFF_QUICK } from '../tradeoff/task.ts';

const OUT = 'docs/sacpo';
const WORK = 'webalign-out/tradeoff';

export const tradeoff = command({
  name: 'tradeoff',
  summary: 'two criteria in tension: in steps, by q, and at once',
  description:
    'Aligns the embedded model to glad stories and then to calm ones (SACPO), scales the second stage by q, trains on\n' +
    `both at once for comparison, and measures all. Writes OUT.md and OUT.svg, and keeps every result in OUT (${OUT}):\n` +
    'stopped, it goes on when it is started again, and what has not changed is drawn only. Fails where calm does not\n' +
    'rise, where q does not move between the stages, or where the first stage was touched; with --quick there is too\n' +
    'little to tell.',
  example: 'tradeoff --quick',
  options: ['out', 'work', 'quick'],
  required: [],
  defaults: { work: WORK },
  async run({ settings, terminal, signal }) {
    const { quick = false, out = quick ? WORK : OUT, memoryCap } = settings;
    const task = quick ? TRADEOFF_QUICK : TRADEOFF;
    const [train, held] = await Promise.all([readText(EMBEDDED.train), readText(EMBEDDED.evaluation)]);
    const reward = readPreferenceRows(train, EMBEDDED.train).slice(0, task.pairs);
    const job: Job = {
      task,
      fingerprint: await fingerprint(EMBEDDED.model),
      openings: readPreferenceRows(held, EMBEDDED.evaluation)
        .slice(0, task.openings)
        .map(({ prompt }) => prompt as string),
      reward,
      calm: relabelled(reward),
      out,
      work: settings.work,
    };
    const kept = await keptResults(job);
    if (!(await readResults(kept)))
      await withGpu(terminal, memoryCap, (gpu) => collect(gpu, job, kept, terminal, signal));
    return { json: {} };
  },
});

/** Hash of a model's folder, for which no device is needed. */
async function fingerprint(path: string): Promise<string> {
  const files = folderFiles(path);
  const names = ['config.json', 'generation_config.json', 'model.safetensors', 'tokenizer.json'];
  return contentHash(...(await Promise.all(names.map((name) => files.read(name)))));
}
