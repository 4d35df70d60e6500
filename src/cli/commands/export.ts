/**
 * `webalign export`: adapters as files for others. Several become one, the last one scaled by q.
 */
import { combineAdapters } from '../../io/combine-adapters.ts';
import { readAdapter, writeAdapter } from '../../io/peft.ts';
import { folderFiles, writeFiles } from '../../node/folder.ts';
import { checkedScale } from '../../train/sacpo-trainer.ts';
import { command } from '../command.ts';
import { openRunFolder } from '../run-folder.ts';

export const exportCommand = command({
  name: 'export',
  summary: 'several adapters as one',
  description:
    'Writes adapters that add up, such as the stages of sacpo, as a single PEFT adapter, exact, at the sum of their ' +
    'ranks. With --q the last one counts in part (P-SACPO). Needs no GPU.',
  example: 'export --adapter run/1-reward --adapter run/2-safety --q 0.5 --out half-safe',
  options: ['adapter', 'q', 'out', 'overwrite'],
  required: ['adapter', 'out'],
  defaults: { q: 1 },
  async run({ settings, terminal }) {
    const { adapter: folders, q, out, overwrite } = settings;
    checkedScale(q);
    const folder = await openRunFolder(out, { writes: 'adapter', atOnce: true, overwrite });
    const adapters = await Promise.all(folders.map((folder) => readAdapter(folderFiles(folder))));
    const last = adapters.length - 1;
    const combined = combineAdapters(adapters.map((adapter, i) => ({ adapter, factor: i === last ? q : 1 })));
    await folder.clear();
    await writeFiles(out, writeAdapter(combined));
    const { r, targetModules } = combined.config;
    terminal.print(`${folders.join(' + ')}, the last one times ${q}, written to ${out} with rank ${r}`);
    return { json: { adapters: folders, q, r, targetModules, out } };
  },
});
