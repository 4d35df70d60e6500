/**
 * `webalign fixed-points`: where each on-policy method converges. Trains a table of logits with every method of the list on
 * the expected gradient and compares J with the policy that theory predicts.
 */
import { basename, dirname } from 'node:path';
import { lockFolder, writeFiles } from 'webalign/node';
import { command } from '../../cli/command.ts';
import { withGpu } from '../../cli/open.ts';
import { goesOn } from '../shared/work-folder.ts';
import { collectFigures, keptFigures, readFigures } from './collect.ts';
import { fixedPointLines, fixedPointsPage, strayed } from './page.ts';

const OUT = 'docs/fixed-points';

export const fixedPoints = command({
  name: 'fixed-points',
  summary: 'where each on-policy method converges, compared with its prediction',
  description:
    'Trains a table of logits by every on-policy method, on two small problems in which all completions can be listed, and ' +
    'compares J with the prediction of theory. Writes OUT.md and stores every result in the folder OUT: unchanged results ' +
    'are not computed again. Fails if a method is not at its predicted fixed point.',
  example: 'fixed-points',
  options: ['out'],
  required: [],
  defaults: { out: OUT },
  async run({ settings, terminal, signal }) {
    const { out } = settings;
    await using _ = await lockFolder(out);
    const kept = await keptFigures(out);
    const train = () => withGpu(terminal, settings, (gpu) => collectFigures(gpu, kept, terminal, signal));
    const rows = (await readFigures(kept)) ?? (await goesOn(train()));
    await writeFiles(dirname(out), {
      [`${basename(out)}.md`]: new TextEncoder().encode(fixedPointsPage(rows)),
    });
    for (const line of fixedPointLines(rows)) terminal.print(line);
    terminal.print(`Page           ${out}.md`);
    const off = strayed(rows).map(({ method }) => method.id);
    const methods = rows.map(({ method, result: { tree, bandit } }) => ({ id: method.id, tree, bandit }));
    return { json: { methods, strayed: off, out }, failed: off.length > 0 };
  },
});
