/**
 * A run whose disk is full ends with a message, and resumes with identical bytes when there is space again. The disk is a
 * file system in memory of a few hundred kilobytes, in its own namespace; Linux only.
 */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import type { Part } from './part.ts';
import { adapterHash, argumentsOf, litter, openWorkshop } from './runs.ts';

const SPACE = ['-Urm'];

/** Whether this machine allows users to mount a file system. */
export const hasDisks = () =>
  process.platform === 'linux' &&
  spawnSync('unshare', [...SPACE, 'mount', '-t', 'tmpfs', 'none', '/mnt']).status === 0;

export const disks: Part = {
  name: 'disks',
  what: 'a disk that is full at a random moment; with free space the run resumes to the same bytes',
  tries: { whole: 10, slice: 1 },
  async begin({ random, folder }) {
    const workshop = await openWorkshop();
    const whole = await workshop.spawn(argumentsOf(workshop, 'dpo', 'whole'));
    if (whole.code !== 0) throw new Error(whole.stderr);
    const hash = await adapterHash(workshop.path('whole'));
    let [tries, early] = [0, 0];
    return {
      async attempt() {
        const [disk, copy] = [join(folder, `disk-${tries}`), join(folder, `copy-${tries++}`)];
        await mkdir(disk, { recursive: true });
        const kilobytes = Math.round(random.uniform() * 800);
        const run = (...more: string[]) =>
          [process.execPath, resolve('dist/cli.js'), ...argumentsOf(workshop, 'dpo', `${disk}/out`, ...more)]
            .map((word) => `'${word}'`)
            .join(' ');
        // The file system is invisible from outside, so everything happens in one shell.
        const script = `mount -t tmpfs -o size=${kilobytes + 4}k none '${disk}'
          ${run()}; echo "first $?"
          ls -A '${disk}/out' 2>/dev/null | tr '\\n' ' '
          mount -o remount,size=100m '${disk}'
          ${run('--resume')}; echo "second $?"
          cp -r '${disk}/out' '${copy}'`;
        const child = spawn('unshare', [...SPACE, 'sh', '-c', script]);
        let said = '';
        for (const stream of [child.stdout, child.stderr])
          stream.on('data', (text) => {
            said += text;
          });
        await once(child, 'close');
        const failures: string[] = [];
        const [, first] = /first (\d+)/.exec(said) ?? [];
        if (first !== '0') early++;
        if (first !== '0' && !/cannot be (written|made|kept).*(no space left|ENOSPC)/i.test(said))
          failures.push(`${kilobytes} KiB: the first run says ${said.slice(0, 600)}`);
        if (!said.includes('second 0'))
          failures.push(`${kilobytes} KiB: the second run says ${said.slice(-600)}`);
        else {
          if ((await adapterHash(copy)) !== hash) failures.push(`${kilobytes} KiB: other bytes`);
          const left = await litter(copy);
          if (left.length > 0) failures.push(`${kilobytes} KiB: left ${left.join(', ')}`);
        }
        return { tries: 1, failures };
      },
      figures: () => ({ 'full before the end': early }),
      end: () => workshop.close(),
    };
  },
};
