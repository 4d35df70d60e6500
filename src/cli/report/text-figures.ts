/**
 * The automatic measures of a model's texts that the terminal, the reports and the page show before and after training.
 * No single measure is sufficient: fluency rewards repetition, which distinct-3 detects, and a text may be short or never end.
 */
import { fixed, percent } from './parts.ts';

interface TextFigure {
  key: 'fluency' | 'distinct3' | 'length' | 'ended';
  name: string;
  show(value: number): string;
  /** The unit, shown after the value. */
  note: string;
}

export const TEXT_FIGURES: readonly TextFigure[] = [
  {
    key: 'fluency',
    name: 'Fluency',
    show: (nats) => fixed(nats, 2),
    note: 'nats per token of its texts, under the untrained model',
  },
  {
    key: 'distinct3',
    name: 'Distinct-3',
    show: percent,
    note: 'of trigrams are distinct',
  },
  {
    key: 'length',
    name: 'Length',
    show: (tokens) => fixed(tokens, 1),
    note: 'tokens per text',
  },
  {
    key: 'ended',
    name: 'Ended',
    show: percent,
    note: 'of its texts ended with an end token',
  },
];

/** The text for display: an ellipsis marks a text that was cut at its length limit. */
export function withCut(text: string, finished: 'eos' | 'length'): string {
  return finished === 'length' ? `${text} …` : text;
}
