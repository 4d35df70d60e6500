/** What the suite runs in. */
import { chromium } from './chromium.ts';
import { deno } from './deno.ts';
import { firefox } from './firefox.ts';
import { lavapipe } from './lavapipe.ts';
import type { WORLD_NAMES } from './names.mjs';
import { node } from './node.ts';
import type { World } from './world.ts';

export type WorldName = (typeof WORLD_NAMES)[number];

export const WORLDS: Readonly<Record<WorldName, World>> = { node, chromium, deno, firefox, lavapipe };
