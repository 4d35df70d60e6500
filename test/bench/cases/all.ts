/**
 * Every case, in the order in which they are run: short ones first.
 */
import type { Case } from '../bench.ts';
import { LAYERS } from './layers.ts';
import { LOGITS } from './logits.ts';
import { PRODUCTS } from './products.ts';
import { STEPS } from './steps.ts';
import { WRITING } from './writing.ts';

export const CASES: readonly Case[] = [...PRODUCTS, ...LAYERS, ...LOGITS, ...STEPS, ...WRITING];
