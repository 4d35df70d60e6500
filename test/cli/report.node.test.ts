/** The report: it is self-contained, its policy allows only its own script, and what a model wrote stays text. */
import { createHash } from 'node:crypto';
import { expect } from 'chai';
import { alignReport } from '../../src/cli/report/align-page.ts';
import { curves, histogram } from '../../src/cli/report/figures.ts';
import { html, scriptJson } from '../../src/cli/report/html.ts';
import { reportPage } from '../../src/cli/report/page.ts';
import { chartLibrary } from '../../src/cli/report/uplot.ts';
import { alignRun, reportData } from './report-data.ts';

describe('cli/report', () => {
  it('escapes values in a template, exactly once', () => {
    const inner = html`<b title="${'"'}">${'<&>'}</b>`;
    expect(html`${inner}${['a', inner]}${false}${undefined}${0}`.source).to.equal(
      '<b title="&quot;">&lt;&amp;&gt;</b>a<b title="&quot;">&lt;&amp;&gt;</b>0',
    );
    expect(scriptJson('</script><!--').source).to.equal('"\\u003c/script>\\u003c!--"');
  });

  it('counts every story in a bin', () => {
    const sides = [
      { label: 'before', kind: 'before' as const, values: [-3, 0, 0, 60] },
      { label: 'after', kind: 'after' as const, values: [5] },
    ];
    const { x, series } = histogram({ title: '', meaning: '', axis: '', whole: true, sides })!;
    expect(x.length).to.be.at.most(26);
    const counted = series.map(({ values }) => values.reduce((sum: number, value) => sum + (value ?? 0), 0));
    expect(counted).to.deep.equal([4, 1]);
    expect(x.every((value, i) => i === 0 || value - x[i - 1] === 3)).to.equal(true);
  });

  it('has a point for every step and every evaluation', () => {
    const [loss] = curves(alignRun().log).main;
    expect(loss?.x).to.deep.equal([1, 2, 3, 4]);
    expect(loss?.series.map(({ values }) => values.filter((value) => value !== null).length)).to.deep.equal([
      4, 4, 1,
    ]);
  });

  it('is one page that loads nothing and runs only its own script', async () => {
    const hostile = `</script><script>alert(1)</script><img src=x onerror="alert(2)">`;
    const page = reportPage(reportData(hostile), await chartLibrary());
    expect(page)
      .to.not.include('<img')
      .and.not.match(/<[^<>]*\s(?:src|href)=/);
    expect(page.match(/<script/g)).to.have.length(1);
    const script = page.slice(page.indexOf('<script>') + 8, page.lastIndexOf('</script>'));
    const hash = createHash('sha256').update(script).digest('base64');
    expect(page).to.include(`script-src &#39;sha256-${hash}&#39;`);
    expect(page).to.include('&lt;script&gt;alert(1)&lt;/script&gt;');
  });

  it('shows how the stories read before and after, and which were cut', async () => {
    const page = reportPage(reportData(), await chartLibrary());
    const figures: [name: string, before: string, after: string][] = [
      ['Fluency', '−2.00', '−1.50'],
      ['Distinct-3', '90.0%', '80.0%'],
      ['Length', '40.0', '30.0'],
      ['Ended', '10.0%', '25.0%'],
    ];
    for (const [name, before, after] of figures)
      expect(page).to.include(
        `<dt>${name}</dt><dd class="figure"><small>${before} →</small> <em>${after}</em></dd>`,
      );
    expect(page).to.match(/<p>She <mark[^>]*>cried<\/mark>\. …<\/p>/);
    const { after, ...run } = alignRun();
    const ended = after.map((story) => ({ ...story, finished: 'eos' as const }));
    const [card] = alignReport({ ...run, after: ended }).samples?.cards.slice(1) ?? [];
    expect(String(card?.sides[1]?.text.at(-1))).to.equal(' it.');
  });

  it('is the same page for the same run', async () => {
    const library = await chartLibrary();
    expect(reportPage(reportData(), library)).to.equal(reportPage(reportData(), library));
  });
});
