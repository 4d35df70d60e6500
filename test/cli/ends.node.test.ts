/** How commands end early: a second signal, a folder that cannot be written, a folder that another process uses. */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { setTimeout as wait } from 'node:timers/promises';
import { expect } from 'chai';
import { lockFolder } from '../../src/node/folder-lock.ts';
import { filesBelow, textOf } from '../architecture/sources.ts';
import { readFixture } from '../support/files.ts';
import { Workshop } from './workshop.ts';

describe('cli: ending a process', function () {
  this.timeout(120_000);
  let workshop: Workshop;
  before(async () => {
    workshop = await Workshop.open();
    for (const name of ['adapter_config.json', 'adapter_model.safetensors'])
      await workshop.write(`adapter/${name}`, await readFixture(`tiny-llama/adapter/${name}`));
  });
  after(() => workshop.close());

  it('a second signal ends the process immediately, even if a read hangs', async function () {
    if (process.platform !== 'linux') this.skip();
    const fifo = workshop.path('pipe');
    execFileSync('mkfifo', [fifo]);
    let between = 0;
    const { code } = await workshop.spawn(workshop.dpo({ '--data': fifo, '--out': workshop.path('hangs') }), {
      onStart: async (child) => {
        const handles = () => handlesSignal(child.pid ?? 0, SIGINT);
        while (!handles()) await wait(20);
        // It opens the pipe, to which nobody writes.
        await wait(500);
        child.kill('SIGINT');
        while (handles()) await wait(20);
        expect(child.exitCode).to.equal(null);
        between = performance.now();
        child.kill('SIGINT');
      },
    });
    expect(code).to.equal(null);
    expect(performance.now() - between).to.be.below(5000);
  });

  it('an unwritable folder is reported before anything is computed', async function () {
    if (!existsSync('/proc/self')) this.skip();
    const { code, error, stderr } = await workshop.run(workshop.dpo({ '--out': '/proc/nowhere/out' }));
    expect(code).to.equal(1);
    expect(error.message).to.match(/^\/proc\/nowhere\/out: cannot be written: .*free space\.$/);
    expect(stderr).to.not.include('Reference');
  });

  const USERS: Record<string, (out: string) => string[]> = {
    dpo: (out) => workshop.dpo({ '--out': out }),
    'dpo --resume': (out) => workshop.dpo({ '--out': out, '--resume': '' }),
    'dpo --overwrite': (out) => workshop.dpo({ '--out': out, '--overwrite': '' }),
    export: (out) => ['export', '--adapter', workshop.path('adapter'), '--out', out],
    align: (out) => ['align', '--quick', '--out', out],
    preferences: (out) => [
      'preferences',
      ...['--model', workshop.path('model'), '--openings', workshop.path('pairs.jsonl'), '--out', out],
    ],
    frontier: (out) => ['frontier', '--quick', '--work', out],
    tradeoff: (out) => ['tradeoff', '--quick', '--work', out],
    rlhf: (out) => ['rlhf', '--quick', '--work', out],
    'fixed-points': (out) => ['fixed-points', '--out', out],
  };
  for (const [name, args] of Object.entries(USERS)) {
    it(`${name}: a folder in use is not changed, and the error names its user`, async () => {
      const out = workshop.path('used');
      await using _ = await lockFolder(out);
      const before = await readdir(out);
      const { code, error } = await workshop.run(args(out));
      expect(error.message).to.include('is in use by process').and.include(String(process.pid));
      expect(code).to.equal(1);
      expect(await readdir(out)).to.deep.equal(before);
    });
  }

  it('a command awaits its work before it releases its locks', () => {
    const locking = [...filesBelow('src/cli/commands', '.ts'), ...filesBelow('src/studies', '.ts')].filter(
      (file) => textOf(file).includes('await using'),
    );
    expect(locking).to.have.length.above(8);
    for (const file of locking) expect(textOf(file), file).to.not.match(/return (withGpu|goesOn)\(/);
  });

  it('a rejected run leaves no output folder', async () => {
    const args = workshop.dpo({ '--out': workshop.path('new/deep'), '--model': workshop.path('no-model') });
    expect((await workshop.run(args)).code).to.equal(1);
    expect(existsSync(workshop.path('new'))).to.equal(false);
  });
});

const SIGINT = 2;

/** Whether a process has a handler for a signal, as Linux reports it. */
function handlesSignal(pid: number, signal: number): boolean {
  const status = existsSync(`/proc/${pid}/status`) ? readFileSync(`/proc/${pid}/status`, 'utf8') : '';
  const mask = BigInt(`0x${/SigCgt:\s*(\w+)/.exec(status)?.[1] ?? '0'}`);
  return ((mask >> BigInt(signal - 1)) & 1n) === 1n;
}
