/** Where methods converge: the page is that of the stored figures, and the command writes it again without any device. */
import { cp, readFile } from 'node:fs/promises';
import { expect } from 'chai';
import { keptFigures, type MethodResult, readFigures } from '../../src/studies/fixed-points/collect.ts';
import { METHODS } from '../../src/studies/fixed-points/methods.ts';
import { fixedPointsPage, type Row, strayed } from '../../src/studies/fixed-points/page.ts';
import { Workshop } from '../cli/workshop.ts';

const KEPT = 'docs/fixed-points';

async function kept(): Promise<Row[]> {
  const rows = await readFigures(await keptFigures(KEPT));
  if (!rows) throw new Error('Figures are not those of the methods as they are now: npm run fixed-points');
  return rows;
}

describe('cli: fixed-points', () => {
  it('docs/fixed-points.md is generated from the stored results', async () => {
    const rows = await kept();
    expect(rows.map(({ method }) => method.id)).to.deep.equal(METHODS.map(({ id }) => id));
    expect(await readFile(`${KEPT}.md`, 'utf8')).to.equal(fixedPointsPage(rows));
  });

  it('every method is at its predicted fixed point', async () => {
    expect(strayed(await kept()).map(({ method }) => method.id)).to.deep.equal([]);
  });

  it('a method at another point is reported', async () => {
    const [row] = (await kept()) as [Row];
    const moved = (tree: MethodResult['tree']): Row => ({ ...row, result: { ...row.result, tree } });
    const off = moved({ objective: 1, predicted: 1.1 });
    expect(strayed([row, off])).to.deep.equal([off]);
    expect(fixedPointsPage([off])).to.include(`Not at their prediction: ${row.method.name}.`);
    expect(strayed([moved({ objective: Number.NaN, predicted: 1 })])).to.have.length(1);
  });

  it('the command writes the same page from stored results', async () => {
    const workshop = await Workshop.open();
    try {
      const out = workshop.path('points');
      await cp(KEPT, out, { recursive: true });
      const { code, json, stderr } = await workshop.run(['fixed-points', '--out', out]);
      expect(code, stderr).to.equal(0);
      expect(json.strayed).to.deep.equal([]);
      expect(stderr).to.not.include('steps');
      const text = await readFile(`${out}.md`, 'utf8');
      expect(text).to.equal(await readFile(`${KEPT}.md`, 'utf8'));
    } finally {
      await workshop.close();
    }
  });
});
