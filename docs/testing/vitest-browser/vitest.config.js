import { defineConfig } from 'vitest/config';
import { gpuBrowser } from 'webalign/testing/vitest-config';

export default defineConfig({ test: await gpuBrowser() });
