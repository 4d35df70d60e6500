/** The memory cap while a model loads: a model that exceeds it is refused after its headers, before its weights are read. */
import { expect } from 'chai';
import { MemoryCapError } from '../../src/gpu/errors.ts';
import type { Files } from '../../src/io/files.ts';
import { parseSafetensors, type TensorToWrite, writeSafetensors } from '../../src/io/safetensors.ts';
import { MODEL_WEIGHTS } from '../../src/io/weights.ts';
import { CausalLM, type LoadOptions } from '../../src/model/causal-lm.ts';
import { failureOf } from '../io/refused.ts';
import { tinyLlama, tinyLlamaTied } from '../reference/fixtures.ts';
import { freshGpu } from '../support/gpu.ts';
import { filesOf } from './tiny.ts';

/** The folder, and the bytes of the weights' file that were read from it. */
function counting(files: Files): { files: Files; bytesRead(): number } {
  let read = 0;
  const open: Files['open'] = async (path) => {
    const source = await files.open(path);
    if (path !== MODEL_WEIGHTS) return source;
    return {
      ...source,
      size: source.size,
      name: source.name,
      read: (offset, length) => {
        read += length;
        return source.read(offset, length);
      },
    };
  };
  return { files: { ...files, open }, bytesRead: () => read };
}

/** Bytes before the first tensor of a file of safetensors. */
const headerBytes = (file: Uint8Array<ArrayBuffer>) =>
  8 + Number(new DataView(file.buffer, file.byteOffset).getBigUint64(0, true));

/** Bytes of the pool after a load without a cap: of the weights and their optimizer, and in all. */
async function bytesOf(files: Files, options: LoadOptions): Promise<{ weights: number; all: number }> {
  const gpu = await freshGpu();
  await CausalLM.load(gpu, files, options);
  const { reserved: all } = gpu.memory();
  const tables = gpu.pool.buffers().filter(({ label }) => label === 'rope turns');
  gpu.dispose();
  return { all, weights: tables.reduce((rest, { size }) => rest - size, all) };
}

async function loadUnder(memoryCap: number, files: Files, options: LoadOptions) {
  const gpu = await freshGpu({ memoryCap });
  const before = gpu.memory();
  const source = counting(files);
  const failure = await failureOf(() => CausalLM.load(gpu, source.files, options));
  const after = gpu.memory();
  gpu.dispose();
  return { failure, before, after, bytesRead: source.bytesRead() };
}

const weightsOf = (fixture: Pick<typeof tinyLlama, 'files'>) => fixture.files.get(MODEL_WEIGHTS)!;

/** The tied fixture with its embedding stored as a head too, which is compared with it when the model loads. */
function withBothHeads(): Files {
  const stored = parseSafetensors(weightsOf(tinyLlamaTied), MODEL_WEIGHTS).tensors;
  const tensors = new Map<string, TensorToWrite>(
    [...stored].map(([name, tensor]) => [name, { ...tensor, shape: [...tensor.shape] }] as const),
  );
  tensors.set('lm_head.weight', tensors.get('model.embed_tokens.weight')!);
  return filesOf(tinyLlamaTied, { [MODEL_WEIGHTS]: writeSafetensors(tensors) });
}

describe('model/memory-cap', () => {
  const CASES: readonly [string, Files, LoadOptions, string][] = [
    ['frozen weights', filesOf(tinyLlama), {}, 'smaller dtype'],
    ['weights in another precision', filesOf(tinyLlama), { dtype: 'float16' }, 'smaller dtype'],
    ['weights that train', filesOf(tinyLlama), { trainable: true }, 'Train an adapter'],
    ['a head that is stored twice', withBothHeads(), {}, 'smaller dtype'],
  ];
  for (const [what, files, options, wayOut] of CASES)
    it(`refuses ${what} above the cap before any is read, and takes them within it`, async () => {
      const { weights, all } = await bytesOf(files, options);
      const file = await files.read(MODEL_WEIGHTS);
      const { needed } = (await loadUnder(1, files, options)).failure as MemoryCapError;
      // The pool rounds sizes up, which the check leaves out.
      expect(needed).to.be.within(0.9 * weights, weights);
      const above = await loadUnder(needed - 1, files, options);
      expect(above.failure).to.be.instanceOf(MemoryCapError);
      expect(above.failure).to.include({ needed, cap: needed - 1 });
      expect(String(above.failure)).to.include('fixture needs').and.include(wayOut);
      expect(above.bytesRead).to.be.within(1, headerBytes(file));
      expect(above.after).to.deep.equal(above.before);
      const at = await loadUnder(all, files, options);
      expect(at.failure).to.equal(undefined);
      expect(at.bytesRead).to.be.at.least(file.length - headerBytes(file));
    });
});
