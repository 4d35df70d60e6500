/** `webalign plan`: the run then holds exactly the planned bytes, and the suggested change makes it fit. */
import { expect } from 'chai';
import { readText } from '../../src/cli/open.ts';
import { EMBEDDED } from '../../src/cli/package.ts';
import { readFixture } from '../support/files.ts';
import { lines, pairs, Workshop } from './workshop.ts';

interface Plan {
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
    expect(plan.plannedBytes / peak).to.be.within(0.9, 1.1);
    expect(Object.values(plan.parts).reduce((a, b) => a + b, 0)).to.equal(plan.plannedBytes);
  }

  it('the tiny model: equals the memory of the run', async () => {
    const agreed = await both({ '--out': workshop.path('tiny') });
    expectAgreement(agreed);
    // Gradients and two moments of 22,272 trained numbers, in buffers whose sizes are rounded up by at most a quarter.
    const optimizer = 3 * 4 * 22272;
    expect(agreed.plan.parts.optimizer).to.be.within(optimizer, optimizer * 1.3);
  });

  it('the tiny model, all weights', async () => {
    const agreed = await both({ '--out': workshop.path('full'), '--full': '' });
    expectAgreement(agreed);
    expect(agreed.plan.parts).to.not.have.any.keys('adapters');
  });

  it('the tiny model, an existing adapter', async () => {
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
    expect(last.parts.activations).to.be.at.least(alone.parts.activations);
  });

  it('includes batches that are only scored: for the reference, and of held-out rows', async () => {
    const data = await workshop.write('many.jsonl', lines(pairs(60)));
    const args = ['plan', '--model', workshop.path('model'), '--data', data, '--batch-size', '1'];
    const planned = async (size: string) =>
      ((await workshop.run([...args, '--eval-batch-size', size])).json as unknown as Plan).plannedBytes;
    expect(await planned('48')).to.be.above(1.5 * (await planned('1')));
  });

  it('reports the same plan as the run', async () => {
    const [, ...run] = workshop.dpo({ '--max-steps': '2', '--out': workshop.path('figure') });
    const out = run.indexOf('--out');
    const plan = await workshop.run(['plan', ...run.filter((_, i) => i !== out && i !== out + 1)]);
    const { stderr } = await workshop.run(['dpo', ...run]);
    const [, figure] = /about (.*) of GPU memory/.exec(stderr) ?? [];
    expect(plan.stderr).to.include(`About ${figure} of GPU memory.`);
  });

  it('plans methods with generation, with a reward model on the same base', async () => {
    const data = await workshop.write('prompts.jsonl', lines(pairs(6).map(({ prompt }) => ({ prompt }))));
    const out = workshop.path('scorer');
    const common = ['--model', workshop.path('model'), '--max-steps', '1'];
    const trainer = ['reward-model', ...common, '--data', workshop.path('pairs.jsonl'), '--out', out];
    expect((await workshop.run(trainer)).code).to.equal(0);
    const run = [...common, '--data', data, '--reward', out, '--batch-size', '4', '--num-generations', '4'];
    run.push('--max-completion-length', '12', '--eval-split', '2', '--num-generations-eval', '3');
    const planned = await workshop.run(['plan', '--method', 'rloo', ...run]);
    expect(planned.code, planned.stderr).to.equal(0);
    const { code, json, stderr } = await workshop.run(['rloo', ...run, '--out', workshop.path('rloo')]);
    expect(code, stderr).to.equal(0);
    // Completions that end early need less; `test/train/plan` compares those that do not.
    const { plannedBytes } = planned.json as unknown as Plan;
    expect(plannedBytes / Number(json.peakBytes)).to.be.within(0.9, 1.3);
    const [, figure] = /(about .* of GPU memory)/.exec(stderr) ?? [];
    expect(planned.stderr.toLowerCase()).to.include(String(figure).toLowerCase());
  });

  it('has the options and defaults of the method, and names the method of any other option', async () => {
    const helpOf = async (...args: string[]) => {
      const { stderr } = await workshop.run([...args, '--help']);
      const lines = stderr.split('\n').filter((line) => /^ +--/.test(line));
      return new Map(lines.map((line) => [line.trim().split(' ')[0], line]));
    };
    const own = ['--out', '--resume', '--overwrite', '--profile', '--log-completions', '--method'];
    own.push('--no-report', '--report-samples', '--log-csv');
    for (const method of ['dpo', 'grpo', 'sft']) {
      const [plan, command] = [await helpOf('plan', '--method', method), await helpOf(method)];
      for (const name of own) for (const help of [plan, command]) help.delete(name);
      expect(command.size).to.be.above(20);
      expect(Object.fromEntries(plan), method).to.deep.equal(Object.fromEntries(command));
    }
    const refused = await workshop.run(['plan', '--method', 'sft', '--num-generations', '4']);
    expect(refused.code).to.equal(2);
    expect(refused.stderr).to.include('--num-generations is not an option here: sft does not have it');
    expect(refused.stderr).to.include('rloo');
    const unknown = await workshop.run(['plan', '--method', 'rlo']);
    expect(unknown.stderr).to.include('rloo').and.include('--method');
    expect(unknown.code).to.not.equal(0);
  });

  it('activations in float16, or none: equals the memory of the run, each less than the previous one', async () => {
    const held = [];
    for (const flags of [{}, { '--saved-activations': 'float16' }, { '--gradient-checkpointing': '' }]) {
      const agreed = await both({ '--out': workshop.path(`kept-${held.length}`), ...(flags as object) });
      expectAgreement(agreed);
      held.push(agreed.plan.plannedBytes);
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

  it('lists changes that would fit, and sets its exit code', async () => {
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
