/** Rotary tables grow with the longest sequence, are shared by layers with the same frequencies, and are released. */
import { expect } from 'chai';
import { parseConfig } from '../../src/io/config.ts';
import { DIALECTS } from '../../src/model/architectures.ts';
import { rotaryFrequencies } from '../../src/model/rotary.ts';
import { RotaryTables } from '../../src/model/rotary-tables.ts';
import { ropeTable } from '../../src/ops/rope.ts';
import gemma3 from '../fixtures/architectures/gemma3.json' with { type: 'json' };
import { testGpu } from '../support/gpu.ts';

const LIMIT = 2000;
const config = parseConfig({ ...gemma3.config, max_position_embeddings: LIMIT }, 'config.json', DIALECTS);
const bases = new Set(config.layers.map(({ rotary }) => rotary!.theta));

describe('rotary-tables', () => {
  it("has a table per set of frequencies, as long as the longest sequence, up to the model's limit", async () => {
    const gpu = await testGpu();
    const before = gpu.memory().live;
    const tables = new RotaryTables(gpu, config);
    for (const [length, rows] of [
      [1, 256],
      [256, 256],
      [257, 512],
      [100, 512],
      [1500, LIMIT],
    ] as const) {
      const found = config.layers.map((_, layer) => tables.ofLayer(layer, length));
      expect(new Set(found).size).to.equal(bases.size).and.to.equal(2);
      for (const [layer, table] of found.entries()) {
        expect(table!.shape).to.deep.equal([rows, config.headDim / 2, 2]);
        const { rotary } = config.layers[layer];
        expect(await table!.toArray(gpu)).to.deep.equal(
          ropeTable(rows, rotaryFrequencies(config.headDim, rotary!)),
        );
      }
    }
    tables.dispose();
    expect(gpu.memory().live).to.equal(before);
  });
});
