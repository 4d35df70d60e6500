/** Parts of the studio without a page: end tokens of drafts, win rates, defaults, where a model comes from. */
import { readFile } from 'node:fs/promises';
import { expect } from 'chai';
import { unzipSync } from 'fflate';
import { Tokenizer } from 'webalign';
import { memoryFiles } from 'webalign/files';
import { hasStalled } from '../../demos/studio/early-stopping.ts';
import type { Judgment } from '../../demos/studio/preferences/judgment.ts';
import { type TabStorage, UndoLog } from '../../demos/studio/preferences/undo-log.ts';
import { hostsOf, originOf } from '../../demos/studio/remote.ts';
import { isSampled, samplePrompts } from '../../demos/studio/samples.ts';
import { defaultsFor, stepsOf } from '../../demos/studio/task.ts';
import { pairIds, sequenceIds } from '../../demos/studio/tokens.ts';
import { zipped } from '../../demos/studio/zip.ts';
import { streamOf } from '../../src/io/streamed-file.ts';

const MODEL = 'demos/align/model';
/** A line break behind the end of a turn, as many templates have it. */
const TEMPLATE =
  "{% for m in messages %}{{ m.role + ': ' + m.content }}{% if m.role == 'assistant' %}{{ eos_token }}{% endif %}{{ '\\n' }}{% endfor %}{% if add_generation_prompt %}assistant: {% endif %}";

async function tokenizer(template?: string): Promise<Tokenizer> {
  const config = JSON.parse(await readFile(`${MODEL}/tokenizer_config.json`, 'utf8'));
  const files = memoryFiles({
    'tokenizer.json': await readFile(`${MODEL}/tokenizer.json`, 'utf8'),
    'tokenizer_config.json': JSON.stringify({ ...config, ...(template && { chat_template: template }) }),
  });
  return Tokenizer.fromFiles(files);
}

/** What a tab keeps, up to so many characters. */
class Tab implements TabStorage {
  private readonly kept = new Map<string, string>();
  constructor(private readonly room = Number.POSITIVE_INFINITY) {}
  get length() {
    return this.kept.size;
  }
  key = (at: number) => [...this.kept.keys()][at] ?? null;
  getItem = (key: string) => this.kept.get(key) ?? null;
  removeItem = (key: string) => void this.kept.delete(key);
  setItem(key: string, value: string): void {
    const used = [...this.kept.values()].reduce((sum, { length }) => sum + length, 0);
    if (used + value.length > this.room) throw new DOMException('', 'QuotaExceededError');
    this.kept.set(key, value);
  }
}

describe('parts of the studio', () => {
  describe('undo', () => {
    const judgment = (id: string): Judgment => ({ id, time: 1, prompt: '', drafts: [], verdict: 'tie' });

    it('survives a reload, step by step', () => {
      const tab = new Tab();
      const now = new Map<string, Judgment>();
      const find = (id: string) => now.get(id);
      const log = new UndoLog('a', tab);
      for (const id of ['x', 'y']) {
        log.note(new Map([[id, judgment(id)]]), 'added', find);
        now.set(id, judgment(id));
      }
      const again = new UndoLog('a', tab);
      expect(new UndoLog('b', tab).take(find), 'another store').to.equal(undefined);
      const last = again.take(find);
      expect(last?.words).to.equal('Undone: 1 judgment added.');
      expect([...(last?.changes ?? [])]).to.deep.equal([['y', undefined]]);
      now.delete('y');
      expect([...(new UndoLog('a', tab).take(find)?.changes.keys() ?? [])]).to.deep.equal(['x']);
      expect(new UndoLog('a', tab).take(find)).to.equal(undefined);
    });

    it('drops the oldest step if the tab has no space left', () => {
      const tab = new Tab(400);
      const find = () => undefined;
      const log = new UndoLog('a', tab);
      for (let i = 0; i < 9; i++) log.note(new Map([[String(i), judgment(String(i))]]), 'added', find);
      const again = new UndoLog('a', tab);
      const ids: string[] = [];
      for (let step = again.take(judgment); step; step = again.take(judgment))
        ids.push(...step.changes.keys());
      expect(ids.length).to.be.within(1, 8);
      expect(ids[0]).to.equal('8');
    });
  });

  describe('a zip that is written in pieces', () => {
    it('contains the files, and has the same bytes every time', async () => {
      const files = { 'a.txt': streamOf(new Uint8Array([1, 2, 3])), 'b/c': streamOf(new Uint8Array(70_000)) };
      const whole = async () => {
        const pieces: Uint8Array[] = [];
        for await (const piece of zipped('folder', files)) pieces.push(piece);
        return new Uint8Array(Buffer.concat(pieces));
      };
      const zip = await whole();
      expect(Object.entries(unzipSync(zip)).map(([path, { length }]) => [path, length])).to.deep.equal([
        ['folder/a.txt', 3],
        ['folder/b/c', 70_000],
      ]);
      expect(await whole()).to.deep.equal(zip);
    });
  });

  describe('end tokens', () => {
    const ending = async (template?: string) => ({
      tokenizer: await tokenizer(template),
      vocabSize: 10_000,
      maxLength: 512,
    });

    it('only end drafts that the model ended', async () => {
      const context = await ending();
      const row = { id: '', where: 'row', prompt: 'Amy saw', chosen: ' a dog.', rejected: ' a cat.' };
      const ids = pairIds({ ...row, chosenEnded: true, rejectedEnded: false }, context);
      const { eosId } = context.tokenizer;
      expect(ids.chosen.at(-1)).to.equal(eosId);
      expect(ids.rejected).to.not.include(eosId);
      expect(context.tokenizer.decode([...ids.prompt, ...ids.rejected])).to.equal('Amy saw a cat.');
    });

    it('are learned together with the text that a chat template writes after them', async () => {
      const context = await ending(TEMPLATE);
      const row = {
        id: '',
        where: 'row',
        prompt: [{ role: 'user', content: 'Who?' }],
        completion: [{ role: 'assistant', content: 'A dog.' }],
      };
      const { eosId } = context.tokenizer;
      const ended = sequenceIds({ ...row, ended: true }, context).completion;
      const cut = sequenceIds({ ...row, ended: false }, context).completion;
      expect(ended.slice(0, cut.length)).to.deep.equal(cut);
      expect(ended[cut.length]).to.equal(eosId);
      expect(ended.length).to.be.above(cut.length + 1);
    });
  });

  it('ends a run after evaluations without a lower held-out loss, as transformers counts them', () => {
    expect(hasStalled([3, 2, 2.5], 2)).to.equal(false);
    expect(hasStalled([3, 2, 2.5, 2], 2), 'the same loss is no lower one').to.equal(true);
    expect(hasStalled([3, 2, 2.5, 1.9], 2)).to.equal(false);
    expect(hasStalled([], 1)).to.equal(false);
    expect(hasStalled([1, 2, 3, 4], 0), 'no patience was set').to.equal(false);
  });

  it('samples two prompts, those held out first, at evaluations and at the end', () => {
    const of = (...prompts: string[]) =>
      prompts.map((prompt): Judgment => ({ id: prompt, time: 0, prompt, verdict: 'tie', drafts: [] }));
    expect(samplePrompts({ train: of('a', 'b'), heldOut: of('c', 'c') })).to.deep.equal(['c', 'a']);
    expect([0, 1, 2, 3, 4, 5].filter((step) => isSampled(step, 2, 5))).to.deep.equal([0, 2, 4, 5]);
  });

  it('takes more epochs over few rows, and larger batches of many', () => {
    const [few, many] = [defaultsFor(10, 1e6), defaultsFor(1000, 1e6)];
    expect(few).to.include({ numTrainEpochs: 8, perDeviceTrainBatchSize: 4 });
    expect(many).to.include({ numTrainEpochs: 1, perDeviceTrainBatchSize: 16 });
    expect(stepsOf(10, few)).to.equal(24);
    expect(defaultsFor(10, 1e9).learningRate).to.be.below(few.learningRate);
    // Batches of a few picks, each seen once, at a rate that does not decay.
    const online = defaultsFor(1000, 1e6, 'online');
    expect(online).to.include({ numTrainEpochs: 1, perDeviceTrainBatchSize: 4 });
    expect(online.learningRate).to.be.below(few.learningRate);
  });

  it('can only reach the servers of one model', () => {
    expect(hostsOf(originOf('https://a.example/x/y', ''))).to.deep.equal(['https://a.example']);
    const hub = hostsOf(originOf('owner/name', 'v1'));
    expect(hub[0]).to.equal('https://huggingface.co');
    expect(hub).to.deep.equal(hostsOf(originOf('https://huggingface.co/owner/name', '')));
    expect(() => originOf('what is this', '')).to.throw('neither a repository nor an address');
  });
});
