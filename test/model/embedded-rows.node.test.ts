/**
 * Groups of sentences that the embedded model writes, in rows that are refilled: about one step of a row per token. Before rows
 * were refilled, a batch ran until its longest sentence ended: 1.4 steps per token.
 */
import { expect } from 'chai';
import { Tokenizer } from '../../src/data/tokenizer.ts';
import { CausalLM } from '../../src/model/causal-lm.ts';
import { openSource } from '../../src/node/sources.ts';
import { testGpu } from '../support/gpu.ts';
import { counted } from './row-steps.ts';

describe('embedded rows', () => {
  it('take 1.1 steps per token at most: 64 prompts, 8 sentences each, 64 rows', async function () {
    this.timeout(600_000);
    const files = await openSource('demos/align/model');
    const model = await CausalLM.load(await testGpu(), files);
    const tokenizer = await Tokenizer.fromFiles(files);
    const lines = (await (await openSource('demos/align/recipe')).readText('openings.txt'))
      .trim()
      .split('\n');
    const prompts = lines.slice(0, 64).map((line) => tokenizer.encode(line));
    const eosTokenIds = [2, tokenizer.encode('.').at(-1)!];
    const { texts, rowSteps, tokens } = await counted(model, prompts, {
      ...{ maxNewTokens: 48, numReturnSequences: 8, seed: 3 },
      ...{ eosTokenIds, batchSize: 64 },
    });
    expect(texts).to.have.length(512);
    expect(new Set(texts.map(({ ids }) => ids.length)).size).to.be.above(20);
    expect(rowSteps / tokens).to.be.within(1, 1.1);
    model.dispose();
  });
});
