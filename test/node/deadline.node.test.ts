/** The work of untrusted files is ended by its deadline, and by signals, even in the middle of a regular expression. */
import { spawn } from 'node:child_process';
import { expect } from 'chai';
import { atOnce } from '../../src/base/slices.ts';
import { mapGuarded } from '../../src/data/stranger.ts';
import { tokenizeTexts } from '../../src/data/tokenize-texts.ts';
import { Tokenizer } from '../../src/data/tokenizer.ts';
import { memoryFiles } from '../../src/io/files.ts';
import { deadlineGuard, guardStrangers } from '../../src/node/deadline.ts';
import { strangerEnvironment } from '../../src/node/stranger-environment.ts';
import trl from '../fixtures/trl-pairs.json' with { type: 'json' };
import { expectRefused, failureOf } from '../io/refused.ts';

/** It would run for longer than anybody lives. */
const endless = () => /^(a+)+$/.test(`${'a'.repeat(60)}!`);
const where = () => 'm/tokenizer.json';

/** A tokenizer that splits texts with an endless regular expression. */
const hostile = memoryFiles(
  {
    'tokenizer.json': JSON.stringify({
      ...trl.tokenizer,
      pre_tokenizer: { type: 'Split', pattern: { Regex: '(a+)+!' }, behavior: 'Isolated', invert: false },
    }),
    'tokenizer_config.json': JSON.stringify(trl.tokenizerConfig),
  },
  'm',
);

describe('node/deadline', () => {
  it('passes on results and errors of work, also nested', () => {
    const guard = deadlineGuard({ deadline: 5000 });
    expect(guard(() => guard(() => 3, where), where)).to.equal(3);
    expect(() => guard(() => JSON.parse('{'), where)).to.throw(SyntaxError);
    expect(guard(() => 4, where)).to.equal(4);
    expect(process.listenerCount('SIGTERM')).to.equal(process.rawListeners('SIGTERM').length);
  });

  it('ends a regular expression at its deadline, and names its file', async () => {
    const start = performance.now();
    const guard = deadlineGuard({ deadline: 100 });
    await expectRefused(() => guard(endless, where), 'm/tokenizer.json', '0.1 s', 'WEBALIGN_DEADLINE');
    expect(performance.now() - start).to.be.below(2000);
    expect(guard(() => 4, where)).to.equal(4);
  });

  it('is ended by Ctrl-C within a second, and restores its listeners', async () => {
    const stopped = new Error('Stopped');
    const listeners = process.listenerCount('SIGINT');
    const start = performance.now();
    spawn('sh', ['-c', `sleep 0.2; kill -INT ${process.pid}`], { stdio: 'ignore' });
    const guard = deadlineGuard({ deadline: 30_000, interrupted: () => stopped });
    expect(await failureOf(() => guard(endless, where))).to.equal(stopped);
    expect(performance.now() - start).to.be.below(5000);
    expect(process.listenerCount('SIGINT')).to.equal(listeners);
  });

  it('guards each text separately, and names its row', async () => {
    const stop = guardStrangers({ deadline: 300 });
    try {
      expect(atOnce(mapGuarded([3, 1, 2], String, (value, i) => value + i))).to.deep.equal([3, 2, 4]);
      expect(atOnce(mapGuarded([], String, () => 1))).to.deep.equal([]);
      const tokenizer = await Tokenizer.fromFiles(hostile);
      const rows = ['the sky is blue', 'a'.repeat(60)].map((completion, i) => ({
        completion,
        where: `line ${i}`,
      }));
      await expectRefused(() => tokenizeTexts(rows, tokenizer), 'line 1', '0.3 s');
      await expectRefused(() => tokenizer.encode('a'.repeat(60)), 'm/tokenizer.json', '0.3 s');
    } finally {
      stop();
    }
  });

  it('reads the environment', async () => {
    expect(strangerEnvironment({})).to.deep.equal({});
    const env = { WEBALIGN_DEADLINE: '90', WEBALIGN_MAX_UNFOLD: '10' };
    expect(strangerEnvironment(env)).to.deep.equal({ deadline: 90_000, maxUnfold: 10 });
    await expectRefused(
      () => strangerEnvironment({ WEBALIGN_DEADLINE: '0' }),
      'WEBALIGN_DEADLINE',
      'seconds',
    );
    await expectRefused(() => deadlineGuard({ deadline: Number.NaN }), 'deadline');
  });
});
