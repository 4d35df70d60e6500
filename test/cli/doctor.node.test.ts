/** `doctor --ci --junit`: what a CI system reads, also when there is no adapter. */
import { readFile } from 'node:fs/promises';
import { expect } from 'chai';
import { junitReport } from '../../src/cli/junit.ts';
import { Workshop } from './workshop.ts';

describe('cli: doctor in CI', () => {
  let workshop: Workshop;
  before(async () => {
    workshop = await Workshop.open();
  });
  after(() => workshop.close());

  it('writes every check as JUnit', async () => {
    const path = workshop.path('doctor.xml');
    const { code, json } = await workshop.run(['doctor', '--junit', path]);
    expect(code).to.equal(0);
    const text = await readFile(path, 'utf8');
    const names = (json.tests as { name: string }[]).map(({ name }) => name);
    expect(text).to.include(`tests="${names.length + 1}" failures="0" skipped="0"`);
    for (const name of names)
      expect(text).to.include(`<testcase classname="webalign doctor" name="${name}"/>`);
  });

  it('escapes what XML cannot hold', () => {
    const report = junitReport('a "suite"', [
      { name: 'x < y & z', failure: 'line one\nline two\u0007' },
      { name: 'left out', skipped: 'not there' },
      { name: 'fine' },
    ]);
    expect(report.split('\n').slice(1)).to.deep.equal([
      '<testsuites tests="3" failures="1" skipped="1">',
      '  <testsuite name="a &quot;suite&quot;" tests="3" failures="1" skipped="1">',
      '    <testcase classname="a &quot;suite&quot;" name="x &lt; y &amp; z"><failure message="line one&#10;line two "/></testcase>',
      '    <testcase classname="a &quot;suite&quot;" name="left out"><skipped message="not there"/></testcase>',
      '    <testcase classname="a &quot;suite&quot;" name="fine"/>',
      '  </testsuite>',
      '</testsuites>',
      '',
    ]);
  });
});
