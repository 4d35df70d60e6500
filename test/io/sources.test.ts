import { expect } from 'chai';
import { memoryFiles } from '../../src/io/files.ts';
import { openSource, type Source } from '../../src/io/sources.ts';
import { tinyGguf } from '../support/gguf.ts';
import { inNode } from '../support/gpu.ts';
import { expectRefused } from './refused.ts';

/** A file as a browser provides it for a folder that a person has picked. */
function picked(path: string, content: string): File {
  const file = new File([content], path.split('/').at(-1)!);
  return Object.defineProperty(file, 'webkitRelativePath', { value: path });
}

describe('io/sources', () => {
  it('returns an open folder unchanged', async () => {
    const files = memoryFiles({});
    expect(await openSource(files)).to.equal(files);
  });

  it('opens a chosen folder, without the common parent of its files', async () => {
    const list = [picked('my/model/config.json', '{}'), picked('my/model/sub/a', 'x')];
    for (const source of [list, new Set(list)]) {
      const files = await openSource(source);
      expect(files.name).to.equal('model');
      expect(await files.readText('config.json')).to.equal('{}');
      expect(await files.readText('sub/a')).to.equal('x');
      expect(await files.exists('model/config.json')).to.equal(false);
      await expectRefused(() => files.read('b'), 'model', 'there is no file "b"');
    }
  });

  it('opens files that were dropped one by one', async () => {
    const files = await openSource([new File(['{}'], 'config.json'), new File(['w'], 'model.safetensors')]);
    expect(files.name).to.equal('the chosen files');
    expect(await files.readText('model.safetensors')).to.equal('w');
    await expectRefused(() => openSource([]), 'the chosen files', 'the list is empty');
  });

  it('accepts weights with an unusual name', async () => {
    const files = await openSource(new File(['w'], 'mine.safetensors'));
    expect(await files.readText('model.safetensors')).to.equal('w');
    expect(await files.exists('model.safetensors')).to.equal(true);
    expect(await files.exists('config.json')).to.equal(false);
    await expectRefused(() => files.read('config.json'), 'there is no file "config.json"');
  });

  it('accepts a GGUF file as a whole model, alone or as the only one in a folder', async () => {
    const gguf = (name: string, ...more: File[]) => [new File([tinyGguf()], name), ...more];
    for (const source of [gguf('mine.gguf'), gguf('mine.GGUF', new File(['x'], 'README.md'))]) {
      const files = await openSource(source);
      expect(files.name.toLowerCase()).to.include('mine.gguf');
      expect(await files.readText('config.json')).to.include('"llama"');
      expect(await files.exists('tokenizer.json')).to.equal(true);
      expect(await files.exists('special_tokens_map.json')).to.equal(false);
    }
    const beside = await openSource(gguf('mine.gguf', new File(['{}'], 'config.json')));
    expect(await beside.readText('config.json'), 'a folder with its own').to.equal('{}');
    await expectRefused(
      () => openSource(gguf('a.gguf', ...gguf('b.gguf'))),
      'a.gguf, b.gguf',
      'Name the file',
    );
    await expectRefused(() => openSource(new File(['x'], 'a.gguf')), 'a.gguf', 'is not GGUF');
  });

  it('reports GGUF files that are not models', async () => {
    const open = (metadata: Parameters<typeof tinyGguf>[0]) =>
      openSource(new File([tinyGguf(metadata)], 'a.gguf'));
    await expectRefused(() => open({ 'general.type': 'adapter' }), 'a.gguf', 'an adapter');
    await expectRefused(() => open({ 'split.count': 3 }), 'a.gguf', 'one of 3 files', '--merge');
  });

  it('reads the URL of a file as that file and its folder', async () => {
    const asked: string[] = [];
    const pretend: typeof fetch = async (input) => {
      asked.push(String(input));
      return new Response(String(input).includes('config') ? '{}' : 'w');
    };
    const address = 'https://example.org/m/mine.safetensors?k=1';
    const files = await openSource(address, { fetch: pretend });
    expect(await files.readText('model.safetensors')).to.equal('w');
    expect(await files.readText('config.json')).to.equal('{}');
    expect(asked[0]).to.equal(address);
    expect(asked.at(-1)).to.equal('https://example.org/m/config.json?k=1');
    const folder = await openSource(new URL('https://example.org/m/'), { fetch: pretend });
    expect([folder.name, await folder.readText('config.json')]).to.deep.equal([
      'https://example.org/m',
      '{}',
    ]);
  });

  it('resolves a relative URL against the given base', async () => {
    const asked: string[] = [];
    const pretend: typeof fetch = async (input) => {
      asked.push(String(input));
      return new Response('{}');
    };
    const base = new URL('https://example.org/app/index.html?x#y');
    for (const source of ['/m', './m', '../m', '//other.org/m/w.safetensors']) {
      const files = await openSource(source, { base, fetch: pretend });
      await files.readText('config.json');
    }
    expect(asked).to.deep.equal([
      'https://example.org/m/config.json',
      'https://example.org/app/m/config.json',
      'https://example.org/m/config.json',
      'https://other.org/m/w.safetensors',
      'https://other.org/m/config.json',
    ]);
    const refused = (wrong: string) => () => openSource('./m', { base: wrong, fetch: pretend });
    await expectRefused(
      refused('blob:x'),
      '"./m"',
      'the option base, "blob:x"',
      'ive the address of the page',
    );
  });

  const REFUSED: [string, Source, ...string[]][] = [
    ['a name without an owner', 'SmolLM2', '"SmolLM2"', 'a repository (owner/name)'],
    ['nothing', '', 'not a folder'],
    ['another scheme', 'ftp://x/y', 'not a folder'],
    ['a password', 'https://me:hush@example.org/m', 'example.org', 'a user name or a password'],
    ['a file that is not a model', 'a/b/readme.txt', 'a/b/readme.txt', '.safetensors', '.gguf'],
    ['something else', 7 as unknown as Source, 'not a folder'],
  ];
  for (const [what, source, ...parts] of REFUSED) {
    it(`refuses ${what}`, () =>
      expectRefused(() => openSource(source, { cache: undefined, offline: true }), ...parts));
  }

  it('rejects a revision for other sources than repositories', () =>
    expectRefused(
      () => openSource(memoryFiles({}, 'mine'), { revision: 'v1' }),
      'mine',
      '"v1"',
      'Leave the revision out',
    ));

  if (inNode) {
    it('says where folders are opened in Node', () =>
      expectRefused(() => openSource('/a/b'), '"/a/b"', 'there is no page', "'webalign/node'"));

    it('says where a repository is opened in Node', () =>
      expectRefused(() => openSource('a/b'), 'a/b', "'webalign/node'", 'option cache'));
  }
});
