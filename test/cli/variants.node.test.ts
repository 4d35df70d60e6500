/** `--variant` and `--tune`: what runs, what is reported and recorded of it, and that a tuned machine repeats its runs. */
import { readFile } from 'node:fs/promises';
import { expect } from 'chai';
import { deviceKey } from '../../src/gpu/tuner.ts';
import { requestNodeGpu } from '../../src/node/adapter.ts';
import { nodeTuning } from '../../src/node/tuning.ts';
import { type Outcome, Workshop } from './workshop.ts';

const SECOND = 1000;

describe('cli: kernel variants', function () {
  this.timeout(600 * SECOND); // variants take seconds to compile on a software adapter
  let workshop: Workshop;
  const caches = process.env.XDG_CACHE_HOME;
  before(async () => {
    workshop = await Workshop.open();
    process.env.XDG_CACHE_HOME = workshop.path('caches');
  });
  after(() => {
    if (caches === undefined) delete process.env.XDG_CACHE_HOME;
    else process.env.XDG_CACHE_HOME = caches;
    return workshop.close();
  });

  const train = (out: string, options: Record<string, string>) =>
    workshop.run(workshop.dpo({ '--max-steps': '2', '--out': workshop.path(out), ...options }));
  const namesIn = ({ json }: Outcome) => new Set(Object.values(json.variants as Record<string, string>));
  const adapterOf = (out: string) => readFile(workshop.path(`${out}/adapter_model.safetensors`));

  it('runs the requested variant, and records it', async () => {
    const outcome = await train('staged', { '--variant': 'workgroup' });
    expect(outcome.code, outcome.stderr).to.equal(0);
    expect([...namesIn(outcome)]).to.deep.equal(['workgroup']);
    const record = JSON.parse(await readFile(workshop.path('staged/run.json'), 'utf8'));
    expect(record.variants).to.deep.equal(outcome.json.variants);
  });

  it('measures unknown classes with a notice, and repeats a run byte for byte', async () => {
    // All classes but one are known: measuring all of them takes a software adapter a minute of compiling.
    const record = JSON.parse(await readFile(workshop.path('staged/run.json'), 'utf8'));
    const classes = Object.keys(record.variants);
    const open = classes.find((name) => name.startsWith('product nn'))!;
    const known = Object.fromEntries(
      classes.filter((name) => name !== open).map((name) => [name, 'register']),
    );
    const { info } = (await (await requestNodeGpu()).gpu.requestAdapter())!;
    const device = deviceKey(info, nodeTuning());
    expect(device).to.include('webgpu ').and.include('webalign ');
    const file = await workshop.write('caches/webalign/kernels.json', JSON.stringify({ [device]: known }));

    const first = await train('first', { '--tune': 'on' });
    expect(first.code, first.stderr).to.equal(0);
    expect(first.stderr).to.match(/^Tuned 1 shape in [\d.]+ s; choices: /m);
    const kept = JSON.parse(await readFile(file, 'utf8'));
    expect(kept[device]).to.include(known).and.have.property(open);

    const second = await train('second', { '--tune': 'on' });
    expect(second.stderr).to.not.include('Tuned');
    expect(second.json.variants).to.deep.equal(first.json.variants);
    expect(await adapterOf('second')).to.deep.equal(await adapterOf('first'));
  });

  it('rejects an unknown variant, with the supported ones', async () => {
    const { code, stderr } = await train('none', { '--variant': 'fastest' });
    expect(code).to.equal(1);
    expect(stderr).to.include('fastest').and.include('register').and.include('workgroup');
    const wrong = await train('none', { '--tune': 'maybe' });
    expect(wrong.code).to.equal(2);
    expect(wrong.stderr).to.include('on or off');
  });
});
