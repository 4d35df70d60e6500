/** What a model needs, by precision, as a table to choose from; the same on both pages. */
import { formatBytes } from 'webalign/gpu';
import { byId, make, setText } from '../shared/dom.ts';
import type { ModelPlan, PrecisionPlan } from './messages.ts';

type Dtype = PrecisionPlan['dtype'];

/** Names of the precisions, for people. */
export const PRECISIONS: Readonly<Partial<Record<Dtype, string>>> = {
  auto: 'as stored',
  float32: 'float32',
  q8_0: '8 bits (q8_0)',
  q4_0: '4 bits (q4_0)',
};

/** Fills the page's table. Returns whether the model fits in some precision. */
export function showPlan({ name, parameters, positions, fileBytes, tokens, precisions }: ModelPlan): boolean {
  setText(byId('own-name', HTMLElement), name);
  const facts = [
    `${parameters.toLocaleString('en')} parameters, ${positions.toLocaleString('en')} tokens of context.`,
    fileBytes > 0 ? `Its files take ${formatBytes(fileBytes)}.` : '',
    `Training is planned for batches of 4 pairs of ${tokens} tokens each.`,
    deviceFacts(),
  ];
  setText(byId('own-facts', HTMLElement), facts.filter(Boolean).join(' '));
  const chosen = precisions.find(({ problem }) => problem === '');
  const rows = precisions.map((plan) => precisionRow(plan, plan === chosen));
  byId('own-precisions', HTMLTableSectionElement).replaceChildren(...rows);
  return chosen !== undefined;
}

export const chosenPrecision = (form: HTMLFormElement): Dtype => new FormData(form).get('dtype') as Dtype;

function precisionRow({ dtype, weightBytes, trainingBytes, problem }: PrecisionPlan, isChosen: boolean) {
  const radio = make('input');
  const disabled = problem !== '';
  Object.assign(radio, { type: 'radio', name: 'dtype', value: dtype, checked: isChosen, disabled });
  const name = make('label', '', radio, PRECISIONS[dtype] ?? dtype);
  const cells = [formatBytes(weightBytes), formatBytes(trainingBytes), problem || 'yes'];
  return make('tr', '', make('td', '', name), ...cells.map((text) => make('td', '', text)));
}

/** What a browser tells of the machine, which is little: memory in coarse steps, nothing of the GPU's. */
function deviceFacts(): string {
  const { deviceMemory } = navigator as { deviceMemory?: number };
  return deviceMemory === undefined
    ? 'This browser does not say how much memory the machine has: compare with what you know of your GPU.'
    : `This browser says that the machine has at least ${deviceMemory} GiB of memory, and nothing of the GPU's own.`;
}
