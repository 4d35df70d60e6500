/**
 * The page of all settings, generated from their declarations. The test beside it compares `docs/settings.md` with this,
 * and writes it on request.
 */
import { rangeText } from '../../src/base/range.ts';
import { GROUPS, type Setting } from '../../src/base/setting.ts';
import { flagOf } from '../../src/cli/flags.ts';
import { SETTINGS } from '../../src/cli/options.ts';
import { defaultsOf, type TrainerSettings } from '../../src/train/settings/trainer.ts';
import { TRAINERS } from '../../src/train/settings/trainers.ts';
import { TRL_NAMES } from '../../src/train/settings/trl-names.ts';

const INTRO = `# Settings

The settings of training runs, with TRL's and PEFT's names in camelCase and their defaults. This page is made of the declarations in
[src/train/settings](../src/train/settings); a [test](../test/docs/settings.node.test.ts) holds it against them.

In a program they are a trainer's \`args\`, those of LoRA its \`peftConfig\`; on the command line they are flags; in a file for
\`--config\` and in the stages of [\`sacpo\`](sacpo.md) they have the names of the first column:

\`\`\`ts
new DPOTrainer({ model, trainDataset, args: { learningRate: 1e-4, lossType: 'ipo' }, peftConfig: { r: 8 } });
\`\`\`

\`\`\`
npx webalign dpo --model model --data pairs.jsonl --out run --learning-rate 1e-4 --loss ipo --lora-r 8
\`\`\`

TRL's names are understood in all three (\`args: { learning_rate: 1e-4 }\`, \`--learning_rate 1e-4\`, \`{"learning_rate": 1e-4}\`), one
spelling at a time. An adapter has its own default where two are given.
`;

/** The expected page. */
export function settingsPage(): string {
  const all: [string, Setting][] = Object.entries(SETTINGS);
  const tables = Object.entries(GROUPS).map(([group, heading]) => {
    const rows = all
      .filter(([, setting]) => setting.group === group)
      .map(([name, setting]) => rowOf(name, setting));
    return `\n## ${heading}\n\n${table(['setting', 'flag', 'values', 'default', "TRL's name", 'trainers', 'what it is'], rows)}`;
  });
  const foreign = new Map<string, string[]>();
  for (const [name, answer] of Object.entries(TRL_NAMES)) {
    const text = `${answer}`;
    foreign.set(text, [...(foreign.get(text) ?? []), `\`${name}\``]);
  }
  const answers = [...foreign].map(([answer, names]) => [names.join(', '), answer]);
  return `${INTRO}${tables.join('')}
## TRL's names that are no settings here

${table(['name', 'what to do instead'], answers)}`;
}

function rowOf(name: string, setting: Setting): string[] {
  const { trl, range, choices, type, help } = setting;
  const trlName = typeof trl === 'string' ? trl : trl?.name;
  const values = choices
    ? choices.map((each) => `\`${each}\``).join(', ')
    : `${type} ${range ? rangeText(range) : ''}`;
  return [
    `\`${name}\``,
    `\`${flagOf(name)}\``,
    values.trim(),
    defaultOf(name, setting),
    trlName ? `\`${trlName}\`` : '',
    trainersOf(name),
    help,
  ];
}

const trainers = Object.entries(TRAINERS) as [string, TrainerSettings][];
const has = ({ settings, options }: TrainerSettings, name: string) => name in settings || name in options;

/** Which trainers have a setting; all have those of LoRA. */
function trainersOf(name: string): string {
  const names = trainers.filter(([, trainer]) => has(trainer, name)).map(([trainer]) => trainer);
  return names.length === 0 || names.length === trainers.length ? 'all' : names.join(', ');
}

/** The default, by trainer if they differ, and the default of adapters. */
function defaultOf(name: string, setting: Setting): string {
  const values = trainers
    .filter(([, trainer]) => has(trainer, name))
    .map(([trainer, { settings, options, defaults, adapterDefaults }]) => {
      const usual: Record<string, unknown> = defaultsOf({ settings: { ...settings, ...options }, defaults });
      const own =
        name in adapterDefaults
          ? `${shown(usual[name])}, adapters ${shown(adapterDefaults[name])}`
          : undefined;
      return { trainer, text: own ?? shown(usual[name]) };
    });
  const [first = { text: shown(setting.default) }] = values;
  const others = values.filter(({ text }) => text !== first.text);
  return [first.text, ...others.map(({ trainer, text }) => `${trainer}: ${text}`)].join('; ');
}

function shown(value: unknown): string {
  if (value === null) return 'none';
  if (typeof value === 'number')
    return value !== 0 && Math.abs(value) < 1e-3 ? value.toExponential() : `${value}`;
  return Array.isArray(value) ? value.map((each) => `\`${each}\``).join(', ') : `\`${value}\``;
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |\n`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('');
}
