/**
 * What the drafts of a learning step say of the model that wrote them, read before it learns from them: the KL divergence from the
 * model before, which only its own samples estimate, and whether its implicit reward prefers what the person preferred.
 */
import type { TokenizedSequence } from 'webalign/data';
import { type CausalLM, implicitRewards, type LoraAdapter } from 'webalign/models';
import { type Estimate, estimateMean } from 'webalign/theory';

/** The drafts of one judgment, and which of them the person preferred; undefined for none. */
export interface Seen {
  sequences: readonly TokenizedSequence[];
  better: number | undefined;
}

/** Of one learning step. */
export interface Reading {
  /** The optimizer step after it. */
  step: number;
  /** log π − log π_ref of every draft in nats, by judgment: drafts of one prompt are not independent. */
  logRatios: number[][];
  /** Pairs in which the implicit reward differed, and among them those where it prefers the person's. */
  compared: number;
  agreed: number;
  /** From the last pick to the model that has learned. */
  seconds: number;
}

/** Reads without changing anything. Takes a forward pass by the model with its adapter and one without. */
export async function readDrafts(
  model: CausalLM,
  adapter: LoraAdapter,
  seen: readonly Seen[],
): Promise<Omit<Reading, 'step' | 'seconds'>> {
  const all = await implicitRewards(
    model,
    seen.flatMap(({ sequences }) => sequences),
    { beta: 1, without: [adapter] },
  );
  const rewards = all.map(({ reward }) => reward);
  let at = 0;
  const reading = { logRatios: [] as number[][], compared: 0, agreed: 0 };
  for (const { sequences, better } of seen) {
    const ratios = rewards.slice(at, at + sequences.length);
    at += sequences.length;
    reading.logRatios.push(ratios);
    if (better === undefined || ratios[0] === ratios[1]) continue;
    reading.compared++;
    if (ratios[better] === Math.max(...ratios)) reading.agreed++;
  }
  return reading;
}

/** Learning steps whose drafts are read together: the model has changed little in between. */
const TOGETHER = 4;
/** Pairs by which agreement is told. */
const LATEST = 20;

export interface Standing {
  /** KL(π ‖ π_ref) in nats a draft, from the drafts of the last learning steps. */
  kl: Estimate | undefined;
  /** How many drafts those are. */
  drafts: number;
  agreed: number;
  compared: number;
  /** Mean over the last steps. */
  secondsPerStep: number | undefined;
}

const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;

/** Where the run stands by its latest readings. */
export function standingOf(readings: readonly Reading[]): Standing {
  const last = readings.slice(-TOGETHER);
  const logRatios = last.flatMap((reading) => reading.logRatios);
  let [agreed, compared] = [0, 0];
  for (const reading of readings.toReversed()) {
    if (compared >= LATEST) break;
    agreed += reading.agreed;
    compared += reading.compared;
  }
  return {
    kl: logRatios.length > 0 ? estimateMean(logRatios) : undefined,
    drafts: logRatios.flat().length,
    agreed,
    compared,
    secondsPerStep: last.length > 0 ? mean(last.map(({ seconds }) => seconds)) : undefined,
  };
}
