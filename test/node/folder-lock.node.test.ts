/** One process per folder: which process gets which message, and that a lock ends with its process, however that ends. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { expect } from 'chai';
import { LOCK_FILE, lockFile, lockFolder } from '../../src/node/folder-lock.ts';
import { Lock } from '../../src/node/lock.ts';
import { thisProcess } from '../../src/node/owner.ts';
import { expectRefused } from '../io/refused.ts';

describe('node/folder-lock', function () {
  this.timeout(60_000);
  let root: string;
  let dir: string;
  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), 'webalign-lock-'));
    dir = join(root, 'run');
  });
  afterEach(() => rm(root, { recursive: true, force: true }));

  const refused = (...words: string[]) => expectRefused(() => lockFolder(dir), ...words);
  const layLock = async (changed: object) => {
    await mkdir(dir, { recursive: true });
    const lock = { ...thisProcess(), since: '2026-01-02T03:04:05.678Z', id: 'abcdefgh-1234', ...changed };
    await writeFile(join(dir, LOCK_FILE), JSON.stringify(lock));
  };

  it('is taken, unavailable to others, and free again', async () => {
    const lock = await lockFolder(dir);
    await refused(dir, 'is in use by process', String(process.pid), thisProcess().host, 'since 20', 'UTC');
    await lock.release();
    await (await lockFolder(dir)).release();
  });

  it('removes an unused new folder, and keeps existing files', async () => {
    dir = join(root, 'a/b');
    await (await lockFolder(dir)).release();
    expect(await readdir(root)).to.deep.equal([]);
    const lock = await lockFolder(dir);
    await writeFile(join(dir, 'result'), 'kept');
    await lock.release();
    expect(await readdir(dir)).to.deep.equal(['result']);
  });

  it('locks a file without affecting others in its folder', async () => {
    await using _ = await lockFile(join(root, 'a.jsonl'));
    await expectRefused(() => lockFile(join(root, 'a.jsonl')), 'a.jsonl', 'is in use');
    await (await lockFile(join(root, 'b.jsonl'))).release();
    await (await lockFolder(root)).release();
  });

  it('says why a folder cannot be used', async () => {
    await writeFile(join(root, 'file'), '');
    dir = join(root, 'file/run');
    await refused(dir, 'cannot be written');
    if (!existsSync('/proc/self')) return;
    dir = '/proc/nowhere/run';
    await refused(dir, 'cannot be written');
  });

  const GONE: Record<string, object> = {
    'a process that has ended': { pid: 999_999_999 },
    'a process whose id another one has': { started: '1' },
    'an earlier boot of this machine': { boot: 'elsewhen' },
  };
  for (const [who, changed] of Object.entries(GONE)) {
    it(`takes over the lock of ${who}`, async () => {
      if (thisProcess().started === '0') return;
      await layLock(changed);
      const lock = await lockFolder(dir);
      expect(JSON.parse(await readFile(join(dir, LOCK_FILE), 'utf8'))).to.include(thisProcess());
      await lock.release();
    });
  }

  it('lets one process take over a lock, and another if that one dies on the way', async () => {
    await layLock({ pid: 999_999_999 });
    const path = join(dir, LOCK_FILE);
    const right = `${path}.abcdefgh`;
    const heir = await Lock.take(right);
    if (!(heir instanceof Lock)) throw new Error('the right is taken');
    const waiting = lockFolder(dir);
    await wait(200);
    expect(await readFile(path, 'utf8')).to.include('999999999');
    await heir.release();
    await (await waiting).release();
    await layLock({ pid: 999_999_999 });
    await writeFile(right, await readFile(path));
    await (await lockFolder(dir)).release();
    expect(await readdir(dir)).to.deep.equal([]);
  });

  const UNSEEN: Record<string, object> = {
    'another machine': { host: 'elsewhere' },
    'another machine of this name': { machine: 'elsewhere' },
    'another container': { namespace: '1' },
  };
  for (const [where, changed] of Object.entries(UNSEEN)) {
    it(`respects the lock of ${where}, and says how to remove it`, async () => {
      await layLock({ pid: 999_999_999, ...changed });
      const path = join(dir, LOCK_FILE);
      await refused(
        'process 999999999',
        '2026-01-02 03:04:05 UTC',
        'is not visible from this process',
        `remove ${path}`,
      );
    });
  }

  it('keeps a file that is not a lock, and says how to remove it', async () => {
    for (const contents of ['', '{}', 'x'.repeat(10_000), '{"pid":-1}']) {
      await mkdir(dir, { recursive: true });
      await writeFile(join(dir, LOCK_FILE), contents);
      await refused('cannot be read', `remove ${join(dir, LOCK_FILE)}`);
    }
  });

  it('shows a malicious lock with printable characters', async () => {
    await layLock({ host: 'else\u001b[2Jwhere', since: 'T\u202e'.repeat(3000) }).then(() =>
      refused('cannot be read'),
    );
    await layLock({ host: 'else\u001b[2Jwhere', since: 'never\u202e' });
    await refused('else\\u001b[2Jwhere', 'never\\u202e');
  });

  it('goes to one of many processes, and to another when that is killed', async () => {
    const children = Array.from({ length: 4 }, () => contender(dir));
    const winner = await race(children);
    for (const { child, said } of children) {
      if (child === winner) continue;
      await ended(child);
      expect(child.exitCode).to.equal(1);
      expect(said()).to.include(`is in use by process ${winner.pid} on`);
    }
    winner.kill('SIGKILL');
    await once(winner, 'exit');
    expect(existsSync(join(dir, LOCK_FILE))).to.equal(true);
    // Several processes see the lock of a dead one at the same time: exactly one gets it.
    const heirs = Array.from({ length: 4 }, () => contender(dir));
    const heir = await race(heirs);
    await Promise.all(heirs.filter(({ child }) => child !== heir).map(({ child }) => ended(child)));
    expect(heirs.filter(({ said }) => said().startsWith('mine'))).to.have.length(1);
    heir.kill('SIGTERM');
    await ended(heir);
    expect((await readdir(dir)).sort()).to.deep.equal([]);
  });

  /** A process that locks the folder and keeps it, or prints why it cannot. Ends cleanly on SIGTERM. */
  function contender(folder: string): { child: ChildProcess; said: () => string } {
    const code = `import { lockFolder } from ${JSON.stringify(pathToFileURL('dist/node.js').href)};
      process.on('SIGTERM', () => process.exit(0));
      await lockFolder(${JSON.stringify(folder)}).then(
        () => { console.log('mine'); setInterval(() => {}, 1e6); },
        (error) => { console.log(error.message); process.exit(1); });`;
    const child = spawn(process.execPath, ['--input-type=module', '-e', code]);
    let said = '';
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (text) => {
        said += text;
      });
    return { child, said: () => said };
  }

  /** The first process that has the folder. */
  function race(all: ReturnType<typeof contender>[]): Promise<ChildProcess> {
    return new Promise((resolve) => {
      for (const { child, said } of all)
        child.stdout?.on('data', () => said().startsWith('mine') && resolve(child));
    });
  }

  async function ended(child: ChildProcess): Promise<void> {
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
  }
});
