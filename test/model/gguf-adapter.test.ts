/** GGUF adapters: the same bytes as gguf-py's, and what a reader of the format finds in them. */
import { expect } from 'chai';
import { memoryFiles } from '../../src/io/files.ts';
import { type Adapter, readAdapter } from '../../src/io/peft.ts';
import { describeModel, type ModelDescription } from '../../src/model/description.ts';
import { ggufAdapter } from '../../src/model/gguf-adapter.ts';
import exports from '../fixtures/exports.json' with { type: 'json' };
import { expectRefused } from '../io/refused.ts';
import { tinyLlama, tinyLlamaAdapter, tinyLlamaTied } from '../reference/fixtures.ts';

const folder = (files: ReadonlyMap<string, Uint8Array>) => memoryFiles(Object.fromEntries(files), 'folder');

describe('gguf-adapter', () => {
  let adapter: Adapter;
  let model: ModelDescription;
  before(async () => {
    adapter = await readAdapter(folder(tinyLlamaAdapter.files));
    model = await describeModel(folder(tinyLlama.files));
  });

  it('equals the file that gguf-py writes, byte for byte', async () => {
    const bytes = ggufAdapter(model, adapter);
    const { tensors } = parseGguf(bytes);
    expect(Object.fromEntries([...tensors].map(([name, { ne }]) => [name, ne]))).to.deep.equal(
      exports.gguf.tensors,
    );
    const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes));
    expect([...digest].map((byte) => byte.toString(16).padStart(2, '0')).join('')).to.equal(
      exports.gguf.sha256,
    );
  });

  it('has the metadata that llama.cpp needs, and scales rsLoRA by α/√r', () => {
    const useRslora = { ...adapter, config: { ...adapter.config, useRslora: true } };
    const { metadata } = parseGguf(ggufAdapter(model, useRslora));
    expect(metadata.get('general.type')).to.equal('adapter');
    expect(metadata.get('general.architecture')).to.equal('llama');
    expect(metadata.get('adapter.type')).to.equal('lora');
    // llama.cpp multiplies by alpha / r.
    const { r, loraAlpha } = adapter.config;
    expect((metadata.get('adapter.lora.alpha') as number) / r).to.be.closeTo(loraAlpha / Math.sqrt(r), 1e-6);
  });

  it('scales B for a layer with its own rank and α, which llama.cpp does not support', () => {
    const module = 'model.layers.1.self_attn.v_proj';
    const { in: width, out } = adapter.weights.get(module)!;
    const a = new Float32Array(2 * width).fill(1);
    const b = Float32Array.from({ length: out * 2 }, (_, i) => i);
    for (const useRslora of [false, true]) {
      const weights = new Map(adapter.weights).set(module, { a, b, r: 2, alpha: 3, in: width, out });
      const config = { ...adapter.config, useRslora };
      const { metadata, tensors } = parseGguf(ggufAdapter(model, { ...adapter, config, weights }));
      const readers = (metadata.get('adapter.lora.alpha') as number) / 2;
      const ours = 3 / (useRslora ? Math.sqrt(2) : 2);
      const { ne, values } = tensors.get('blk.1.attn_v.weight.lora_b')!;
      expect(ne).to.deep.equal([2, out]);
      for (const [i, value] of values.entries()) expect(readers * value).to.be.closeTo(ours * i, 1e-5 * i);
      expect(tensors.get('blk.1.attn_v.weight.lora_a')!.ne).to.deep.equal([width, 2]);
    }
  });

  it('reorders the rows of q and k from halves to pairs, head by head, and no others', () => {
    const { tensors } = parseGguf(ggufAdapter(model, adapter));
    const { r } = adapter.config;
    for (const [module, name, headDim] of [
      ['self_attn.q_proj', 'attn_q', 8],
      ['self_attn.k_proj', 'attn_k', 8],
      ['self_attn.v_proj', 'attn_v', 1],
    ] as const) {
      const { b, out } = adapter.weights.get(`model.layers.1.${module}`)!;
      const found = tensors.get(`blk.1.${name}.weight.lora_b`)!.values;
      for (let row = 0; row < out; row++) {
        const head = row - (row % headDim);
        const place = row % headDim;
        // Dimension d < n/2 of a head is rotated with d + n/2; llama.cpp stores the two next to each other.
        const at = headDim === 1 ? row : head + (place % 4) * 2 + Math.floor(place / 4);
        expect([...found.subarray(at * r, (at + 1) * r)], `${name} ${row}`).to.deep.equal([
          ...b.subarray(row * r, (row + 1) * r),
        ]);
      }
    }
  });

  it('refuses an adapter of another model, by name', async () => {
    const other = await describeModel(folder(tinyLlamaTied.files));
    await expectRefused(
      () => ggufAdapter(other, adapter, 'mine'),
      'mine',
      'does not fit the model',
      'tiny-llama',
    );
  });
});

/** A reader of the format, for what is written here. */
function parseGguf(bytes: Uint8Array<ArrayBuffer>) {
  const view = new DataView(bytes.buffer);
  let at = 0;
  const step = (size: number) => {
    at += size;
    return at - size;
  };
  const uint32 = () => view.getUint32(step(4), true);
  const uint64 = () => Number(view.getBigUint64(step(8), true));
  const text = (length = uint64()) => {
    const from = step(length);
    return new TextDecoder().decode(bytes.subarray(from, at));
  };
  expect(text(4)).to.equal('GGUF');
  expect(uint32()).to.equal(3);
  const counts = { tensors: uint64(), metadata: uint64() };
  const metadata = new Map<string, string | number>();
  for (let i = 0; i < counts.metadata; i++) {
    const key = text();
    const type = uint32();
    metadata.set(key, type === 8 ? text() : type === 6 ? view.getFloat32(step(4), true) : uint32());
  }
  const table = Array.from({ length: counts.tensors }, () => {
    const name = text();
    const ne = Array.from({ length: uint32() }, uint64);
    expect(uint32(), 'F32').to.equal(0);
    return { name, ne, offset: uint64() };
  });
  const start = Math.ceil(at / 32) * 32;
  const tensors = new Map(
    table.map(({ name, ne, offset }) => {
      expect(offset % 32).to.equal(0);
      const values = new Float32Array(
        bytes.buffer,
        start + offset,
        ne.reduce((a, b) => a * b, 1),
      );
      return [name, { ne, values }] as const;
    }),
  );
  return { metadata, tensors };
}
