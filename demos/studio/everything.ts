/**
 * All that a person has made in the studio as one file: judgments, prompts, runs with their adapters, plans of comparisons, and how
 * the forms stand. Another browser takes it in beside what it has; nothing is overwritten.
 */
import { unzipSync, zipSync } from 'fflate';
import { InputError } from 'webalign/files';
import type { AdapterFiles } from 'webalign/models';
import { counted } from '../../src/base/counted.ts';
import { own } from '../../src/base/lookup.ts';
import type { ComparisonPlans } from './comparison-plans.ts';
import { adapterOf, addRun, type PastRun, pastRuns } from './history.ts';
import type { Snapshot } from './policy/curves.ts';
import { exportFiles, importFile, merge, mergeText } from './preferences/files.ts';
import type { PreferenceStore } from './preferences/store.ts';
import { importedPrompts, keepPrompts } from './prompt-files.ts';

const ABOUT = 'webalign-studio.json';
const JUDGMENTS = 'judgments.jsonl';
const FORMAT = 'webalign-studio';
const VERSION = 1;
const RUN = /^runs\/(\d+)\/run\.json$/;
const WEIGHTS = ['adapter_config.json', 'adapter_model.safetensors'] as const;
const FORMS = ['sampling', 'settings'] as const;
/** Bytes of a file that a page reads as a whole. */
const MOST_BYTES = 1024 * 2 ** 20;

/** What the file says of itself, and what has no file of its own in it. */
interface About {
  format: string;
  version: number;
  prompts: string[];
  comparisons: Record<string, number>;
  /** Values of the fields, by form and name. */
  forms: Record<string, Record<string, string>>;
}

export interface Kept {
  store: PreferenceStore;
  comparisons: ComparisonPlans;
}

/** The file, and what is in it, in a sentence. */
export async function exportEverything({ store, comparisons }: Kept): Promise<{ file: File; said: string }> {
  const runs = await pastRuns();
  const about: About = {
    format: FORMAT,
    version: VERSION,
    prompts: await importedPrompts(),
    comparisons: Object.fromEntries(comparisons.byAdapter),
    forms: Object.fromEntries(FORMS.map((id) => [id, valuesOf(id)])),
  };
  const files: Record<string, Uint8Array> = { [ABOUT]: json(about) };
  for (const { bytes } of await exportFiles(store.all(), { form: 'all', type: 'jsonl' }))
    files[JUDGMENTS] = new Uint8Array(bytes);
  for (const run of runs) {
    const folder = `runs/${run.startedAt}`;
    files[`${folder}/run.json`] = json(run);
    for (const [name, bytes] of Object.entries((await adapterOf(run)) ?? {}))
      files[`${folder}/${name}`] = bytes;
    for (const step of run.policy?.snapshots ?? [])
      for (const [name, bytes] of Object.entries((await adapterOf(run, step)) ?? {}))
        files[`${folder}/${stepFolder(step)}/${name}`] = bytes;
  }
  // Most of it is weights, which do not shrink.
  const zip = zipSync(files, { level: 0 });
  const said = `${counted(store.all().length, 'judgment')} and ${counted(runs.length, 'run')} with adapters, prompts and settings.`;
  return { file: new File([zip], 'webalign-studio.zip', { type: 'application/zip' }), said };
}

/** Takes in what is not there yet, and says what came of it. Throws `InputError` for a file that is not such a one. */
export async function importEverything(given: File, { store, comparisons }: Kept): Promise<string> {
  const files = await unzipped(given);
  const about = aboutIn(files, given.name);
  const said: string[] = [];
  const judgments = files.get(JUDGMENTS);
  if (judgments) {
    const read = await importFile(new File([judgments], JUDGMENTS));
    const merged = merge(store.all(), read.judgments);
    await store.add(merged.added);
    said.push(mergeText(merged), ...read.problems);
  }
  said.push(await importRuns(files, given.name));
  for (const [adapter, picks] of Object.entries(about.comparisons))
    if (Number.isSafeInteger(picks) && picks > 0) comparisons.fix(adapter, picks);
  if (about.prompts.length > 0) await keepPrompts(about.prompts.map(String));
  for (const id of FORMS) setValues(id, own(about.forms, id) ?? {});
  return said.filter(Boolean).join(' ');
}

async function unzipped(file: File): Promise<Map<string, Uint8Array<ArrayBuffer>>> {
  const wayOut = 'Choose a file that “Export everything” has made';
  if (file.size > MOST_BYTES) throw new InputError(file.name, 'is larger than 1 GiB', wayOut);
  try {
    const bytes = new Uint8Array(await file.arrayBuffer());
    return new Map(Object.entries(unzipSync(bytes)));
  } catch (cause) {
    throw new InputError(file.name, 'is not a zip', wayOut, { cause });
  }
}

function aboutIn(files: ReadonlyMap<string, Uint8Array>, name: string): About {
  const wayOut = 'Choose a file that “Export everything” has made';
  const found = parsed(files.get(ABOUT)) as Partial<About> | undefined;
  if (found?.format !== FORMAT) throw new InputError(name, `has no ${ABOUT}`, wayOut);
  if (found.version !== VERSION)
    throw new InputError(name, `is of version ${found.version}, not ${VERSION}`, 'Reload the page');
  const { prompts = [], comparisons = {}, forms = {} } = found;
  return { format: FORMAT, version: VERSION, prompts, comparisons, forms };
}

async function importRuns(
  files: ReadonlyMap<string, Uint8Array<ArrayBuffer>>,
  name: string,
): Promise<string> {
  const known = new Set((await pastRuns()).map(({ startedAt }) => startedAt));
  let added = 0;
  let broken = 0;
  for (const [path, bytes] of files) {
    const startedAt = Number(RUN.exec(path)?.[1] ?? Number.NaN);
    if (!Number.isSafeInteger(startedAt) || known.has(startedAt)) continue;
    const run = parsed(bytes) as PastRun | undefined;
    const end = adapterIn(files, `runs/${startedAt}`);
    if (!(run && isRun(run) && run.startedAt === startedAt && end)) {
      broken++;
      continue;
    }
    const snapshots = (run.policy?.snapshots ?? []).flatMap((step): Snapshot[] => {
      const found = adapterIn(files, `runs/${startedAt}/${stepFolder(step)}`);
      return found ? [{ step, files: found }] : [];
    });
    const there = snapshots.map(({ step }) => step);
    await addRun(run.policy ? { ...run, policy: { ...run.policy, snapshots: there } } : run, end, snapshots);
    added++;
  }
  const left = broken > 0 ? ` ${counted(broken, 'run')} of ${name} could not be read.` : '';
  return `${counted(added, 'run')} added.${left}`;
}

const stepFolder = (step: number) => `step-${step}`;

/** The adapter in a folder of the file; undefined where one of its files is missing. */
function adapterIn(
  files: ReadonlyMap<string, Uint8Array<ArrayBuffer>>,
  folder: string,
): AdapterFiles | undefined {
  const [config, weights] = WEIGHTS.map((file) => files.get(`${folder}/${file}`));
  return config && weights ? { [WEIGHTS[0]]: config, [WEIGHTS[1]]: weights } : undefined;
}

const isRun = ({ name, model, method, settings, curves, samples, heldOut, policy }: PastRun): boolean =>
  [name, model, method].every((text) => typeof text === 'string') &&
  [settings, curves?.train, curves?.heldOut, samples?.prompts, samples?.taken, heldOut].every(
    (value) => typeof value === 'object' && value !== null,
  ) &&
  (policy === undefined || [policy.train, policy.heldOut, policy.snapshots].every(Array.isArray));

/** Figures of a run that were not measured: JSON has no word for them. */
const FIGURES = new Set([
  ...['loss', 'margin', 'accuracy', 'logRatio'],
  ...['reward', 'kl', 'objective', 'gap', 'gapError', 'optimum', 'effectiveSamples'],
]);

const json = (value: unknown): Uint8Array => new TextEncoder().encode(`${JSON.stringify(value, null, 1)}\n`);

function parsed(bytes: Uint8Array | undefined): unknown {
  if (!bytes) return undefined;
  try {
    return JSON.parse(new TextDecoder().decode(bytes), (key, value) =>
      value === null && FIGURES.has(key) ? Number.NaN : value,
    );
  } catch {
    return undefined;
  }
}

type Field = HTMLInputElement | HTMLSelectElement | HTMLTextAreaElement;

const fieldsOf = (id: string): Field[] =>
  [...(document.getElementById(id) as HTMLFormElement).elements].filter(
    (element): element is Field => 'name' in element && element.name !== '' && 'value' in element,
  );

const valuesOf = (id: string): Record<string, string> =>
  Object.fromEntries(fieldsOf(id).map(({ name, value }) => [name, value]));

/** Sets fields that can be changed now, and tells the form. */
function setValues(id: string, values: Readonly<Record<string, unknown>>): void {
  const given = new Map(Object.entries(values));
  for (const field of fieldsOf(id)) {
    const value = given.get(field.name);
    if (typeof value !== 'string' || field.matches(':disabled')) continue;
    field.value = value;
    for (const type of ['input', 'change']) field.dispatchEvent(new Event(type, { bubbles: true }));
  }
}
