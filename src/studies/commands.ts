/** The commands of the studies of the embedded model; `src/main.ts` adds them to those of the command line. */
import type { Command } from '../cli/command.ts';
import { fixedPoints } from './fixed-points/command.ts';
import { frontier } from './frontier/command.ts';
import { preferences } from './preferences/command.ts';
import { rlhf } from './rlhf/command.ts';
import { tradeoff } from './tradeoff/command.ts';

export const STUDIES: readonly Command[] = [preferences, frontier, tradeoff, fixedPoints, rlhf];
