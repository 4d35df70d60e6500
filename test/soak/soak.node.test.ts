/** A slice of `npm run soak`, a different one each day: two processes for one folder, and a kill or a full disk. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { expect } from 'chai';
import type { SoakResult } from './soak.ts';

const DAY = 86_400_000;
/** One part per day; those of a second or two run every day. */
const DAILY = ['folders'];
const IN_TURN = ['kills', 'disks'];

describe('the soak', function () {
  this.timeout(600_000);

  it("finds nothing in today's slice", async () => {
    const slice = process.env.WEBALIGN_SLICE ?? String(Math.floor(Date.now() / DAY));
    const parts = slice === 'all' ? IN_TURN : [IN_TURN[Number(slice) % IN_TURN.length]];
    const only = [...DAILY, ...parts].join(',');
    const seed = slice === 'all' ? '1' : slice;
    const args = ['test/soak/main.mjs', '--slice', '--json', '--seed', seed, '--only', only];
    const { stdout, stderr } = await promisify(execFile)(process.execPath, args).catch((error) => error);
    const found = JSON.parse(stdout || '{"parts":{}}') as SoakResult;
    expect(Object.keys(found.parts), stderr).to.include('folders');
    for (const [name, { failures }] of Object.entries(found.parts)) expect(failures, name).to.deep.equal([]);
  });
});
