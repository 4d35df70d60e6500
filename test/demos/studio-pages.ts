/** Pages of one origin in Chromium that hold parts of the demo `studio` under the name `demo`. */
import { build } from 'esbuild';
import type { Browser, BrowserContext, Page } from 'playwright';
import { launchChromium, type Server, serve } from 'webalign/testing';
import { wgsl } from '../../shaders/include.mjs';

export class StudioPages {
  context!: BrowserContext;

  private constructor(
    readonly browser: Browser,
    readonly server: Server,
    private readonly code: string,
    private readonly style: string,
  ) {}

  /** Bundles what the module's text exports, and the style sheets that it imports. */
  static async open(contents: string): Promise<StudioPages> {
    const [{ outputFiles }, browser, server] = await Promise.all([
      build({
        stdin: { contents, resolveDir: '.', loader: 'ts' },
        bundle: true,
        write: false,
        outdir: 'out',
        format: 'iife',
        globalName: 'demo',
        plugins: [wgsl('shaders')],
      }),
      launchChromium(),
      serve({}),
    ]);
    const textOf = (ending: string) => outputFiles.find(({ path }) => path.endsWith(ending))?.text ?? '';
    return new StudioPages(browser, server, textOf('.js'), textOf('.css'));
  }

  async close(): Promise<void> {
    await this.browser.close();
    await this.server.close();
  }

  /** A page of the context; with a quota the origin has so many bytes. */
  async page(prepare?: () => void, quota?: number): Promise<Page> {
    const page = await this.context.newPage();
    if (prepare) await page.addInitScript(prepare);
    await page.goto(`${this.server.url}/`);
    if (quota !== undefined) {
      const devTools = await this.context.newCDPSession(page);
      await devTools.send('Storage.overrideQuotaForOrigin', { origin: this.server.url, quotaSize: quota });
    }
    if (this.style) await page.addStyleTag({ content: this.style });
    await page.addScriptTag({ content: this.code });
    return page;
  }
}
