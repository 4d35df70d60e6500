/**
 * `docs/settings.md` agrees with the declarations. With WEBALIGN_WRITE=1 in the environment it is written instead:
 *
 *     WEBALIGN_WRITE=1 npm test -- docs/settings --only node
 */
import { writeFileSync } from 'node:fs';
import { expect } from 'chai';
import type { SettingTable } from '../../src/base/setting.ts';
import { SETTINGS } from '../../src/cli/options.ts';
import { ALL_SETTINGS } from '../../src/train/settings/trainers.ts';
import { textOf } from '../architecture/sources.ts';
import { settingsPage } from './settings-page.ts';

const PAGE = 'docs/settings.md';

describe(PAGE, () => {
  it('is generated from the declarations', () => {
    const page = settingsPage();
    if (process.env.WEBALIGN_WRITE) writeFileSync(PAGE, page);
    expect(textOf(PAGE)).to.equal(page);
    for (const name of Object.keys(SETTINGS)) expect(page).to.include(`| \`${name}\` |`);
  });

  it('docs/resume.md lists the settings that may change', () => {
    const [, list = ''] = /<!-- may change -->(.*?)<!-- end -->/s.exec(textOf('docs/resume.md')) ?? [];
    const named = [...list.matchAll(/`(\w+)`/g)].map(([, name]) => name);
    const all = Object.entries(ALL_SETTINGS as SettingTable);
    expect(named).to.have.members(all.flatMap(([name, { mayChange }]) => (mayChange ? [name] : [])));
  });
});
