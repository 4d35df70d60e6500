/**
 * Adapters of runs that have ended, on the model beside the one that trains and switched off until one of them writes. A device that
 * was lost takes them with it; they are loaded again when they are asked for.
 */
import { InputError } from 'webalign';
import { memoryFiles } from 'webalign/files';
import { type CausalLM, type LoraAdapter, readAdapter } from 'webalign/models';
import { adapterOf, pastRun } from './history.ts';
import type { PastSide, Side } from './messages.ts';
import { nameAt, placeOf } from './run-names.ts';

interface Loaded {
  name: string;
  adapter: LoraAdapter;
}

export class PastAdapters {
  private model: CausalLM | undefined;
  private readonly loaded = new Map<Side, Loaded>();

  /** The adapter of a past run on this model. Throws `InputError` where the run was deleted, or is of another model. */
  async on(model: CausalLM, side: PastSide): Promise<Loaded> {
    if (this.model !== model) this.loaded.clear();
    this.model = model;
    const known = this.loaded.get(side);
    if (known) return known;
    const { startedAt, step } = placeOf(side);
    const run = await pastRun(startedAt);
    const files = run && (await adapterOf(run, step));
    if (!files) throw new InputError('the run', 'was deleted', 'Choose another writer');
    const adapter = model.loadAdapter(await readAdapter(memoryFiles(files)), side);
    const loaded = { name: nameAt(run, step), adapter };
    this.loaded.set(side, loaded);
    return loaded;
  }
}
