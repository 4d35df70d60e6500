import { expect } from 'chai';
import { isCommit, isRevision, repositoryNamed, repositoryOfPage } from '../../../src/io/hub/repository.ts';

describe('io/repository', () => {
  const named = (id: string, revision?: string, file?: string) => ({ id, revision, file });
  const NAMES: [string, ReturnType<typeof named> | undefined][] = [
    ['HuggingFaceTB/SmolLM2-135M', named('HuggingFaceTB/SmolLM2-135M')],
    ['a/b', named('a/b')],
    ['hf://a/b.c_d', named('a/b.c_d')],
    ['a/b@main', named('a/b', 'main')],
    ['a/b@refs/pr/1', named('a/b', 'refs/pr/1')],
    ['hf://a/b@v1.0', named('a/b', 'v1.0')],
    ['a/b/model.gguf', named('a/b', undefined, 'model.gguf')],
    ['a/b@main/sub/model.gguf', named('a/b', 'main', 'sub/model.gguf')],
    ...[
      'a',
      'a/',
      '/a/b',
      './a/b',
      '../b',
      'a/b/c',
      'a//b',
      'a/b--c',
      'a/..b',
      'a/b.git',
      'a/b@',
      'a b/c',
      '~/m',
      'a\\b',
    ].map((text): [string, undefined] => [text, undefined]),
  ];
  for (const [text, found] of NAMES) {
    it(`${found ? 'reads' : 'does not take for a repository'} ${text}`, () =>
      expect(repositoryNamed(text)).to.deep.equal(found));
  }

  it('recognizes the URL of its page', () => {
    const page = (url: string) => repositoryOfPage(new URL(url), 'https://hub.example');
    expect(page('https://hub.example/a/b')).to.deep.equal(named('a/b'));
    expect(page('https://hub.example/a/b/tree/refs/pr/1')).to.deep.equal(named('a/b', 'refs/pr/1'));
    expect(page('https://hub.example/a/b/resolve/main')).to.equal(undefined);
    expect(page('https://hub.example/datasets/b')).to.equal(undefined);
    expect(page('https://elsewhere.example/a/b')).to.equal(undefined);
  });

  it('recognizes valid revisions', () => {
    for (const text of ['main', 'v1.0', 'refs/pr/1', 'a-b_c+d'])
      expect(isRevision(text), text).to.equal(true);
    for (const text of ['', '..', 'a/../b', '/a', 'a/', 'a//b', '.a', 'a/.b', 'a b', 'a.', 'C:x', 'a\0b'])
      expect(isRevision(text), text).to.equal(false);
    expect(isCommit('0'.repeat(40))).to.equal(true);
    expect(isCommit('0'.repeat(39))).to.equal(false);
    expect(isCommit('G'.repeat(40))).to.equal(false);
  });
});
