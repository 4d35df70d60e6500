/**
 * `gpu` of the Playwright tests: a device in a separate page, driven from Node. The page loads this package's own modules,
 * so that shaders are run by the same code as in Node.
 */
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Browser, JSHandle, Page } from 'playwright';
import { DeviceLostError, GpuValidationError, NoAdapterError, ShaderError } from '../gpu/errors.ts';
import { serve } from '../node/serve.ts';
import type { Capabilities } from './narrowed.ts';
import type { BindingData, ShaderRun } from './run-shader.ts';
import type { Aftermath, LocalGpu, TestAdapter, TestGpu } from './test-gpu.ts';

/** The path where the package's modules are served. */
const MODULES = '/webalign/';
/** Maximum requests for a device after the browser's GPU process has ended, and the delay between them. */
const ATTEMPTS = 10;
const PAUSE = 300;

const CLASSES = { DeviceLostError, GpuValidationError, NoAdapterError, ShaderError };

type Outcome<T> = { value: T } | { name: string; message: string };

export class PageGpu implements TestGpu {
  private constructor(
    private readonly page: Page,
    private readonly capabilities: Capabilities,
    private remote: JSHandle<LocalGpu>,
    public adapter: TestAdapter,
    private readonly closeServer: () => Promise<void>,
  ) {}

  static async open(browser: Browser, capabilities: Capabilities): Promise<PageGpu> {
    const server = await serve({ [MODULES]: join(dirname(fileURLToPath(import.meta.url)), '..') });
    const page = await browser.newPage();
    await page.goto(`${server.url}/`);
    const remote = await PageGpu.connect(page, capabilities);
    const adapter = await remote.evaluate((gpu) => gpu.adapter);
    return new PageGpu(page, capabilities, remote, adapter, () => server.close());
  }

  /** Creates the device in the page. */
  private static async connect(page: Page, capabilities: Capabilities): Promise<JSHandle<LocalGpu>> {
    const opened = await page.evaluateHandle(
      async ([path, how]) => {
        const { LocalGpu } = (await import(path)) as typeof import('./test-gpu.ts');
        return LocalGpu.open(navigator.gpu, how).catch(({ name, message }: Error) => ({ name, message }));
      },
      [`${MODULES}testing/test-gpu.js`, capabilities] as const,
    );
    const failure = await opened.evaluate((value) => ('run' in value ? undefined : value));
    if (failure) throw errorOf(failure);
    return opened as JSHandle<LocalGpu>;
  }

  async run(run: ShaderRun): Promise<Record<string, BindingData>> {
    // Typed arrays of Node are copied; for a view, only its part of the buffer.
    const outcome = await this.remote.evaluate(
      (gpu, what): Promise<Outcome<Record<string, BindingData>>> =>
        gpu.run(what).then(
          (value) => ({ value }),
          ({ name, message }: Error) => ({ name, message }),
        ),
      run,
    );
    if ('value' in outcome) return outcome.value;
    throw errorOf(outcome);
  }

  async evaluate<Result, Arg = undefined>(
    work: (device: GPUDevice, arg: Arg) => Result | Promise<Result>,
    arg?: Arg,
  ): Promise<Result> {
    const device = await this.remote.evaluateHandle((gpu) => gpu.device);
    return (await device.evaluate(work as never, arg as never)) as Result;
  }

  /** See {@link LocalGpu.finish}. If the page or its GPU process is gone, the page is reloaded. */
  async finish(): Promise<Aftermath> {
    try {
      return await this.remote.evaluate((gpu) => gpu.finish());
    } catch (error) {
      const [message = ''] = String(error).split('\n');
      await this.reload();
      return { findings: [{ kind: 'lost', message }], leaks: [] };
    }
  }

  async close(): Promise<void> {
    await this.page.close();
    await this.closeServer();
  }

  private async reload(): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      try {
        await this.page.reload();
        this.remote = await PageGpu.connect(this.page, this.capabilities);
        return;
      } catch (error) {
        if (attempt === ATTEMPTS) throw error;
        await new Promise((resolve) => setTimeout(resolve, PAUSE));
      }
    }
  }
}

function errorOf({ name, message }: { name: string; message: string }): Error {
  const Class = Object.hasOwn(CLASSES, name) ? CLASSES[name as keyof typeof CLASSES] : Error;
  const error = new Class(message);
  Error.captureStackTrace(error, errorOf);
  return error;
}
