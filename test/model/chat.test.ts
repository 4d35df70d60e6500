/** Conversations: what the model reads of them, what is left out, and what templates refuse. */
import { expect } from 'chai';
import { Tokenizer } from '../../src/data/tokenizer.ts';
import { memoryFiles } from '../../src/io/files.ts';
import { Chat, type ChatOptions, requireChatTemplate, streamText } from '../../src/model/chat.ts';
import { type Generation, generate } from '../../src/model/generation.ts';
import trl from '../fixtures/trl-pairs.json' with { type: 'json' };
import { expectRefused } from '../io/refused.ts';
import { testGpu } from '../support/gpu.ts';
import { loadFixture } from './tiny.ts';

const TEMPLATE =
  "{% for m in messages %}{% if m.role == 'system' %}{{ m.content }} is {% elif m.role == 'user' %}the {{ m.content }}{% else %} a {{ m.content }}.{% endif %}{% endfor %}";

function tokenizerWith(template: string | undefined): Promise<Tokenizer> {
  const files = {
    'tokenizer.json': JSON.stringify(trl.tokenizer),
    'tokenizer_config.json': JSON.stringify({ bos_token: '<s>', eos_token: '</s>' }),
    ...(template === undefined ? {} : { 'chat_template.jinja': template }),
  };
  return Tokenizer.fromFiles(memoryFiles(files, 'tiny'));
}

async function heard(answer: AsyncGenerator<string, Generation>): Promise<{ text: string; ids: number[] }> {
  let text = '';
  for (;;) {
    const { done, value } = await answer.next();
    if (done) return { text, ids: value.ids };
    text += value;
  }
}

describe('model/chat', () => {
  const OPTIONS = { maxNewTokens: 4, temperature: 0, eosTokenIds: [] };

  it('answers through the template, keeps the history, and starts over', async () => {
    const model = await loadFixture(await testGpu());
    const tokenizer = await tokenizerWith(TEMPLATE);
    const chat = new Chat(model, tokenizer, { ...OPTIONS, system: 'sky' });
    const first = await heard(chat.send('end'));
    const prompt = (text: string) => tokenizer.encode(text, { addSpecialTokens: false });
    const [alone] = await generate(model, [prompt('sky is the end')], OPTIONS);
    expect(first.ids).to.deep.equal(alone?.ids);
    expect(first.text).to.equal(tokenizer.decode(first.ids));
    const second = await heard(chat.send('sky'));
    const [after] = await generate(model, [prompt(`sky is the end a ${first.text}.the sky`)], OPTIONS);
    expect(second.ids).to.deep.equal(after?.ids);
    expect(chat.messages.map(({ role }) => role).join()).to.equal('system,user,assistant,user,assistant');
    chat.reset();
    expect((await heard(chat.send('end'))).ids).to.deep.equal(first.ids);
    const given = [{ role: 'user', content: 'end' }];
    expect((await heard(chat.reply([{ role: 'system', content: 'sky' }, ...given]))).ids).to.deep.equal(
      first.ids,
    );

    const halted = chat.send('sky');
    await halted.next();
    await halted.return(undefined!);
    expect(chat.messages.at(-1)?.role).to.equal('assistant');
    expect((await heard(streamText(model, tokenizer, prompt('sky is the end'), OPTIONS))).ids).to.deep.equal(
      first.ids,
    );
    model.dispose();
  });

  it('drops the oldest turns if they do not fit, with a notice, and rejects a message that is too long', async () => {
    const model = await loadFixture(await testGpu());
    const tokenizer = await tokenizerWith(TEMPLATE);
    const said: string[] = [];
    const options: ChatOptions = { ...OPTIONS, system: 'sky', onNotice: (line) => said.push(line) };
    const chat = new Chat(model, tokenizer, options);
    const long = Array.from({ length: 8 }, () => 'blue').join(' ');
    for (let turn = 0; turn < 4; turn++) await heard(chat.send(long));
    expect(said[0]).to.match(/more than 60 tokens: its first 2 messages are no longer passed/);
    expect(chat.messages).to.have.length(9);
    const failed = heard(chat.send(Array.from({ length: 30 }, () => 'blue').join(' ')));
    await expectRefused(() => failed, 'the message', 'has positions for 60', 'Shorten it');
    expect(chat.messages).to.have.length(9);
    model.dispose();
  });

  it('reports a model without a template, or without support for a system message', async () => {
    const plain = await tokenizerWith(undefined);
    await expectRefused(() => requireChatTemplate(plain), 'tiny', 'no chat template');
    const strict = await tokenizerWith(
      "{% if messages[0].role == 'system' %}{{ raise_exception('no system') }}{% endif %}{{ messages[0].content }}",
    );
    requireChatTemplate(strict);
    await expectRefused(
      () => requireChatTemplate(strict, 'be brief'),
      'rejects a system message',
      'Leave it out',
    );
    const deaf = await tokenizerWith('{{ messages[-1].content }}');
    await expectRefused(
      () => requireChatTemplate(deaf, 'be brief'),
      'drops the system message',
      'Leave it out',
    );
  });
});
