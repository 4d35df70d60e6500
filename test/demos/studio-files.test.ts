/** Judgments of the demo `studio` as files: round trips, what TRL's columns alone become, what cannot be read, merging, prompts. */
import { expect } from 'chai';
import { LABELLED, PREFERENCES, readDataset, TEXTS } from 'webalign/data';
import { memorySource } from 'webalign/files';
import {
  exportFiles,
  type FileType,
  type Form,
  importFile,
  merge,
  mergeText,
  readPrompts,
} from '../../demos/studio/preferences/files.ts';
import { type Judgment, VERDICTS, type Verdict } from '../../demos/studio/preferences/judgment.ts';
import { CHAT, draft, judgment } from './studio-judgments.ts';

const TYPES: readonly FileType[] = ['jsonl', 'csv', 'parquet'];
const VERDICT_NAMES = Object.keys(VERDICTS) as Verdict[];

/** What formats are known to change. */
const NASTY = [
  'a\nb',
  'a\r\nb\r',
  '"quoted", and more',
  ' spaces ',
  '=1+1',
  'null',
  'true',
  '007',
  '<b>é 🙂</b>',
  '[1]',
  '{',
];

/** Judgments of all kinds, of texts and of chats. */
const SOME: readonly Judgment[] = [
  ...VERDICT_NAMES.flatMap((verdict) => [judgment(verdict), judgment(verdict, { prompt: CHAT })]),
  ...NASTY.map((text, i) =>
    judgment(i % 2 === 0 ? 'first' : 'edit', {
      prompt: `${text} prompt`,
      drafts: [draft(`${text} 1`), { text: `2 ${text}`, ended: false }],
      ...(i % 2 === 1 && { edit: { draft: 0, text, ended: false } }),
      note: text.trim() === '' ? 'x' : text,
      tags: ['tone', text.replaceAll(',', ' ').trim()],
      origin: 'theirs.csv',
    }),
  ),
];

/** Which judgments a form holds. */
const HOLDS: Readonly<Record<Exclude<Form, 'sft'>, readonly Verdict[]>> = {
  all: VERDICT_NAMES,
  dpo: ['first', 'second', 'edit'],
  kto: ['first', 'second', 'edit', 'both-bad', 'up', 'down'],
};

const fileOf = ({ name, bytes }: { name: string; bytes: Uint8Array<ArrayBuffer> }) => new File([bytes], name);
const textFile = (name: string, ...lines: (string | object)[]) =>
  new File([lines.map((line) => (typeof line === 'string' ? line : JSON.stringify(line))).join('\n')], name);

async function throughFiles(judgments: readonly Judgment[], form: Form, type: FileType) {
  const files = await exportFiles(judgments, { form, type });
  const read = await Promise.all(files.map((file) => importFile(fileOf(file))));
  return {
    files,
    judgments: read.flatMap((each) => each.judgments),
    problems: read.flatMap((each) => each.problems),
  };
}

const byId = (judgments: readonly Judgment[]) => new Map(judgments.map((each) => [each.id, each]));

describe('files of judgments', () => {
  for (const [form, verdicts] of Object.entries(HOLDS) as [keyof typeof HOLDS, Verdict[]][]) {
    for (const type of TYPES) {
      it(`are imported unchanged: ${form}, ${type}`, async () => {
        const { files, judgments, problems } = await throughFiles(SOME, form, type);
        expect(problems).to.deep.equal([]);
        expect(files.map(({ name }) => name)).to.deep.equal(
          form === 'all'
            ? [`preferences-all.${type}`]
            : [`preferences-${form}-text.${type}`, `preferences-${form}-chat.${type}`],
        );
        const kept = SOME.filter(({ verdict }) => verdicts.includes(verdict));
        const expected = kept.map((each) => {
          const { prompt } = each;
          const kind = typeof prompt === 'string' ? 'text' : 'chat';
          const name = form === 'all' ? files[0].name : `preferences-${form}-${kind}.${type}`;
          return { ...each, origin: each.origin ?? name };
        });
        expect(byId(judgments)).to.deep.equal(byId(expected));
      });
    }
  }

  for (const type of TYPES) {
    it(`are valid training data of the library: ${type}`, async () => {
      // Of each kind seven verdicts: three pairs of two labels, both bad, two thumbs; the others are picks and edits.
      const rows = { dpo: 2 * 3, kto: 2 * (3 * 2 + 2 + 2), sft: 2 * (3 + 1) };
      for (const [form, data, count] of [
        ['dpo', PREFERENCES, rows.dpo + NASTY.length],
        ['kto', LABELLED, rows.kto + 2 * NASTY.length],
        ['sft', TEXTS, rows.sft + NASTY.length],
      ] as const) {
        const files = await exportFiles(SOME, { form, type });
        const read = files.map(({ bytes, name }) => readDataset<object>(memorySource(bytes, name), data));
        expect((await Promise.all(read)).flat(), form).to.have.length(count);
      }
    });
  }

  it('of good texts are imported as thumbs', async () => {
    const { judgments, problems } = await throughFiles(
      [judgment('second', { prompt: CHAT, note: 'n' })],
      'sft',
      'jsonl',
    );
    expect(problems).to.deep.equal([]);
    expect(judgments).to.have.length(1);
    expect(judgments[0]).to.deep.include({ verdict: 'up', prompt: CHAT, note: 'n' });
    expect(judgments[0].drafts[0].text).to.match(/^the bad one/);
  });

  it('are not written if no judgment gives a row', async () => {
    expect(await exportFiles([judgment('tie')], { form: 'dpo', type: 'csv' })).to.deep.equal([]);
  });

  it('omit judgments that cannot be learned, except in the complete file', async () => {
    const empty = judgment('both-bad', { drafts: [draft(''), draft('B')] });
    for (const type of TYPES) {
      expect((await throughFiles([empty], 'all', type)).judgments[0]?.drafts).to.deep.equal(empty.drafts);
      const { judgments, problems } = await throughFiles([empty], 'kto', type);
      expect(judgments.map(({ verdict, drafts }) => [verdict, drafts[0]?.text])).to.deep.equal([
        ['down', 'B'],
      ]);
      expect(judgments[0]?.id).to.not.equal(empty.id);
      expect(problems[0]).to.match(/other draft is missing.* kept as a thumb\.$/);
    }
  });
});

describe('imported rows', () => {
  it("with TRL's columns become picks and thumbs, with ids of their content", async () => {
    const pairs = textFile('pairs.jsonl', {
      prompt: 'P',
      chosen: 'c',
      rejected: 'r',
      id: 7,
      score: 0.5,
      note: 'n',
    });
    const [read, again] = [await importFile(pairs), await importFile(pairs)];
    expect(read.judgments[0]).to.deep.include({
      prompt: 'P',
      verdict: 'first',
      drafts: [
        { text: 'c', ended: true },
        { text: 'r', ended: true },
      ],
      note: 'n',
      origin: 'pairs.jsonl',
    });
    expect(read.judgments[0].id)
      .to.match(/^file-[0-9a-f]{24}$/)
      .and.to.equal(again.judgments[0].id);
    expect(read.problems).to.deep.equal(['pairs.jsonl: columns that are not read: id, score.']);
    const labels = textFile('labels.csv', 'prompt,completion,label', 'P,good,true', 'P,bad,0');
    const thumbs = (await importFile(labels)).judgments.map(({ verdict, drafts }) => [
      verdict,
      drafts[0].text,
    ]);
    expect(thumbs).to.deep.equal([
      ['up', 'good'],
      ['down', 'bad'],
    ]);
  });

  it('get their prompt from the common start of two conversations', async () => {
    const turn = (role: string, content: unknown) => ({ role, content });
    const rows = [
      {
        chosen: [turn('user', 'Q'), turn('assistant', 'c')],
        rejected: [turn('user', 'Q'), turn('assistant', 'r')],
      },
      { messages: [turn('user', [{ type: 'text', text: 'Q' }]), turn('assistant', 'a')] },
    ];
    const { judgments, problems } = await importFile(textFile('chats.jsonl', ...rows));
    expect(problems).to.deep.equal([]);
    expect(judgments.map(({ prompt, verdict }) => [prompt, verdict])).to.deep.equal([
      [[turn('user', 'Q')], 'first'],
      [[turn('user', 'Q')], 'up'],
    ]);
  });

  it('are reported if they cannot be used, and the others are used', async () => {
    const assistant = { role: 'assistant', content: 'a' };
    const user = { role: 'user', content: 'Q' };
    const rows = [
      { prompt: 'P', chosen: 'c', rejected: 'r' },
      { prompt: 'P', chosen: '', rejected: 'r' },
      { prompt: 'P', chosen: 'c', rejected: 3 },
      { prompt: 'P', completion: 'c', label: 'good' },
      { prompt: [user], chosen: [assistant, user, assistant], rejected: [assistant] },
      { messages: [user, { ...assistant, tool_calls: [{}] }] },
      { text: 'T' },
      { messages: [assistant] },
      { prompt: 'P', chosen: 'c', rejected: 'r', verdict: 'best', time: '2026-01-01T00:00:00Z' },
      { prompt: 'P', chosen: 'c', rejected: 'r', verdict: 'first', time: 'today' },
      { prompt: 'P', chosen: 'c', rejected: 'r' },
    ];
    const { judgments, problems } = await importFile(textFile('mixed.jsonl', ...rows));
    expect(judgments).to.have.length(1);
    expect(problems.map((problem) => problem.replace(/^mixed\.jsonl(, line )?/, ''))).to.satisfy(
      (all: string[]) => {
        const expected = [
          /^2: the completion "chosen" is empty/,
          /^3: "rejected" must be text or messages, got a number/,
          /^4: "label" must be true or false, got a string/,
          /^5: "chosen" has turns of: assistant, user, assistant/,
          /^6: a turn of "messages" has "tool_calls"/,
          /^7: has only "text"/,
          /^8: no turn of "messages" comes before the completion/,
          /^9: "verdict" is "best"/,
          /^10: "time" is "today"/,
          /^: 1 row repeats another and counts once/,
        ];
        all.forEach((problem, i) => {
          expect(problem).to.match(expected[i]);
        });
        return all.length === expected.length;
      },
    );
  });

  it('are counted if many cannot be used', async () => {
    const rows = Array.from({ length: 30 }, () => ({ prompt: 'P', chosen: '', rejected: 'r' }));
    const { problems } = await importFile(textFile('bad.jsonl', ...rows));
    expect(problems).to.have.length(21);
    expect(problems.at(-1)).to.equal('10 more rows could not be read, for reasons like these.');
  });

  it('are all rejected if the file cannot be read, with the line of the error', async () => {
    const failure = async (file: File) => {
      const error = await importFile(file).then(
        () => undefined,
        (reason: Error) => reason,
      );
      return error?.message;
    };
    expect(
      await failure(textFile('cut.jsonl', { prompt: 'P', chosen: 'c', rejected: 'r' }, '{"prompt": ')),
    ).to.match(/^cut\.jsonl, line 2/);
    expect(await failure(textFile('other.csv', 'a,b', '1,2'))).to.match(
      /^other\.csv: has the columns .*as TRL does\.$/,
    );
    expect(await failure(textFile('named.parquet', 'text'))).to.match(
      /^named\.parquet: is not a Parquet file/,
    );
  });

  it('from two rows of one judgment become thumbs if they no longer agree', async () => {
    const [file] = await exportFiles([judgment('first')], { form: 'kto', type: 'jsonl' });
    const text = new TextDecoder().decode(file.bytes).replace('"label":false', '"label":true');
    const { judgments, problems } = await importFile(textFile('kto.jsonl', text));
    expect(judgments.map(({ verdict }) => verdict)).to.deep.equal(['up', 'up']);
    expect(problems).to.have.length(2);
  });
});

describe('merging judgments', () => {
  it('treats an equal id as the same judgment, and keeps both if they differ', async () => {
    const mine = [judgment('first'), judgment('second')];
    const changed = { ...mine[1], verdict: 'tie', origin: 'theirs.jsonl' } as const;
    const theirs = [{ ...mine[0], origin: 'theirs.jsonl' }, changed, judgment('up')];
    const merged = merge(mine, theirs);
    expect(merged).to.include({ same: 1, conflicts: 1 });
    expect(merged.added.map(({ verdict, tags }) => [verdict, tags])).to.deep.equal([
      ['tie', ['conflict']],
      ['up', undefined],
    ]);
    expect(new Set([...mine, ...merged.added].map(({ id }) => id)).size).to.equal(4);
    expect(mergeText(merged)).to.equal(
      '2 judgments added. 1 was there already. 1 differs from a judgment of the same id: both are kept, the new one with the tag “conflict”.',
    );
    const again = merge([...mine, ...merged.added], theirs);
    expect(again).to.deep.equal({ added: [], same: 3, conflicts: 0 });
  });
});

describe('prompts of a file', () => {
  it('are lines of text, or a column of rows', async () => {
    expect(await readPrompts(textFile('p.txt', '\uFEFFOne', '', ' Two ', 'One'))).to.deep.equal({
      prompts: ['One', ' Two '],
      problems: ['p.txt: 1 prompt repeats another and counts once.'],
    });
    const chat = JSON.stringify(CHAT).replaceAll('"', '""');
    const { prompts } = await readPrompts(textFile('p.csv', 'prompt,x', 'One,1', `"${chat}",2`));
    expect(prompts).to.deep.equal(['One', CHAT]);
    const files = await exportFiles(SOME, { form: 'dpo', type: 'parquet' });
    const read = await Promise.all(files.map((file) => readPrompts(fileOf(file))));
    expect(read.flatMap((each) => each.prompts))
      .to.include('a\nb prompt')
      .and.to.deep.include(CHAT);
  });

  it('are reported if they cannot be used', async () => {
    const rows = [
      { prompt: 'P' },
      { prompt: ' ' },
      { prompt: [{ role: 'assistant', content: 'a' }] },
      { prompt: 3 },
    ];
    const { prompts, problems } = await readPrompts(textFile('p.jsonl', ...rows));
    expect(prompts).to.deep.equal(['P']);
    expect(problems).to.have.length(3);
    expect(problems[1]).to.match(/^p\.jsonl, line 3: the prompt ends with a turn of "assistant"\. End it/);
  });
});
