/** Runs an installed Firefox, headless and without a driver: it opens URLs, and the pages report their results to a server. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findProgram } from './programs.ts';

/** No requests of its own, and WebGPU where it is available. */
const SETTINGS = {
  'dom.webgpu.enabled': true,
  'app.normandy.enabled': false,
  'app.update.enabled': false,
  'browser.shell.checkDefaultBrowser': false,
  'browser.startup.homepage_override.mstone': 'ignore',
  'datareporting.policy.dataSubmissionEnabled': false,
  'network.captive-portal-service.enabled': false,
  'toolkit.telemetry.enabled': false,
};

/** Path of `$WEBALIGN_FIREFOX`, or of Firefox in `$PATH`. */
export const findFirefox = () => findProgram(process.env.WEBALIGN_FIREFOX, ['firefox', 'firefox-esr']);

export interface FirefoxOptions {
  /** Preferences beside ours. */
  settings?: Readonly<Record<string, string | number | boolean>>;
  /** Variables beside those of this process. */
  env?: NodeJS.ProcessEnv;
}

/** Opens each URL in a tab, in a new profile. */
export async function openFirefox(
  program: string,
  addresses: readonly string[],
  { settings, env }: FirefoxOptions = {},
): Promise<{ close(): Promise<void> }> {
  const profile = await mkdtemp(join(tmpdir(), 'webalign-firefox-'));
  const lines = Object.entries({ ...SETTINGS, ...settings }).map(
    ([name, value]) => `user_pref(${JSON.stringify(name)}, ${JSON.stringify(value)});\n`,
  );
  await writeFile(join(profile, 'user.js'), lines.join(''));
  const child: ChildProcess = spawn(
    program,
    ['--headless', '--no-remote', '--profile', profile, ...addresses],
    {
      stdio: 'ignore',
      env: { ...process.env, ...env, HOME: profile },
    },
  );
  const end = () => void child.kill();
  process.once('exit', end);
  return {
    async close() {
      process.off('exit', end);
      if (child.exitCode === null && child.kill()) await once(child, 'exit');
      await rm(profile, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}
