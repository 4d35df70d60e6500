/** `webalign dpo` as a whole: what it writes, that two runs write the same, and that an interrupted run resumes exactly. */
import { readdir, readFile, stat } from 'node:fs/promises';
import { expect } from 'chai';
import { Gpu } from '../../src/gpu/device.ts';
import { readAdapter } from '../../src/io/peft.ts';
import { parseSafetensors } from '../../src/io/safetensors.ts';
import { folderFiles } from '../../src/node/folder.ts';
import { tinyLlama } from '../reference/fixtures.ts';
import { lines, Workshop } from './workshop.ts';

const STEPS = { '--max-steps': '12', '--save-steps': '1' };
const SECOND = 1000;

describe('cli: dpo', function () {
  this.timeout(240 * SECOND);
  let workshop: Workshop;
  before(async () => {
    workshop = await Workshop.open();
  });
  after(() => workshop.close());

  const adapterBytes = async (out: string) => readFile(`${workshop.path(out)}/adapter_model.safetensors`);

  it('trains, evaluates, writes an adapter, and reports it as JSON', async () => {
    const out = workshop.path('whole');
    const { code, json, stdout, stderr } = await workshop.run(workshop.dpo({ ...STEPS, '--out': out }));
    expect(code, stderr).to.equal(0);
    expect(stdout.trimEnd().split('\n')).to.have.length(1);
    expect(json).to.have.all.keys(
      'steps',
      'pairs',
      'tokens',
      'loss',
      'eval',
      'tokensPerSecond',
      'peakBytes',
      'adapter',
      'variants',
      'advice',
      'out',
    );
    expect(json).to.include({ steps: 12, pairs: 10, out });
    expect(json.loss).to.have.all.keys('first', 'last');
    expect((json.loss as { first: number }).first).to.be.closeTo(Math.LN2, 1e-6);
    expect(json.eval).to.have.all.keys(
      'loss',
      'rewards/accuracies',
      'rewards/margins',
      'log_ratio/chosen',
      'log_ratio/rejected',
    );
    expect(json.adapter).to.have.all.keys('vendor', 'architecture', 'software');
    const { config, weights } = await readAdapter(folderFiles(out));
    expect(config.r).to.equal(16);
    expect(weights.size).to.equal(21);
    expect(stderr).to.include('Held out, after step 12');
  });

  it('rejects the folder of a finished run, unless it may resume or replace it', async () => {
    const out = workshop.path('whole');
    const again = await workshop.run(workshop.dpo({ ...STEPS, '--out': out }));
    expect(again.code).to.equal(1);
    expect(again.stderr)
      .to.include('whole/adapter_config.json')
      .and.include('--resume')
      .and.include('--overwrite');

    const before = await adapterBytes('whole');
    const other = await workshop.run(
      workshop.dpo({ ...STEPS, '--out': out, '--resume': '', '--beta': '0.7' }),
    );
    expect(other.code).to.equal(1);
    expect(other.stderr).to.include('checkpoint').and.include('--beta was 0.1 and is now 0.7');
    expect(await adapterBytes('whole')).to.deep.equal(before);
  });

  it('killed at random moments and stopped by Ctrl-C, then resumed: the same bytes as an uninterrupted run', async () => {
    const out = workshop.path('broken');
    const args = workshop.dpo({ ...STEPS, '--out': out, '--resume': '' });
    const ends: (NodeJS.Signals | number | null)[] = [];
    let told = 0;
    const refusedBeside = async (pid: number, args: string[]) => {
      // If the run finished before the other process met it, the folder is free.
      const lock = await readFile(`${out}/.webalign.lock`, 'utf8').catch(() => '');
      if (!lock.includes(`"pid":${pid}`)) return;
      const { code, error } = await workshop.run(args);
      if (error.message.includes(`is in use by process ${pid} on`) && code === 1) told++;
    };
    for (const signal of ['SIGKILL', 'SIGINT'] as const) {
      const { code, stderr } = await workshop.spawn(args, {
        onStart: (child) =>
          void afterNextSave(out)
            .then(() => refusedBeside(child.pid ?? 0, args))
            .finally(() => child.kill(signal)),
      });
      ends.push(code);
      // A run that finished before the signal is no error.
      if (signal === 'SIGINT' && code !== 0) {
        expect(code, stderr).to.equal(130);
        expect(stderr).to.match(
          /Stopped after step \d+ of 12; .*checkpoint\.safetensors keeps the run.*--resume/,
        );
      }
      for (const name of (await readdir(out)).filter((file) => !file.endsWith('.tmp'))) {
        if (name.endsWith('.safetensors'))
          parseSafetensors(new Uint8Array(await readFile(`${out}/${name}`)), name);
      }
    }
    expect(ends).to.include(null);
    expect(told, 'runs beside it that were told who has the folder').to.be.above(0);
    const last = await workshop.spawn([...args, '--report-samples', '1']);
    expect(last.code, last.stderr).to.equal(0);
    expect(await readdir(out)).to.include('report.html');
    expect(await adapterBytes('broken')).to.deep.equal(await adapterBytes('whole'));
    const logged = (from: string) => readFile(`${workshop.path(from)}/trainer_state.json`, 'utf8');
    expect(await logged('broken')).to.equal(await logged('whole'));
    expect((await readdir(out)).filter((name) => name.endsWith('.tmp'))).to.deep.equal([]);
  });

  it('continues on a new device if one is lost, over an earlier run: the same bytes', async () => {
    const out = workshop.path('lost');
    const request = Gpu.request;
    let devices = 0;
    Gpu.request = async (...args) => {
      const gpu = await request.apply(Gpu, args);
      if (++devices === 1) void afterNextSave(out, 20).then(() => gpu.device.destroy());
      return gpu;
    };
    try {
      await workshop.write('lost/checkpoint.safetensors', 'an earlier one');
      const args = workshop.dpo({ ...STEPS, '--out': out, '--overwrite': '' });
      const { code, json, stderr } = await workshop.run(args);
      expect(code, stderr).to.equal(0);
      expect(json).to.include({ steps: 12 });
      expect(stderr.match(/was lost .*Continuing with a new one .*\(1 of 3\)/g), stderr).to.have.length(1);
      expect(stderr.match(/Continuing after step \d+/g), stderr).to.have.length(1);
    } finally {
      Gpu.request = request;
    }
    expect(devices).to.equal(2);
    expect(await adapterBytes('lost')).to.deep.equal(await adapterBytes('whole'));
  });

  it('stops at a NaN loss and writes no adapter; with --resume and a lower rate it continues', async () => {
    const out = workshop.path('wild');
    // The first step of a warm-up has rate 0.
    const wild = { '--out': out, '--max-steps': '40', '--warmup-steps': '4', '--max-grad-norm': '0' };
    const rate = (value: string) => ({ ...wild, '--learning-rate': value });
    const { code, error, stderr } = await workshop.run(
      workshop.dpo({ ...rate('1e30'), '--save-steps': '1' }),
    );
    expect(code, stderr).to.equal(1);
    expect(error.name).to.equal('NonFiniteLossError');
    expect(error.message).to.match(/step \d+.*keeps the run after step 1: resume with a lower learning rate/);
    const left = await readdir(out);
    expect(left).to.include('checkpoint.safetensors').and.not.include('adapter_config.json');
    const changed = { ...rate('1e-3'), '--max-steps': '3', '--save-steps': '1', '--resume': '' };
    const other = await workshop.run(workshop.dpo({ ...changed, '--beta': '0.5' }));
    expect(other.error.message).to.include('--beta was 0.1 and is now 0.5');
    const resumed = await workshop.run(workshop.dpo(changed));
    expect(resumed.code, resumed.stderr).to.equal(0);
    expect(resumed.stderr).to.include('Continuing after step 1, with --learning-rate 1e+30 → 0.001');
    const { changes } = JSON.parse(await readFile(`${out}/run.json`, 'utf8'));
    expect(changes).to.deep.include({ step: 1, name: 'maxSteps', old: 40, new: 3 });
  });

  it('trains all weights and writes a model that loads', async () => {
    const out = workshop.path('full');
    const config = new TextDecoder().decode(tinyLlama.files.get('config.json'));
    const model = await workshop.model('float', {
      'config.json': config.replace('{', '{"some_float": 30.0, '),
    });
    const full = {
      '--full': '',
      '--model': model,
      '--out': out,
      '--max-steps': '1',
      '--learning-rate': '1e-4',
    };
    const { code, stderr } = await workshop.run(workshop.dpo(full));
    expect(code, stderr).to.equal(0);
    expect(await readdir(out)).to.include.members([
      'config.json',
      'model.safetensors',
      'tokenizer.json',
      'tokenizer_config.json',
    ]);
    // transformers refuses an int where it declares a float.
    expect(await readFile(`${out}/config.json`, 'utf8')).to.include('"some_float": 30.0,');
    const input = await workshop.write('one.jsonl', lines([{ ids: [1, 5, 9] }]));
    const scored = await workshop.run(['logprobs', '--model', out, '--input', input]);
    expect(scored.code, scored.stderr).to.equal(0);
  });
});

/** Resolves at a random moment, up to `most` milliseconds after the next checkpoint was written to `out`. */
async function afterNextSave(out: string, most = 150): Promise<void> {
  const written = async () => (await stat(`${out}/checkpoint.safetensors`).catch(() => undefined))?.mtimeMs;
  const before = await written();
  for (let now = before; now === undefined || now === before; now = await written()) await pause(5);
  await pause(Math.random() * most);
}

function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
