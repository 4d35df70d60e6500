import { defineConfig } from 'vitest/config';
import { gpuNode } from 'webalign/testing/vitest-config';

export default defineConfig({ test: gpuNode() });
