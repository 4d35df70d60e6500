/**
 * `npm run audit`: known vulnerabilities of the packages that are installed with webalign. Fails on high ones; if the
 * registry does not answer, or offers no audits, that is reported and is no failure.
 */
import { spawnSync } from 'node:child_process';

const SECONDS = 60;
const { stdout, status } = spawnSync(
  'npm',
  ['audit', '--omit=dev', '--audit-level=high', '--json', '--fetch-retries=0'],
  { encoding: 'utf8', timeout: SECONDS * 1000 },
);
process.exitCode = report(stdout, status);

/** @param {string} text @param {number | null} status @returns {number} the exit code */
function report(text, status) {
  const found = parsed(text)?.metadata?.vulnerabilities;
  if (!found) {
    console.log('audit: skipped, the registry did not answer');
    return 0;
  }
  const { critical, high, moderate, low } = found;
  console.log(`audit: ${critical} critical, ${high} high, ${moderate} moderate, ${low} low`);
  if (status !== 0) console.log('audit: npm audit --omit=dev says which');
  return status === 0 ? 0 : 1;
}

/** @param {string} text @returns {any} */
function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
