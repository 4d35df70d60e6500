import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { expect } from 'chai';
import { memoryFiles } from '../../src/io/files.ts';
import { readAdapter } from '../../src/io/peft.ts';
import { isItsTurn } from '../support/slice.mjs';
import { DemoPage } from './demo-page.ts';

/** Few prompts and steps, so that a run takes seconds even on a software adapter: evaluated after each second step. */
const STEPS = 5;
const SETTINGS = { maxSteps: String(STEPS), promptsPerStep: '2', numGenerations: '3', r: '4' };

/** Variations of the first runs, each of which takes half a minute: one of them runs per day. */
const FURTHER = ['stop', 'typed', 'failing', 'choices', 'pairs'] as const;

function skipUnlessItsTurn(test: Mocha.Context, run: (typeof FURTHER)[number]): void {
  if (!isItsTurn(FURTHER.indexOf(run), FURTHER.length)) test.skip();
}

describe('the demo of rewards', function () {
  this.timeout(600_000);

  let demo: DemoPage;

  before(async () => {
    demo = await DemoPage.open('rlhf', { train: 12, heldOut: 1 });
  });

  after(() => demo?.close());

  /** The stories on the page, by row. */
  const shown = () =>
    demo.page.locator('.completions').evaluateAll((rows) =>
      rows.map((row) =>
        [...row.querySelectorAll<HTMLElement>('.completion')].map((cell) => ({
          story: cell.querySelector('.story')?.textContent ?? '',
          figures: [...cell.querySelectorAll('dd')].map((each) => Number(each.innerText.replace('−', '-'))),
          advantage: cell.dataset.advantage,
        })),
      ),
    );

  const choose = (reward: string) =>
    demo.page.getByLabel('Reward', { exact: true }).selectOption({ label: reward });

  let uninterrupted: Record<string, Uint8Array>;

  it('loads, shows its adapter and offers to start', async () => {
    await demo.status('Ready');
    expect(await demo.text('adapter-text')).to.match(/Native GPU|Software adapter/);
    demo.requests.length = 0;
  });

  it('generates, is rewarded and learns with a responsive main thread', async () => {
    await demo.keepsFree(async () => {
      await demo.start(SETTINGS);
      await demo.status('64 stories of the original model');
      await demo.status('The model writes');
      for (let at = 1; at <= STEPS; at++) await demo.step(at);
      await demo.status('Done');
    });
    const [reward, kl, objective, gap] = await demo.charts();
    const value = '−?\\d+\\.\\d\\d';
    const both = `after step ${STEPS}: ${value} in training, ${value} held out`;
    expect(reward).to.match(new RegExp(`^Reward ${both}\\.$`));
    expect(kl).to.match(new RegExp(`^KL ${both}\\.$`));
    expect(objective).to.match(new RegExp(`^Objective J ${both}, ${value} at best, β log Z, at least`));
    expect(gap).to.match(new RegExp(`^Gap after step ${STEPS}: \\d+\\.\\d\\d held out`));
    expect(await demo.text('best')).to.match(/at least \d+\.\d\d ± \d\.\d\d/);
    expect(await demo.text('tile-step')).to.equal(`${STEPS} of ${STEPS}`);
  });

  it('shows the completions of each prompt, which are compared with each other', async () => {
    const groups = await shown();
    expect(groups.map(({ length }) => length)).to.deep.equal([3, 3]);
    for (const group of groups) {
      for (const { story, advantage, figures } of group) {
        expect(story.length).to.be.above(20);
        const shownAdvantage = figures[1];
        // What is shown as 0 may be slightly above or below 0.
        if (shownAdvantage !== 0) expect(advantage).to.equal(shownAdvantage > 0 ? 'up' : 'down');
      }
      // Leave-one-out advantages of a group add up to 0; each is shown with one digit.
      const sum = group.reduce((total, { figures }) => total + figures[1], 0);
      expect(Math.abs(sum)).to.be.below(0.16);
    }
  });

  it('shows earlier steps, with the keyboard', async () => {
    const latest = await shown();
    await demo.page.getByRole('slider').press('Home');
    await demo.page.getByText('Step 1', { exact: true }).waitFor();
    expect(await shown()).to.not.deep.equal(latest);
    await demo.press('Latest');
    await demo.page.getByText(`Step ${STEPS}`, { exact: true }).waitFor();
    expect(await shown()).to.deep.equal(latest);
  });

  it("offers an adapter in PEFT's files", async () => {
    uninterrupted = await demo.adapter();
    const { config, weights } = await readAdapter(memoryFiles(uninterrupted));
    expect(config.r).to.equal(4);
    expect([...weights.values()].every(({ b }) => b.some((value) => value !== 0))).to.equal(true);
  });

  it('pauses, survives its tab and its device, and ends with the same adapter', async () => {
    await demo.start(SETTINGS);
    await demo.status('The model writes');
    await demo.step(2);
    await demo.press('Pause');
    await demo.status('Paused at step');
    await demo.page.reload();
    await demo.status('is kept in this browser');
    await demo.press('Resume');
    await demo.status('The model writes');
    await demo.loseDevice();
    await demo.status('The GPU device was lost. Going on from the checkpoint at step');
    await demo.status('Done');
    expect(await demo.adapter()).to.deep.equal(uninterrupted);
  });

  it('stops early with the current adapter, and deletes the run on request', async function () {
    skipUnlessItsTurn(this, 'stop');
    await demo.start(SETTINGS);
    await demo.status('The model writes');
    await demo.step(1);
    await demo.press('Stop');
    await demo.status('Done after');
    expect(Object.keys(await demo.adapter())).to.include('adapter_model.safetensors');
    await demo.page.reload();
    await demo.status('is kept in this browser');
    await demo.press('Discard');
    await demo.status('Ready');
  });

  describe('with a function that is typed in', () => {
    const type = (code: string) => demo.page.getByLabel('The function').fill(code);
    const verdict = (text: string) => demo.page.locator('#verdict').getByText(text).waitFor();
    /** Waits until this many functions run: a busy one takes a moment to end. */
    async function judges(count: number): Promise<void> {
      const running = () => demo.page.workers().filter((each) => each.url().startsWith('blob:null')).length;
      for (let tries = 0; tries < 100 && running() !== count; tries++) await demo.page.waitForTimeout(50);
      expect(running()).to.equal(count);
    }

    it('tests it while the user types', async () => {
      await choose('A function that you type');
      await verdict('dogs gives');
      await type('function loud(story) { return story.split("!").length - 1; }');
      await verdict('loud gives 0 to');
    });

    it('shows its errors by line and by story', async () => {
      await type('function broken(story) {\n  return story..length;\n}');
      await verdict('Line 2: SyntaxError');
      await type('3');
      await verdict('TypeError: This is not a function');
      await type('function bad(story) { return story.lenght; }');
      await verdict('bad: story 1 of 1: it returned undefined');
      await type('(story) => { while (true); }');
      await verdict('reward: it did not return within 2 s');
      await judges(0);
    });

    it('isolates it from the network, stored data and the page', async () => {
      demo.requests.length = 0;
      const tries = {
        fetch: `await fetch("${demo.server.url}/align/data/train.jsonl", { mode: "no-cors" })`,
        XMLHttpRequest: `const x = new XMLHttpRequest(); x.open("GET", "${demo.server.url}/x", false); x.send()`,
        importScripts: `importScripts("${demo.server.url}/rlhf/page.js")`,
        WebSocket: `await new Promise((r, e) => { new WebSocket("${demo.server.url.replace('http', 'ws')}").onerror = () => e(new Error("refused")) })`,
        indexedDB: 'indexedDB.open("webalign-rlhf")',
        eval: 'eval("1")',
      };
      for (const [name, code] of Object.entries(tries)) {
        await type(`async function ${name}_() { ${code}; return 1; }`);
        await verdict(`${name}_: story 1 of 1: `);
      }
      expect(demo.sent()).to.deep.equal([]);
    });

    it('learns from it, and ends it with the run', async function () {
      skipUnlessItsTurn(this, 'typed');
      await type(
        'async function loud(story, { tokens, prompt }) { return story.split("!").length - 1 + 0 * tokens * prompt.length; }',
      );
      await demo.start({ ...SETTINGS, maxSteps: '3' });
      await demo.status('The model writes');
      await demo.step(1);
      await judges(1);
      await demo.press('Pause');
      await demo.status('Paused at step');
      await judges(0);
      await demo.press('Resume');
      await demo.status('Done after 3');
      await judges(0);
      for (const { story, figures } of (await shown()).flat())
        expect(figures[0]).to.equal(story.split('!').length - 1);
    });

    it('ends a run whose function fails, naming it and the story', async function () {
      skipUnlessItsTurn(this, 'failing');
      await type(
        '(() => { let calls = 0; return function late() { if (++calls > 5) throw new Error("enough"); return 1; }; })()',
      );
      await verdict('late gives 1 to');
      await demo.start(SETTINGS);
      const words = 'reward function "late": threw "story 6 of 64: Error: enough"';
      await demo.page.locator('#status[data-kind=problem]').getByText(words).waitFor({ timeout: 120_000 });
      await judges(0);
      // Nothing was learned, so nothing can be saved.
      await demo.page.reload();
      await demo.status('Ready');
    });
  });

  describe('with a reward that is learned', () => {
    const answered = (text: string) => demo.page.locator('#answered').getByText(text).waitFor();

    it('asks which draft is better, stores the answers, and learns from them', async function () {
      skipUnlessItsTurn(this, 'choices');
      await choose('Learned from your choices');
      await demo.start({ ...SETTINGS, maxSteps: '2' });
      await demo.status('Your turn');
      const drafts = demo.page.locator('.draft');
      await answered('0 chosen, 8 to go');
      expect(await drafts.nth(0).innerText()).to.not.equal(await drafts.nth(1).innerText());
      await drafts.nth(0).click();
      await answered('1 chosen');
      await demo.page.keyboard.press('ArrowRight');
      await answered('2 chosen');
      await demo.press('Neither');
      await demo.press('Pause');
      await demo.status('Paused before the first step');
      await demo.page.reload();
      await demo.status('is kept in this browser');
      await demo.press('Resume');
      for (let count = 2; count < 8; count++) {
        await answered(`${count} chosen, ${8 - count} to go`);
        expect(await demo.button('Learn from my choices').getAttribute('aria-disabled')).to.equal('true');
        await drafts.nth(count % 2).click();
      }
      await answered('8 chosen: enough');
      await demo.press('Learn from my choices');
      await demo.status('A reward model learns');
      await demo.status('Done after 2');
      expect(await demo.text('reward-help')).to.match(/learned from 8 pairs. It tells \d+ %/);
      const rewards = (await shown()).flat().map(({ figures }) => figures[0]);
      expect(new Set(rewards).size).to.be.above(1);
    });

    it('learns from the pairs of the data, and shows the true reward', async function () {
      skipUnlessItsTurn(this, 'pairs');
      await choose('Learned from pairs');
      await demo.start({ ...SETTINGS, maxSteps: '2' });
      await demo.status('A reward model learns');
      await demo.status('Done after 2');
      const [reward] = await demo.charts();
      expect(reward).to.match(/in training, .* held out, −?[\d.]+ by AFINN, in training\.$/);
    });
  });

  it('contains the hash of the only script that may run with a typed function', async () => {
    const frame = await readFile('demos/rlhf/judge.html', 'utf8');
    const script = /<script>(.*?)<\/script>/s.exec(frame)?.[1] ?? '';
    expect(frame).to.include(`'sha256-${createHash('sha256').update(script).digest('base64')}'`);
  });

  it('logs only the expected errors', () => {
    // The console also reports the requests that a typed function tries in vain.
    expect(demo.errors.filter((text) => !/Content Security Policy|CSP|WebSocket/.test(text))).to.deep.equal(
      [],
    );
  });

  it('fits a phone', () => demo.fitsTelephone());

  it('says what to do without WebGPU', () => demo.saysWhatToDoWithoutWebGpu());
});
