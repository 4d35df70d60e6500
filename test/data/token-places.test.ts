/** Which tokens of a conversation are written by the assistant, compared with transformers' `return_assistant_tokens_mask`. */
import { expect } from 'chai';
import { tokensWithin } from '../../src/data/token-places.ts';
import { Tokenizer } from '../../src/data/tokenizer.ts';
import { memoryFiles } from '../../src/io/files.ts';
import fixture from '../fixtures/assistant.json' with { type: 'json' };
import templates from '../fixtures/templates.json' with { type: 'json' };
import tokenizers from '../fixtures/tokenizers.json' with { type: 'json' };
import { expectRefused } from '../io/refused.ts';

/** The number of tokens, and the first and last index of each run of the assistant's tokens. */
type Mask = [tokens: number, ...runs: [first: number, last: number][]];

const open = (kind: string, template: string) => {
  const { tokenizer } = tokenizers.kinds[kind as keyof typeof tokenizers.kinds];
  const files = {
    'tokenizer.json': JSON.stringify(tokenizer),
    'tokenizer_config.json': '{"eos_token":"</s>"}',
    'chat_template.jinja': template,
  };
  return Tokenizer.fromFiles(memoryFiles(files, kind));
};

function runsOf(mask: readonly boolean[]): Mask {
  const starts = mask.flatMap((bit, i) => (bit && !mask[i - 1] ? [i] : []));
  const ends = mask.flatMap((bit, i) => (bit && !mask[i + 1] ? [i] : []));
  return [mask.length, ...starts.map((start, i): [number, number] => [start, ends[i]])];
}

describe('data/token-places', () => {
  for (const [kind, byTemplate] of Object.entries(fixture.masks)) {
    it(`finds the assistant's tokens like transformers with the steps of ${kind}`, async () => {
      for (const [name, masks] of Object.entries(byTemplate)) {
        const tokenizer = await open(kind, fixture.templates[name as keyof typeof fixture.templates]);
        const found = templates.conversations.map((chat) =>
          runsOf(tokenizer.encodeMarkedChat(chat).isAssistant),
        );
        for (const [i, mask] of (masks as (Mask | null)[]).entries()) {
          if (mask) expect(found[i], `${name}, conversation ${i}`).to.deep.equal(mask);
        }
      }
    });
  }

  /** Tokens of a vocabulary of words, which drops white space. */
  const words = (text: string, tokens: readonly string[]) => ({
    ...{ text, tokens, isByteLevel: false, normalize: (given: string) => given.toLowerCase() },
    added: new Map([['<e>', { lstrip: false, rstrip: false }]]),
  });

  it('uses the tokens beside white space that is in no token, where transformers marks all later tokens', () => {
    const given = words('a b <e> c <e>', ['a', 'b', '<e>', 'c', '<e>']);
    expect(tokensWithin([[1, 8]], given)).to.deep.equal([false, true, true, false, false]);
    expect(tokensWithin([[8, 13]], given)).to.deep.equal([false, false, false, true, true]);
    expect(tokensWithin([[3, 4]], given)).to.deep.equal(Array(5).fill(false));
    expect(tokensWithin([], given)).to.deep.equal(Array(5).fill(false));
  });

  it('locates tokens in normalized text, and reports if it cannot', () => {
    const [hello, unknown] = [words('Hello You', ['hello', 'you']), words('Hello You', ['hello', '?'])];
    expect(tokensWithin([[6, 9]], hello)).to.deep.equal([false, true]);
    expect(tokensWithin([[6, 9]], unknown)).to.equal(undefined);
  });

  it('rejects a tokenizer whose tokens cannot be located', async () => {
    const { BERT } = tokenizers.kinds;
    const files = { 'tokenizer.json': JSON.stringify(BERT.tokenizer) };
    const template = '{% for m in messages %}{% generation %}{{ m.content }}{% endgeneration %}{% endfor %}';
    const made = await Tokenizer.fromFiles(
      memoryFiles({ ...files, 'chat_template.jinja': template }, 'bert'),
    );
    const chat = [{ role: 'assistant', content: 'unfindable 🫠 words' }];
    await expectRefused(
      () => made.encodeMarkedChat(chat),
      'tokenizer.json',
      'cannot be located',
      'assistantOnlyLoss',
    );
  });
});
