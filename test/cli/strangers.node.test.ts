/** A malicious tokenizer on the command line: it is reported when its time is over, and signals still end the program. */
import { expect } from 'chai';
import trl from '../fixtures/trl-pairs.json' with { type: 'json' };
import { Workshop } from './workshop.ts';

describe('cli: untrusted files', function () {
  this.timeout(120_000);
  let workshop: Workshop;
  let args: string[];
  before(async () => {
    workshop = await Workshop.open();
    const endless = { type: 'Replace', pattern: { Regex: '(a+)+!' }, content: '' };
    const tokenizer = JSON.stringify({ ...trl.tokenizer, normalizer: endless });
    const model = await workshop.model('hostile', { 'tokenizer.json': tokenizer });
    const input = await workshop.write('texts.jsonl', JSON.stringify({ text: 'a'.repeat(60) }));
    args = ['logprobs', '--model', model, '--input', input, '--json'];
  });
  after(() => workshop.close());

  it('reports the deadline', async () => {
    const { code, error } = await workshop.spawn(args, { env: { WEBALIGN_DEADLINE: '0.5' } });
    expect(code).to.equal(1);
    expect(error.message).to.include('tokenizer.json').and.include('0.5 s').and.include('WEBALIGN_DEADLINE');
  });

  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    it(`is ended by ${signal}`, async () => {
      let sent = 0;
      const { code, stderr } = await workshop.spawn(args, {
        onStart: (child) =>
          setTimeout(() => {
            sent = performance.now();
            child.kill(signal);
          }, 3000),
      });
      // If the program is busy, the operating system ends it, and there is no exit code.
      expect([null, signal === 'SIGINT' ? 130 : 143], stderr).to.include(code);
      expect(performance.now() - sent).to.be.below(5000);
    });
  }
});
