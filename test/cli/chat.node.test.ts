/** `webalign generate --chat`: lines from a pipe, a person who types, conversations from a file, and what is refused. */
import { PassThrough, Readable } from 'node:stream';
import { expect } from 'chai';
import { readConversations } from '../../src/cli/conversation.ts';
import { lines, Workshop } from './workshop.ts';

const TEMPLATE =
  "{% for m in messages %}{% if m.role == 'system' %}{{ m.content }} is {% elif m.role == 'user' %}the {{ m.content }}{% else %} a {{ m.content }}.{% endif %}{% endfor %}";

interface Told {
  conversations: {
    messages: { role: string; content: string }[];
    answers: { text: string; ids: number[] }[];
  }[];
}

describe('cli: generate --chat', function () {
  this.timeout(120_000);
  let workshop: Workshop;
  before(async () => {
    workshop = await Workshop.open();
    await workshop.model('chatty', { 'chat_template.jinja': TEMPLATE });
    await workshop.model('mute', { 'tokenizer_config.json': '{}' });
  });
  after(() => workshop.close());

  const chat = async (options: string[], stdin?: Parameters<Workshop['run']>[2], model = 'chatty') => {
    const args = [
      'generate',
      '--model',
      workshop.path(model),
      '--chat',
      '--max-tokens',
      '3',
      '--temperature',
      '0',
    ];
    const outcome = await workshop.run([...args, ...options], undefined, stdin);
    return { ...outcome, told: (outcome.json as unknown as Told).conversations };
  };

  it('answers line by line, starts over, and reads messages from a file', async () => {
    const piped = await chat(['--system', 'sky'], Readable.from(['end\n', '\nsky\n/reset\n', 'end']));
    expect(piped.code, piped.stderr).to.equal(0);
    const [first, second] = piped.told;
    expect(first?.messages.map(({ role }) => role).join()).to.equal('system,user,assistant,user,assistant');
    expect(second?.messages).to.deep.equal(first?.messages.slice(0, 3));
    expect(first?.answers[0]?.ids).to.have.length(3);
    // With --json the answers are also shown on stderr.
    expect(piped.stderr).to.include(`${first?.answers[0]?.text}\n${first?.answers[1]?.text}\n`);

    const asked = first?.messages.slice(0, 4) ?? [];
    const rows = [{ messages: asked }, asked.slice(0, 2)];
    const path = await workshop.write('a.jsonl', lines(rows));
    const list = await workshop.write('a.json', JSON.stringify(rows, null, 2));
    expect(await readConversations({ messages: list })).to.deep.equal(
      await readConversations({ messages: path }),
    );
    const { told, stderr } = await chat(['--messages', path]);
    const ids = told?.map(({ answers }) => answers[0]?.ids);
    expect(ids, stderr).to.deep.equal(first?.answers.map((answer) => answer.ids).reverse());
  });

  it('prompts an interactive user, streams answers, and ends with Ctrl-D', async () => {
    const typed = Object.assign(new PassThrough(), { isTTY: true });
    typed.write('end\n');
    setTimeout(() => typed.end('sky\n/reset\n'), 50);
    const { code, stderr, told } = await chat([], typed);
    expect(code, stderr).to.equal(0);
    expect(stderr).to.include('Ctrl-D').and.include('> ').and.include('truncated after 3 tokens');
    expect(told?.map(({ answers }) => answers.length)).to.deep.equal([2]);
  });

  it('rejects an invalid conversation, and says what to do', async () => {
    const refused = async (options: string[], ...parts: string[]) => {
      const { code, error } = await chat(options);
      expect(code).to.be.above(0);
      for (const part of parts) expect(error.message).to.include(part);
    };
    const file = async (content: unknown) =>
      workshop.write('odd.json', typeof content === 'string' ? content : JSON.stringify(content));
    const own = [
      { role: 'system', content: 'sky' },
      { role: 'user', content: 'end' },
    ];
    await refused(['--prompt', 'a'], '--prompt', '--chat');
    await refused(['--n', '2'], '--n');
    await refused(['--messages', await file('')], 'odd.json');
    await refused(['--messages', await file([{ role: 'assistant', content: 'a' }])], 'ends with "assistant"');
    await refused(['--messages', await file({ messages: 'a' })], 'has text');
    await refused(['--messages', await file(own), '--system', 'sky'], 'already has a system message');
    await refused(['--messages', await file([[], 5])], 'row 1');
    const plain = await chat([], Readable.from(['end']), 'mute');
    expect(plain.error.message).to.include('no chat template');
    const alone = await workshop.run([
      'generate',
      '--model',
      workshop.path('chatty'),
      '--prompt',
      'a',
      '--system',
      'b',
    ]);
    expect(alone.error.message).to.include('--system').and.include('--chat');
  });
});
