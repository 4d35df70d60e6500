import { expect } from 'chai';
import { InputError, listed, quote } from '../../src/io/errors.ts';
import { parseJson, parseJsonObject, parsePythonObject, scanJson } from '../../src/io/json.ts';
import { expectRefused } from './refused.ts';

describe('io/json', () => {
  it('reads the same as the platform, and refuses a byte order mark like transformers', async () => {
    await expectRefused(() => parseJson('\uFEFF{}', 'a.json'), 'a.json, line 1, column 1', 'byte order mark');
    expect(parseJson('{"a": [1, -2.5e3, "x\\n\\u00e9", true, null, {}, []]}', 'a.json')).to.deep.equal({
      a: [1, -2500, 'x\n\u00e9', true, null, {}, []],
    });
  });

  it("reads Python's NaN and infinities in configurations as texts, and locates other errors", async () => {
    const read = (text: string) => parsePythonObject(text, 'a.json');
    expect(read('{"a": [NaN, -Infinity, 1.0], "b\\"NaN": "\\\\ NaN", "c": Infinity}')).to.deep.equal({
      a: ['NaN', '-Infinity', 1],
      'b"NaN': '\\ NaN',
      c: 'Infinity',
    });
    await expectRefused(() => read('{"a":\n NaNs}'), 'a.json, line 2, column 2', 'not valid JSON');
    await expectRefused(() => read('["NaN"]'), 'a.json', 'a list, not a JSON object');
    await expectRefused(() => read('\uFEFF{"a": 1}'), 'a byte order mark');
  });

  const broken: [string, string][] = [
    ['', 'line 1, column 1'],
    ['{"a": 1,}', 'line 1, column 9'],
    ['{"a": nope}', 'line 1, column 7'],
    ['{\n  "a": 1\n  "b": 2\n}', 'line 3, column 3'],
    ['[1, 2', 'line 1, column 6'],
    ['[1, 2]]', 'line 1, column 7'],
    ['["a\nb"]', 'line 1, column 4'],
    ['["\\x"]', 'line 1, column 3'],
    ['{"a" 1}', 'line 1, column 6'],
    ['{1: 2}', 'line 1, column 2'],
    ['[01]', 'line 1, column 3'],
    ['[1 2]', 'line 1, column 4'],
    ['{"a": 1]', 'line 1, column 8'],
  ];
  for (const [text, place] of broken) {
    it(`locates the error in ${JSON.stringify(text)}`, () =>
      expectRefused(() => parseJson(text, 'a.json'), 'a.json', place));
  }

  it('agrees with the platform on validity, for texts damaged at every position', () => {
    const text = '{"a": [1, -0.5e+3, "x\\u00e9\\n"], "b": {"c": true, "d": null, "e": false}, "f": []}';
    for (let at = 0; at < text.length; at++) {
      for (const damage of ['', ',', '"', '}', ']', '0', ' ', '\\', 'e']) {
        const damaged = text.slice(0, at) + damage + text.slice(at + 1);
        let valid = true;
        try {
          JSON.parse(damaged);
        } catch {
          valid = false;
        }
        expect(scanJson(damaged).error === undefined, damaged).to.equal(valid);
      }
    }
  });

  it('finds duplicate names, escaped or not, in the same object only', () => {
    expect(scanJson('{"a": {"b": 1}, "c": {"b": 1}}').duplicate).to.equal(undefined);
    expect(scanJson('{"a": 1, "b": [{"c": 1, "\\u0063": 2}]}').duplicate).to.equal('c');
  });

  it('walks 200,000 levels without recursion', () => {
    expect(scanJson('['.repeat(2e5)).error).to.equal(2e5);
    expect(scanJson(`${'['.repeat(2e5)}${']'.repeat(2e5)}`)).to.deep.equal({});
  });

  it('rejects values that are not objects', () =>
    expectRefused(() => parseJsonObject('[1]', 'config.json'), 'config.json', 'a list'));

  it('keeps malicious values short and on one line in messages', () => {
    expect(quote('a\nb')).to.equal('"a\\nb"');
    expect(quote('x'.repeat(1000))).to.have.length(80);
    let deep: unknown = 0;
    for (let level = 0; level < 200_000; level++) deep = [deep];
    expect(quote(deep).length).to.be.at.most(80);
    expect(listed(Array.from({ length: 12 }, (_, i) => i))).to.equal('0, 1, 2, 3, 4, 5, 6, 7 and 4 more');
    expect(new InputError('a.jsonl, line 3', 'is empty', 'Fill it').message).to.equal(
      'a.jsonl, line 3: is empty. Fill it.',
    );
  });
});
