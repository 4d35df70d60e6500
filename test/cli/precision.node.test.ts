/** `--dtype`: what commands do with it, report of it and record of it. */
import { readFile } from 'node:fs/promises';
import { expect } from 'chai';
import { relativeL2 } from '../reference/compare.ts';
import { lines, Workshop } from './workshop.ts';

describe('cli: --dtype', function () {
  this.timeout(240_000);
  let workshop: Workshop;
  before(async () => {
    workshop = await Workshop.open();
  });
  after(() => workshop.close());

  it('scores in the given precision, and reports the storage formats', async () => {
    const input = await workshop.write('ids.jsonl', lines([{ ids: [5, 17, 3, 80, 41, 9] }]));
    const scored = async (...flags: string[]) => {
      const args = ['logprobs', '--model', workshop.path('model'), '--input', input, ...flags];
      const { code, json, stderr } = await workshop.run(args);
      expect(code, stderr).to.equal(0);
      return { stderr, values: (json.results as { logprobs: number[] }[])[0].logprobs };
    };
    const exact = await scored();
    expect(exact.stderr).to.not.include('Weights:');
    const rounded = await scored('--dtype', 'q8_0');
    expect(rounded.stderr).to.match(/Weights: .*KiB in q8_0, .* in f32, .*KiB in f16/);
    expect(relativeL2(rounded.values, exact.values)).to.be.within(1e-5, 1e-2);
  });

  it('trains on a quantized base as planned, and records it', async () => {
    const run = workshop.dpo({ '--max-steps': '2', '--dtype': 'q4_0', '--out': workshop.path('q4') });
    const out = run.indexOf('--out');
    const planned = await workshop.run([
      'plan',
      ...run.slice(1).filter((_, i) => i + 1 !== out && i !== out),
    ]);
    const { code, json, stderr } = await workshop.run(run);
    expect(code, stderr).to.equal(0);
    expect(stderr).to.include('in q4_0');
    expect(Number(planned.json.plannedBytes) / Number(json.peakBytes)).to.be.within(0.9, 1.1);
    expect(JSON.parse(await readFile(workshop.path('q4/run.json'), 'utf8')).dtype).to.equal('q4_0');

    const hand = [
      'export',
      '--format',
      'trl',
      '--adapter',
      workshop.path('q4'),
      '--out',
      workshop.path('trl'),
    ];
    expect((await workshop.run(hand)).stderr).to.include('kept its base in q4_0');
  });

  it('is suggested if a run does not fit', async () => {
    const args = ['plan', '--model', workshop.path('model'), '--data', workshop.path('pairs.jsonl')];
    const { code, stderr } = await workshop.run([...args, '--memory-cap', '600KiB']);
    expect(code).to.equal(1);
    expect(stderr).to.include('--dtype q8_0');
    const full = await workshop.run([...args, '--memory-cap', '600KiB', '--full']);
    expect(full.stderr).to.not.include('--dtype');
  });

  it('rejects unknown precisions, and any for trained weights', async () => {
    const unknown = await workshop.run(workshop.dpo({ '--dtype': 'int3', '--out': workshop.path('none') }));
    expect(unknown.code).to.not.equal(0);
    expect(unknown.error.message).to.include('--dtype is "int3"').and.include('q8_0');
    const full = workshop.dpo({ '--dtype': 'q8_0', '--full': '', '--out': workshop.path('none') });
    expect((await workshop.run(full)).error.message).to.include('all weights train');
  });
});
