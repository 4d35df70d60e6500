import { expect } from 'chai';
import type { Browser, BrowserContext, Page } from 'playwright';
import { launchChromium, type Server, serve } from '../../src/testing.ts';
import { expectClose } from '../reference/compare.ts';
import { forwardKl, reverseKl } from '../reference/kl.ts';
import * as theory from '../reference/theory.ts';

const SHAPE = { rows: 1, cols: 3 };
const REFERENCE = [0.5, 0.3, 0.2].map(Math.log);
const ROWS = ['reference', 'optimal', 'ascent', 'dpo', 'ipo', 'forward'];
/** Half a unit of the last digit that a table shows of a probability; the other figures change less with it. */
const PRINTED = 6e-4;

describe('the demo of the optimum', function () {
  this.timeout(120_000);

  let browser: Browser;
  let server: Server;
  let context: BrowserContext;
  let page: Page;
  const errors: string[] = [];
  const requests: string[] = [];

  before(async () => {
    browser = await launchChromium();
    server = await serve({ '/': 'dist/demos' });
    context = await browser.newContext({ locale: 'en-US', viewport: { width: 1280, height: 1000 } });
    page = await context.newPage();
    page.on('console', (message) => {
      if (message.type() === 'error' || message.type() === 'warning') errors.push(message.text());
    });
    page.on('pageerror', (error) => errors.push(String(error)));
    context.on('request', (request) => requests.push(request.url()));
    await page.goto(`${server.url}/optimum/`);
  });

  after(async () => {
    await browser?.close();
    await server?.close();
  });

  /** The numbers of an element, exact and not as rounded for display. */
  const numbers = (selector: string) =>
    page
      .locator(`${selector} data`)
      .evaluateAll((all) => all.map((each) => Number((each as HTMLDataElement).value)));

  async function row(name: string) {
    const [a, b, c, reward, kl, value, gap] = await numbers(`#row-${name}`);
    return { policy: [a, b, c], reward: reward, kl: kl, value: value, gap: gap };
  }

  /** Sets sliders and waits until the page has updated. */
  async function set(values: Record<string, number>): Promise<void> {
    for (const [name, value] of Object.entries(values))
      await page.locator(`[name=${name}]`).fill(String(value));
    await settled();
  }

  const settled = () => page.waitForFunction(() => document.getElementById('controls')?.ariaBusy === 'false');

  /** Compares every number of the table and the tiles with float64. */
  async function checkNumbers(beta: number, rewards: number[]): Promise<void> {
    const truth = theory.optimalPolicy(REFERENCE, rewards, [beta], SHAPE);
    const best = truth.optimum[0];
    const [z] = await numbers('#tile-z');
    expect(z / Math.exp(truth.logPartition[0])).to.be.closeTo(1, 1e-4);
    expect((await numbers('#tile-optimum'))[0]).to.be.closeTo(best, 1e-5);
    const moved = reverseKl(truth.logPolicy, REFERENCE, SHAPE).kl[0];
    expect((await numbers('#tile-kl-optimal'))[0]).to.be.closeTo(moved, 1e-5);
    for (const name of ROWS) {
      const { policy, reward, kl, value, gap } = await row(name);
      const logits = policy.map(Math.log);
      const exact = theory.objective(logits, REFERENCE, rewards, [beta], SHAPE);
      expectClose([reward, kl, value], [exact.reward[0], exact.kl[0], exact.value[0]], {
        absolute: 1e-5,
        label: name,
      });
      const away = reverseKl(logits, truth.logPolicy, SHAPE).kl[0];
      expect(gap).to.be.closeTo(beta * away, 1e-5);
      expect(value + gap).to.be.closeTo(best, 1e-5);
    }
    expectClose((await row('optimal')).policy, truth.logPolicy.map(Math.exp), { absolute: 1e-6 });
    for (const name of ['ascent', 'dpo', 'forward']) {
      expectClose((await row(name)).policy, truth.logPolicy.map(Math.exp), {
        absolute: PRINTED,
        label: name,
      });
    }
  }

  /** A fingerprint of the picture, which a software adapter copies into a canvas that can be read. */
  const picture = async () => {
    await page.waitForFunction(() => document.getElementById('landscape')?.ariaBusy === 'false');
    return page.evaluate(() => {
      const canvas = document.getElementById('landscape') as HTMLCanvasElement;
      if (!canvas.getContext('2d')) return undefined;
      const copy = new OffscreenCanvas(canvas.width, canvas.height);
      const context = copy.getContext('2d', { willReadFrequently: true })!;
      context.drawImage(canvas, 0, 0);
      const image = context.getImageData(0, 0, copy.width, copy.height).data;
      const colours = new Map<string, number>();
      let hash = 0;
      for (let at = 0; at < image.length; at += 4) {
        const colour = `${image[at] >> 4} ${image[at + 1] >> 4} ${image[at + 2] >> 4}`;
        colours.set(colour, (colours.get(colour) ?? 0) + 1);
        hash = (Math.imul(hash, 31) + image[at] + 7 * image[at + 1] + 13 * image[at + 2]) | 0;
      }
      return { hash, colours: colours.size };
    });
  };

  it('loads, shows its adapter and the numbers of the theory', async () => {
    await settled();
    expect(await page.locator('#adapter-text').innerText()).to.match(/Native GPU|Software adapter/);
    expect(await page.locator('#missing').isVisible()).to.equal(false);
    requests.length = 0;
    await checkNumbers(0.251, [0, 1, 0.8]);
  });

  it('reports a faulty adapter feature, and works without it', async function saysWhat() {
    const offered = await page.evaluate(async () => {
      const { features, info } = (await navigator.gpu.requestAdapter())!;
      return features.has('subgroups') && info.isFallbackAdapter;
    });
    if (!offered) this.skip(); // nothing is tried where nothing would use it
    const other = await browser.newPage();
    await other.addInitScript(() => {
      const { createShaderModule } = GPUDevice.prototype;
      GPUDevice.prototype.createShaderModule = function (descriptor) {
        const code = descriptor.code.replace('quadSwapX(own)', 'quadSwapY(own)');
        return createShaderModule.call(this, { ...descriptor, code });
      };
    });
    await other.goto(`${server.url}/optimum/`);
    await other.waitForFunction(() => document.getElementById('controls')?.ariaBusy === 'false');
    expect(await other.locator('#adapter-text').innerText()).to.include('subgroups of this adapter');
    await other.close();
  });

  it('draws', async () => {
    const drawn = await picture();
    // Surface, contours, four paths and points; a canvas that shows WebGPU directly cannot be read.
    if (drawn) expect(drawn.colours).to.be.above(20);
  });

  it('reacts to its sliders', async () => {
    await set({ beta: -1, rA: 0.4, rB: -0.7 });
    expect(await page.locator('#out-beta').innerText()).to.equal('0.1');
    await checkNumbers(0.1, [0.4, -0.7, 0.8]);
    await set({ beta: 1.3, rC: -2 });
    await checkNumbers(20, [0.4, -0.7, -2]);
    // At β = 20 leaving the reference hardly pays.
    expectClose((await row('optimal')).policy, [0.5, 0.3, 0.2], { absolute: 0.05 });
  });

  it('works with the keyboard only', async () => {
    const slider = page.locator('#rA');
    await slider.focus();
    await page.keyboard.press('ArrowRight');
    await settled();
    await checkNumbers(20, [0.5, -0.7, -2]);
    const canvas = page.locator('#landscape');
    await canvas.focus();
    const first = await picture();
    const seen = [first?.hash];
    const scroll = await page.evaluate(() => scrollY);
    for (const key of ['ArrowLeft', 'ArrowDown', '+', 'Home']) {
      await page.keyboard.press(key);
      seen.push((await picture())?.hash);
    }
    expect(await page.evaluate(() => scrollY)).to.equal(scroll);
    if (!first) return;
    expect(seen.at(-1), 'Home leads back').to.equal(first.hash);
    expect(new Set(seen).size).to.equal(4);
  });

  it('rotates with the pointer, and hides a path', async () => {
    const canvas = page.locator('#landscape');
    const before = await picture();
    const box = (await canvas.boundingBox())!;
    await page.mouse.move(box.x + box.width / 2, box.y + box.height / 2);
    await page.mouse.down();
    await page.mouse.move(box.x + box.width / 2 + 60, box.y + box.height / 2 + 20, { steps: 4 });
    await page.mouse.up();
    const turned = await picture();
    await page.locator('[name=ipo]').uncheck();
    const without = await picture();
    if (before) expect(new Set([before.hash, turned!.hash, without!.hash]).size).to.equal(3);
  });

  it('has the paths as a table', async () => {
    await page.getByText('The paths as a table').click();
    const [first] = await numbers('#steps tr:first-child');
    expect(first).to.be.closeTo(0.5, 1e-6);
    expect(await page.locator('#steps tr.first').count()).to.equal(4);
  });

  it('fits one bell in both directions, each better by its own measure', async () => {
    const fits = async () => ({
      reverse: await numbers('#fit-reverse'),
      forward: await numbers('#fit-forward'),
    });
    const { reverse, forward } = await fits();
    // Mean, width, KL(bell ‖ target), KL(target ‖ bell).
    const places = Array.from({ length: 121 }, (_, i) => i / 10 - 6);
    const bell = ([mean, width]: number[]) => places.map((x) => -((x - mean) ** 2) / (2 * width ** 2));
    const peak = (x: number, at: number) => Math.exp(-((x - at) ** 2) / (2 * 0.7 ** 2));
    const target = places.map((x) => Math.log(0.38 * peak(x, -2.3) + 0.62 * peak(x, 2.3) + 1e-12));
    const shape = { rows: 1, cols: places.length };
    for (const fit of [reverse, forward]) {
      const exact = [reverseKl(bell(fit), target, shape).kl[0], forwardKl(bell(fit), target, shape).kl[0]];
      expectClose(fit.slice(2), exact, { absolute: 1e-5, relative: 1e-5 });
    }
    expect(reverse[2]).to.be.below(forward[2]);
    expect(forward[3]).to.be.below(reverse[3]);
    expect(reverse[0]).to.be.closeTo(2.3, 0.1);
    await page.locator('[name=share]').fill('0.8');
    await page.waitForFunction(() => document.getElementById('peaks-told')?.innerText.includes('left peak'));
    expect((await fits()).reverse[0]).to.be.closeTo(-2.3, 0.1);
  });

  it('makes no requests after loading, and logs no errors', () => {
    expect(requests.filter((url) => /^https?:/.test(url))).to.deep.equal([]);
    expect(errors).to.deep.equal([]);
  });

  it('fits a phone', async () => {
    await page.setViewportSize({ width: 360, height: 740 });
    expect(await page.evaluate(() => document.documentElement.scrollWidth)).to.be.at.most(360);
  });

  it('says what to do without WebGPU', async () => {
    const bare = await browser.newPage({ locale: 'en-US' });
    await bare.addInitScript(() =>
      Object.defineProperty(Navigator.prototype, 'gpu', { get: () => undefined }),
    );
    await bare.goto(`${server.url}/optimum/`);
    const alert = bare.getByRole('alert').filter({ hasText: 'WebGPU' });
    await alert.waitFor();
    expect(await alert.innerText()).to.match(/Chrome.*Safari.*Firefox/s);
    await bare.close();
  });
});
