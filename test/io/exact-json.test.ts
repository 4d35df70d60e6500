import { expect } from 'chai';
import { exactJson, exactJsonFile, Float, keysOf, parseExactJson } from '../../src/io/exact-json.ts';
import { expectRefused } from './refused.ts';

const parse = (text: string) => parseExactJson(text, 'a.json');

describe('io/exact-json', () => {
  it('keeps ints of any size, and floats with integer values', () => {
    const big = '1234567890123456789012345678901234567890';
    expect(parse(`[1, -7, 0, 9007199254740991, 9007199254740993, ${big}]`)).to.deep.equal([
      1,
      -7,
      0,
      2 ** 53 - 1,
      2n ** 53n + 1n,
      BigInt(big),
    ]);
    const floats = parse('{"a": [1.0, 1e3, -0.0, 0.5, 1e-07, 1e400]}') as { a: unknown[] };
    expect(floats.a.map((each) => each instanceof Float)).to.deep.equal([
      true,
      true,
      true,
      false,
      false,
      true,
    ]);
    expect(floats.a.map(Number)).to.deep.equal([1, 1000, -0, 0.5, 1e-7, Infinity]);
    expect(JSON.stringify(floats.a[0])).to.equal('1');
  });

  it("reads Python's NaN and infinities", () => {
    const [nan, ...infinite] = parse('[NaN, Infinity, -Infinity]') as number[];
    expect(nan).to.be.NaN;
    expect(infinite).to.deep.equal([Infinity, -Infinity]);
    expect(parse('{"a": "NaN, 1.0 and -Infinity", "b\\"NaN": "\\\\"}')).to.deep.equal({
      a: 'NaN, 1.0 and -Infinity',
      'b"NaN': '\\',
    });
  });

  it('preserves the order of keys, whatever their names', () => {
    const text = '{"b": 1, "10": 1.0, "2": {"x": 1, "1": 2}, "__proto__": 3}';
    const value = parse(text) as { 2: object };
    expect(keysOf(value)).to.deep.equal(['b', '10', '2', '__proto__']);
    expect(keysOf(value[2])).to.deep.equal(['x', '1']);
    expect(Object.getPrototypeOf(value)).to.equal(Object.prototype);
    expect(exactJson(value)).to.equal('{"b":1,"10":1.0,"2":{"x":1,"1":2},"__proto__":3}');
    expect(keysOf({ b: 1, a: 2 })).to.deep.equal(['b', 'a']);
  });

  it('writes what it reads', () => {
    const text =
      '{"a":[1.0,-0.0,1e-7,12345678901234567890,null,true,"é\\n",NaN,Infinity,-Infinity,1e+300],"b":{}}';
    expect(exactJson(parse(text))).to.equal(text);
    expect(exactJson({ b: 1, a: [undefined], c: undefined }, { sorted: true })).to.equal(
      '{"a":[null],"b":1}',
    );
  });

  it('writes a file like Python, with floats under the names that must be floats', () => {
    const value = {
      ...(parse('{"a": 1.0, "b": [2, 12345678901234567890, NaN]}') as object),
      cap: 30,
      d: 'x',
      e: {},
    };
    const text = new TextDecoder().decode(exactJsonFile(value, new Set(['cap'])));
    expect(text).to.equal(
      '{\n  "a": 1.0,\n  "b": [\n    2,\n    12345678901234567890,\n    NaN\n  ],\n  "cap": 30.0,\n  "d": "x",\n  "e": {}\n}\n',
    );
  });

  it('reports the position of invalid JSON, with or without NaN', async () => {
    for (const [text, place] of [
      ['{"a": NaN, "b": }', 'line 1, column 17'],
      ['{"a": 1.0,\n"b": nan}', 'line 2, column 6'],
      ['[01]', 'line 1, column 3'],
      ['[1.]', 'line 1'],
      ['[NaN', 'line 1, column 5'],
      ['', 'line 1'],
    ]) {
      await expectRefused(() => parse(text), 'a.json', place);
    }
    expect(parse('\ufeff[1.5]')).to.deep.equal([1.5]);
    await expectRefused(() => parse(`${'['.repeat(1e5)}1.0${']'.repeat(1e5)}`), 'a.json', 'nested');
    await expectRefused(() => parse(`[${'1'.repeat(5000)}]`), 'a.json', '4300 digits');
  });
});
