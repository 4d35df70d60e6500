/**
 * Launches a headless Chromium with working WebGPU under Playwright: on the machine's GPU, or on SwiftShader on the CPU.
 * Every browser is tested with a real page first. Downloads nothing; the last choice is the browser in the npm package
 * @sparticuz/chromium.
 */
import { accessSync, constants, existsSync, readdirSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import type { Browser, BrowserType, LaunchOptions } from 'playwright';
import { type AdapterKey, type AdapterName, kindOf } from './adapter-name.ts';
import { CARRIER, carried, isCarried } from './carried.ts';
import { isInstalled, missing, optional } from './packages.ts';
import { serve } from './serve.ts';
import { lavapipeDriver } from './vulkan-drivers.ts';

export interface ChromiumOptions extends LaunchOptions {
  /** Use only this adapter. Default: the machine's GPU, otherwise SwiftShader. */
  adapter?: AdapterName;
  /** Receives one line that names the browser and its adapter. */
  onNotice?: (line: string) => void;
}

/** The adapter that a page sees. */
export interface PageAdapter {
  description: string;
  software: boolean;
}

/** No browser with a WebGPU adapter; the message lists the attempts and their results. */
export class NoChromiumError extends Error {
  override name = 'NoChromiumError';
}

interface Candidate {
  origin: string;
  executablePath: string;
  env?: Record<string, string>;
}

/** Disables telemetry. Playwright's own flags do most of it. */
const QUIET = ['--no-pings', '--disable-domain-reliability', '--disable-breakpad'];

/** How to request an adapter, and how to check that a page gets it. */
interface AdapterWay {
  args: readonly string[];
  /** Environment variables for the browser; undefined if this machine does not have the adapter. */
  environment(): Promise<Record<string, string> | undefined>;
  isIt(adapter: PageAdapter): boolean;
  /** The failure if a page gets another adapter. */
  otherwise: string;
}

const VULKAN =
  process.platform === 'linux'
    ? [
        '--enable-unsafe-webgpu',
        '--ignore-gpu-blocklist',
        '--enable-features=Vulkan',
        '--use-angle=vulkan',
        '--disable-vulkan-surface',
      ]
    : ['--enable-unsafe-webgpu'];

const ADAPTERS: Record<AdapterKey, AdapterWay> = {
  native: {
    args: VULKAN,
    environment: async () => ({}),
    isIt: ({ software }) => !software,
    otherwise: 'only offers a software adapter',
  },
  swiftshader: {
    args: ['--enable-unsafe-webgpu', '--use-webgpu-adapter=swiftshader', '--enable-features=Vulkan'],
    environment: async () => ({}),
    isIt: () => true,
    otherwise: '',
  },
  lavapipe: {
    args: VULKAN,
    async environment() {
      const driver = await lavapipeDriver();
      return driver ? { VK_DRIVER_FILES: driver, VK_ICD_FILENAMES: driver } : undefined;
    },
    isIt: ({ description }) => /llvmpipe|lavapipe/i.test(description),
    otherwise: 'offers another adapter than lavapipe',
  },
};

/** Launches the browser; see `webalign/testing`. Throws {@link NoChromiumError}, or an error that names a missing package. */
export async function launchChromium(options: ChromiumOptions = {}): Promise<Browser> {
  return (await firstWithGpu(options)).browser;
}

/** Options for Playwright's own `launch` for a browser with WebGPU that has been tested. Throws like {@link launchChromium}. */
export async function chromiumLaunchOptions(options: ChromiumOptions = {}): Promise<LaunchOptions> {
  const { browser, launched } = await firstWithGpu(options);
  await browser.close();
  return launched;
}

async function firstWithGpu(options: ChromiumOptions): Promise<Found> {
  const { adapter, onNotice, ...launch } = options;
  const tried: string[] = [];
  const browsers = isCarried ? [CARRIER] : [];
  const { chromium } = await optional('webalign/testing', 'playwright', browsers, () => import('playwright'));
  for await (const candidate of candidates(chromium, launch.executablePath)) {
    for (const kind of adapter ? [kindOf(adapter)] : kindsHere()) {
      const outcome = await attempt(chromium, candidate, kind, launch);
      if ('browser' in outcome) {
        onNotice?.(`${candidate.origin}, WebGPU on ${outcome.adapter.description}`);
        return outcome;
      }
      tried.push(`${candidate.origin} (${candidate.executablePath}), ${kind} adapter: ${outcome.failure}`);
    }
  }
  if (isCarried && !isInstalled(CARRIER)) tried.push(missing('the browser from npm', CARRIER));
  throw new NoChromiumError(
    `No Chromium with WebGPU found. Install Chrome, or set WEBALIGN_CHROMIUM to the path of one.${tried.map((line) => `\n  ${line}`).join('')}`,
  );
}

/** Only software if Linux has no GPU device, which avoids a useless launch. */
function kindsHere(): AdapterKey[] {
  const forced = process.env.WEBALIGN_ADAPTER;
  if (forced) return [kindOf(forced)];
  if (process.platform !== 'linux' || existsSync('/dev/nvidiactl')) return ['native', 'swiftshader'];
  const cards = existsSync('/dev/dri') ? readdirSync('/dev/dri') : [];
  return cards.some((name) => name.startsWith('renderD')) ? ['native', 'swiftshader'] : ['swiftshader'];
}

/** Browsers in order of preference: the requested one, Playwright's own, an installed one, the one from npm. */
async function* candidates(chromium: BrowserType, asked: string | undefined): AsyncGenerator<Candidate> {
  if (asked) {
    yield { origin: 'the given browser', executablePath: asked };
    return;
  }
  const named = process.env.WEBALIGN_CHROMIUM;
  if (named) {
    yield { origin: 'WEBALIGN_CHROMIUM', executablePath: named };
    return;
  }
  if (existsSync(chromium.executablePath())) {
    yield { origin: "Playwright's Chromium", executablePath: chromium.executablePath() };
  }
  for (const executablePath of installed()) yield { origin: 'the installed browser', executablePath };
  if (!isCarried || !isInstalled(CARRIER)) return;
  const folder = await carried('chromium');
  const libraries = [join(folder, 'al2023', 'lib'), process.env.LD_LIBRARY_PATH]
    .filter(Boolean)
    .join(delimiter);
  yield {
    origin: 'Chromium from @sparticuz/chromium',
    executablePath: join(folder, 'chromium'),
    env: { LD_LIBRARY_PATH: libraries, FONTCONFIG_FILE: join(folder, 'fonts.conf') },
  };
}

/** The default paths of Chrome, Chromium and Edge on each system. */
function installed(): string[] {
  const names = ['google-chrome', 'google-chrome-stable', 'chromium', 'chromium-browser', 'microsoft-edge'];
  const env = (name: string) => process.env[name] ?? '';
  const paths: Partial<Record<NodeJS.Platform, () => string[]>> = {
    linux: () =>
      env('PATH')
        .split(delimiter)
        .flatMap((folder) => names.map((name) => join(folder, name))),
    darwin: () =>
      ['Google Chrome', 'Chromium', 'Microsoft Edge'].map(
        (name) => `/Applications/${name}.app/Contents/MacOS/${name}`,
      ),
    win32: () =>
      [env('PROGRAMFILES'), env('PROGRAMFILES(X86)'), env('LOCALAPPDATA')]
        .filter(Boolean)
        .flatMap((folder) =>
          ['Google/Chrome/Application/chrome.exe', 'Microsoft/Edge/Application/msedge.exe'].map((path) =>
            join(folder, path),
          ),
        ),
  };
  return (paths[process.platform]?.() ?? []).filter(isExecutable);
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

interface Found {
  browser: Browser;
  adapter: PageAdapter;
  /** The launch options that were used. */
  launched: LaunchOptions;
}

type Outcome = Found | { failure: string };

/** Launches one browser and tests its adapter. Closes it if there is none. */
async function attempt(
  chromium: BrowserType,
  candidate: Candidate,
  kind: AdapterKey,
  options: LaunchOptions,
): Promise<Outcome> {
  const { args, environment, isIt, otherwise } = ADAPTERS[kind];
  const variables = await environment();
  if (!variables) return { failure: `this machine has no driver for ${kind}` };
  const launched: LaunchOptions = {
    ...options,
    executablePath: candidate.executablePath,
    args: [...QUIET, ...args, ...(options.args ?? [])],
    env: { ...(process.env as Record<string, string>), ...options.env, ...candidate.env, ...variables },
  };
  let browser: Browser;
  try {
    browser = await chromium.launch(launched);
  } catch (error) {
    return { failure: `does not start: ${String(error).split('\n')[0]}` };
  }
  try {
    const adapter = await adapterOf(browser);
    if (adapter && isIt(adapter)) return { browser, adapter, launched };
    await browser.close();
    return { failure: adapter ? otherwise : 'has no WebGPU adapter' };
  } catch (error) {
    await browser.close();
    return { failure: String(error).split('\n')[0] ?? '' };
  }
}

/** The adapter that pages of this browser get; undefined without one. */
async function adapterOf(browser: Browser): Promise<PageAdapter | undefined> {
  const server = await serve({});
  const page = await browser.newPage();
  try {
    await page.goto(`${server.url}/`);
    return await page.evaluate(async () => {
      const info = (await navigator.gpu?.requestAdapter({ powerPreference: 'high-performance' }))?.info;
      if (!info) return undefined;
      const description = [info.vendor, info.architecture, info.description].filter(Boolean).join(' ');
      return { description, software: info.isFallbackAdapter || info.architecture === 'swiftshader' };
    });
  } finally {
    await page.close();
    await server.close();
  }
}
