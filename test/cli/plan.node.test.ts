/** `webalign plan`: its bytes are those that the run then holds, and what it says to change does make it fit. */
import { expect } from 'chai';
import { readText } from '../../src/cli/open.ts';
import { EMBEDDED } from '../../src/cli/package.ts';
import { readFixture } from '../support/files.ts';
import { lines, pairs, Workshop } from './workshop.ts';

interface Plan {
  heldBytes: number;
  plannedBytes: number;
  parts: Record<string, number>;
  fits: boolean;
  changes: { change: Record<string, unknown>; bytes: number; fits: boolean }[];
}

describe('cli: plan', function () {
  this.timeout(240_000);
  let workshop: Workshop;
  before(async () => {
    workshop = await Workshop.open();
  });
  after(() => workshop.close());

  /** The same flags for the plan and for the run. */
  async function both(flags: Record<string, string>): Promise<{ plan: Plan; peak: number }> {
    const [, ...run] = workshop.dpo({ '--max-steps': '2', ...flags });
    const out = run.indexOf('--out');
    const planned = await workshop.run(['plan', ...run.filter((_, i) => i !== out && i !== out + 1)]);
    expect(planned.code, planned.stderr).to.equal(0);
    const { code, json, stderr } = await workshop.run(['dpo', ...run]);
    expect(code, stderr).to.equal(0);
    return { plan: planned.json as unknown as Plan, peak: json.peakBytes as number };
  }

  function expectAgreement({ plan, peak }: { plan: Plan; peak: number }): void {
    expect(plan.fits).to.equal(true);
    // The rehearsal is the run: it asks for the same buffers in the same order.
    expect(plan.heldBytes).to.equal(peak);
    expect(Object.values(plan.parts).reduce((a, b) => a + b, 0)).to.equal(plan.heldBytes);
  }

  it('the tiny model: what the run then holds', async () => {
    const agreed = await both({ '--out': workshop.path('tiny') });
    expectAgreement(agreed);
    // Of 22,272 trained numbers gradients and two moments, in buffers of classes up to a quarter too wide.
    const optimizer = 3 * 4 * 22272;
    expect(agreed.plan.parts.optimizer).to.be.within(optimizer, optimizer * 1.3);
  });

  it('the tiny model, all weights', async () => {
    const agreed = await both({ '--out': workshop.path('full'), '--full': '' });
    expectAgreement(agreed);
    expect(agreed.plan.parts).to.not.have.any.keys('adapters');
  });

  it('the tiny model, an adapter that is there', async () => {
    const adapter = workshop.path('adapter');
    for (const name of ['adapter_config.json', 'adapter_model.safetensors']) {
      await workshop.write(`adapter/${name}`, await readFixture(`tiny-llama/adapter/${name}`));
    }
    expectAgreement(await both({ '--out': workshop.path('further'), '--init-adapter': adapter }));
  });

  it('the embedded model', async () => {
    const rows = (await readText(EMBEDDED.train)).split('\n').slice(0, 12);
    const data = await workshop.write('stories.jsonl', lines(rows));
    const flags = { '--model': EMBEDDED.model, '--data': data, '--out': workshop.path('embedded') };
    expectAgreement(await both(flags));
  });

  it('a run longer than its rehearsal: the longest rows count, wherever they are', async () => {
    const long = { prompt: 'the sky', chosen: ' is blue'.repeat(6), rejected: ' is red.'.repeat(6) };
    const args = ['plan', '--model', workshop.path('model'), '--batch-size', '1', '--eval-split', '0'];
    const planned = async (name: string, rows: readonly unknown[]) => {
      const data = await workshop.write(`${name}.jsonl`, lines(rows));
      const { code, json, stderr } = await workshop.run([...args, '--no-shuffle-dataset', '--data', data]);
      expect(code, stderr).to.equal(0);
      return json as unknown as Plan;
    };
    const alone = await planned('alone', [long, long]);
    const last = await planned('last', [...Array(60).fill(pairs(1)[0]), long, long]);
    expect(last.parts.activations).to.be.at.least(alone.parts.activations!);
  });

  it('counts batches that are only scored: for the reference, and of rows held out', async () => {
    const data = await workshop.write('many.jsonl', lines(pairs(60)));
    const args = ['plan', '--model', workshop.path('model'), '--data', data, '--batch-size', '1'];
    const planned = async (size: string) =>
      ((await workshop.run([...args, '--eval-batch-size', size])).json as unknown as Plan).plannedBytes;
    expect(await planned('48')).to.be.above(1.5 * (await planned('1')));
  });

  it('activations in float16, or none: what the run then holds, each less than the one before', async () => {
    const held = [];
    for (const flags of [{}, { '--saved-activations': 'float16' }, { '--gradient-checkpointing': '' }]) {
      const agreed = await both({ '--out': workshop.path(`kept-${held.length}`), ...(flags as object) });
      expectAgreement(agreed);
      held.push(agreed.plan.heldBytes);
    }
    expect(held).to.deep.equal(held.toSorted((a, b) => b - a));
    expect(new Set(held).size).to.equal(3);
    const { code, stderr } = await workshop.run([
      ...['plan', '--model', workshop.path('model'), '--data', workshop.path('pairs.jsonl')],
      ...['--saved-activations', 'float16', '--gradient-checkpointing'],
    ]);
    expect(code).to.not.equal(0);
    expect(stderr).to.include('--gradient-checkpointing').and.include('--saved-activations');
  });

  it('names what would fit where it does not, and says so by its exit code', async () => {
    const args = ['plan', '--model', workshop.path('model'), '--data', workshop.path('pairs.jsonl')];
    const whole = (await workshop.run(args)).json as unknown as Plan;
    const cap = Math.floor(whole.plannedBytes * 0.85);
    const { code, json, stderr } = await workshop.run([...args, '--memory-cap', String(cap)]);
    expect(code).to.equal(1);
    expect(stderr).to.include('over the cap').and.include('--saved-activations float16');
    expect(stderr).to.include('--gradient-checkpointing');
    const { fits, changes } = json as unknown as Plan;
    expect(fits).to.equal(false);
    expect(changes.some((change) => change.fits)).to.equal(true);
    for (const change of changes) expect(change.fits).to.equal(change.bytes <= cap);
  });
});
