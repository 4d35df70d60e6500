/** JUnit's XML, which CI systems show test by test. */
import { escapeHtml } from './report/html.ts';

export interface JunitCase {
  name: string;
  /** Why it failed. */
  failure?: string | undefined;
  /** Why it was not tried. */
  skipped?: string | undefined;
}

/** The report of one suite. */
export function junitReport(suite: string, cases: readonly JunitCase[]): string {
  const count = (key: 'failure' | 'skipped') => cases.filter((each) => each[key] !== undefined).length;
  const name = attribute(suite);
  const lines = cases.map(({ name: title, failure, skipped }) => {
    const open = `    <testcase classname=${name} name=${attribute(title)}`;
    if (failure !== undefined) return `${open}><failure message=${attribute(failure)}/></testcase>`;
    if (skipped !== undefined) return `${open}><skipped message=${attribute(skipped)}/></testcase>`;
    return `${open}/>`;
  });
  const counts = `tests="${cases.length}" failures="${count('failure')}" skipped="${count('skipped')}"`;
  return [
    '<?xml version="1.0" encoding="UTF-8"?>',
    `<testsuites ${counts}>`,
    `  <testsuite name=${name} ${counts}>`,
    ...lines,
    '  </testsuite>',
    '</testsuites>',
    '',
  ].join('\n');
}

/** A quoted value. XML cannot hold control characters; line feeds are escaped and the others become spaces. */
function attribute(text: string): string {
  const escaped = escapeHtml(text).replaceAll('\n', '&#10;');
  return `"${escaped.replace(/\p{Cc}/gu, ' ')}"`;
}
